"""Rows that the store could not keep, until the ledger of gaps has been told."""

from collections import Counter as Tally
from collections.abc import Sequence

import msgspec

from sinks.row_buffer import Waiting


class LostRows(msgspec.Struct, frozen=True):
    """Rows lost since the ledger was last told.

    Attributes:
        started: when the first of them came, ns by the wall clock.
        ended: when the last of them came.
        at: when they were last added to, s by a monotonic clock.
        tables: rows lost, by table.
    """

    started: int
    ended: int
    at: float
    tables: Tally[str]

    @classmethod
    def of(cls, gone: Sequence[Waiting], *, at: float) -> "LostRows":
        """Add up batches, at least one, that had to go."""
        tables: Tally[str] = Tally()
        for waiting in gone:
            tables[waiting.batch.table] += waiting.batch.count
        times = [waiting.ts for waiting in gone]
        return cls(min(times), max(times), at, tables)

    def joined(self, other: "LostRows | None") -> "LostRows":
        """Return both as one interval."""
        if other is None:
            return self
        return LostRows(
            min(self.started, other.started),
            max(self.ended, other.ended),
            max(self.at, other.at),
            self.tables + other.tables,
        )

    @property
    def reason(self) -> str:
        """What the ledger says."""
        lost = ", ".join(f"{count} rows of {table}" for table, count in sorted(self.tables.items()))
        return f"store: {lost} lost"
