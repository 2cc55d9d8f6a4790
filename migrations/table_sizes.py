"""How large the tables are, how fast they grow, and when the disk is full."""

from collections.abc import Iterable, Mapping

import msgspec
import psycopg
from psycopg import sql

from migrations.storage.server import exists, read_server
from migrations.storage.timed_tables import TIMED
from migrations.table_rows import list_tables

DAY_S = 86_400.0
YOUNGEST_S = 600.0
"""A table whose rows span less says nothing of a day."""
LONGEST_DAYS = 3650


class TableSize(msgspec.Struct, frozen=True, kw_only=True):
    """One table.

    Attributes:
        table: its name.
        size: bytes, with indexes.
        span_days: between its oldest and its newest row; None when it has no time, or too few rows.
        day_size: bytes that a day adds; None as `span_days`.
        keep_days: how long rows stay; 0 for ever.
    """

    table: str
    size: int
    span_days: float | None
    day_size: float | None
    keep_days: float

    def grown(self, days: float) -> float:
        """Return the bytes it will have added in `days`; old rows go when they are due."""
        if self.day_size is None or self.span_days is None:
            return 0.0
        if self.keep_days:
            days = min(days, max(0.0, self.keep_days - self.span_days))
        return self.day_size * days


def read_sizes(connection: psycopg.Connection, keep_days: Mapping[str, float]) -> list[TableSize]:
    """Measure all tables; quick, whatever their size.

    Args:
        connection: in autocommit mode.
        keep_days: how long rows stay, by table; 0 for ever.
    """
    chunked = _hypertables(connection)
    times = {table.name: table.column for table in TIMED}
    found = []
    for name in list_tables(connection):
        size = _size(connection, name, is_chunked=name in chunked)
        span = _span(connection, name, times[name]) if name in times else None
        found.append(
            TableSize(
                table=name,
                size=size,
                span_days=span,
                day_size=None if span is None else size / span,
                keep_days=keep_days.get(name, 0),
            )
        )
    return found


def days_left(sizes: Iterable[TableSize], free: int) -> int | None:
    """Return after how many days the tables will have filled `free` bytes; None for never.

    Never means that what is kept fits, or that ten years will not do it.
    """
    tables = list(sizes)
    if sum(table.grown(LONGEST_DAYS) for table in tables) <= free:
        return None
    low, high = 0, LONGEST_DAYS
    while low < high:
        middle = (low + high) // 2
        if sum(table.grown(middle) for table in tables) > free:
            high = middle
        else:
            low = middle + 1
    return low


def _hypertables(connection: psycopg.Connection) -> set[str]:
    if read_server(connection).timescaledb is None:
        return set()
    rows = connection.execute(
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema()"
    )
    return {str(name) for (name,) in rows}


def _size(connection: psycopg.Connection, table: str, *, is_chunked: bool) -> int:
    function = "hypertable_size" if is_chunked else "pg_total_relation_size"
    name = sql.Identifier(table).as_string()
    row = connection.execute(f"SELECT {function}(%s::regclass)", (name,)).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def _span(connection: psycopg.Connection, table: str, column: str) -> float | None:
    """Return the days between the oldest and the newest row, by some probes of its key."""
    key = "t.venue = i.venue AND t.symbol = i.symbol"
    series = "instruments AS i"
    if table in ("bars", "features"):
        if not exists(connection, "latest_bars"):
            return None
        key += ' AND t."interval" = i."interval"'
        series = "latest_bars AS i"
    if table == "features":
        # One feature of a series stands for all: they come and go together.
        series += (
            f" CROSS JOIN LATERAL (SELECT t.name FROM features AS t WHERE {key}"
            " ORDER BY t.name LIMIT 1) AS first"
        )
        key += " AND t.name = first.name"
    ends = " UNION ALL ".join(
        f"(SELECT t.{column} AS at FROM {table} AS t WHERE {key} "
        f"ORDER BY t.{column} {direction} LIMIT 1)"
        for direction in ("ASC", "DESC")
    )
    query = f"SELECT min(at), max(at) FROM {series} CROSS JOIN LATERAL ({ends}) AS ends"
    row = connection.execute(query.encode()).fetchone()
    if row is None or row[0] is None:
        return None
    seconds = float((row[1] - row[0]).total_seconds())
    return seconds / DAY_S if seconds >= YOUNGEST_S else None
