"""The tables that time cuts into pieces."""

import msgspec


class TimedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table that grows with time.

    Attributes:
        name: as in the schema.
        column: its time.
        chunk: length of a piece, as PostgreSQL writes it.
        columnstore_days: age in days from which pieces are kept by column: older than any replay or
            correction that still writes into them.
    """

    name: str
    column: str
    chunk: str
    columnstore_days: int

    @property
    def brin(self) -> str:
        """Name of the index that a plain server gets."""
        return f"{self.name}_{self.column}_brin"


TIMED = (
    TimedTable(name="trades", column="time", chunk="1 day", columnstore_days=7),
    TimedTable(name="book_tops", column="time", chunk="1 day", columnstore_days=3),
    TimedTable(name="book_updates", column="time", chunk="1 day", columnstore_days=3),
    TimedTable(name="bars", column="start", chunk="7 days", columnstore_days=30),
    TimedTable(name="features", column="time", chunk="7 days", columnstore_days=30),
)
