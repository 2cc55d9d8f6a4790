"""The store's tables as its writer sees them: columns in the order of a row, key, who wins.

The schema itself is in `migrations/versions`; a test compares the two.
"""

from collections.abc import Callable, Sequence

import msgspec

from sinks.rows import ALERTS, Cell

TIME = "timestamptz"
Wins = Callable[[Sequence[Cell], Sequence[Cell]], bool]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table.

    Attributes:
        name: as in the schema.
        columns: name and type of each cell of a row, the key's first.
        key: number of leading columns that identify a row.
        precious: rank in a full buffer: rows of lower rank are dropped first.
        update: what a row with a known key changes, and when; empty: nothing, and the table is
            written by COPY.
        wins: whether the first row replaces the second, of the same key, within a batch; the same
            question that the WHERE of `update` asks of the database.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: int
    precious: int
    update: str = ""
    wins: Wins = lambda _new, _old: False

    @property
    def column_list(self) -> str:
        """The quoted names, for SQL."""
        return ", ".join(f'"{name}"' for name, _ in self.columns)

    @property
    def key_list(self) -> str:
        """The quoted names of the key, for SQL."""
        return ", ".join(f'"{name}"' for name, _ in self.columns[: self.key])


def _replacing(columns: tuple[tuple[str, str], ...], key: int, condition: str) -> str:
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name, _ in columns[key:])
    return f"SET {changes} WHERE {condition}"


def _newer(cell: int) -> Wins:
    def wins(new: Sequence[Cell], old: Sequence[Cell]) -> bool:
        revision, known = new[cell], old[cell]
        return isinstance(revision, int) and isinstance(known, int) and revision > known

    return wins


_PLACE = (("venue", "text"), ("symbol", "text"))

_INSTRUMENTS = (
    *_PLACE,
    ("native", "text"),
    ("base", "text"),
    ("quote", "text"),
    ("tick", "float8"),
    ("step", "float8"),
    ("kind", "text"),
)
_TRADES = (
    *_PLACE,
    ("time", TIME),
    ("trade_id", "text"),
    ("price", "float8"),
    ("size", "float8"),
    ("side", "text"),
    ("received_at", TIME),
)
_BOOK_TOPS = (
    *_PLACE,
    ("time", TIME),
    ("received_at", TIME),
    ("sequence", "int8"),
    ("bid_prices", "float8[]"),
    ("bid_sizes", "float8[]"),
    ("ask_prices", "float8[]"),
    ("ask_sizes", "float8[]"),
    ("spread", "float8"),
    ("imbalance", "float8"),
    ("state", "text"),
)
_BOOK_UPDATES = (
    *_PLACE,
    ("time", TIME),
    ("sequence", "int8"),
    ("kind", "text"),
    ("prev_sequence", "int8"),
    ("bid_prices", "float8[]"),
    ("bid_sizes", "float8[]"),
    ("ask_prices", "float8[]"),
    ("ask_sizes", "float8[]"),
    ("received_at", TIME),
)
_BARS = (
    *_PLACE,
    ("interval", "text"),
    ("start", TIME),
    ("end", TIME),
    ("open", "float8"),
    ("high", "float8"),
    ("low", "float8"),
    ("close", "float8"),
    ("volume", "float8"),
    ("buy_volume", "float8"),
    ("notional", "float8"),
    ("vwap", "float8"),
    ("count", "int4"),
    ("revision", "int4"),
    ("partial", "bool"),
    ("gap", "bool"),
)
_FEATURES = (
    *_PLACE,
    ("interval", "text"),
    ("name", "text"),
    ("time", TIME),
    ("value", "float8"),
    ("state", "text"),
    ("revision", "int4"),
)
_ALERTS = (
    ("key", "text"),
    ("spec", "text"),
    ("spec_hash", "text"),
    *_PLACE,
    ("interval", "text"),
    ("time", TIME),
    ("fired_at", TIME),
    ("severity", "text"),
    ("text", "text"),
    ("values", "jsonb"),
    ("targets", "text[]"),
    ("chart", "bool"),
    ("clauses", "jsonb"),
    ("signal", "text"),
    ("labels", "jsonb"),
)
_ALERT_ENDINGS = (("key", "text"), ("ended_at", TIME))
_GAPS = (
    *_PLACE,
    ("channel", "text"),
    ("started_at", TIME),
    ("ended_at", TIME),
    ("reason", "text"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            name="instruments",
            columns=_INSTRUMENTS,
            key=2,
            precious=2,
            update=_replacing(
                _INSTRUMENTS,
                2,
                "(stored.native, stored.base, stored.quote, stored.tick, stored.step, stored.kind)"
                " IS DISTINCT FROM (excluded.native, excluded.base, excluded.quote, excluded.tick,"
                " excluded.step, excluded.kind)",
            ),
            wins=lambda _new, _old: True,
        ),
        Table(name="trades", columns=_TRADES, key=4, precious=0),
        Table(name="book_tops", columns=_BOOK_TOPS, key=3, precious=0),
        Table(name="book_updates", columns=_BOOK_UPDATES, key=5, precious=0),
        Table(
            name="bars",
            columns=_BARS,
            key=4,
            precious=1,
            update=_replacing(_BARS, 4, "excluded.revision > stored.revision"),
            wins=_newer(14),
        ),
        Table(
            name="features",
            columns=_FEATURES,
            key=5,
            precious=1,
            update=_replacing(_FEATURES, 5, "excluded.revision > stored.revision"),
            wins=_newer(7),
        ),
        Table(
            name="gaps",
            columns=_GAPS,
            key=4,
            precious=2,
            update="SET ended_at = excluded.ended_at "
            "WHERE stored.ended_at IS NULL AND excluded.ended_at IS NOT NULL",
            wins=lambda new, old: old[4] is None and new[4] is not None,
        ),
        Table(name="alert_endings", columns=_ALERT_ENDINGS, key=1, precious=2),
        Table(name=ALERTS, columns=_ALERTS, key=1, precious=3),
    )
}
"""Every table that a `RowBatch` may name."""
