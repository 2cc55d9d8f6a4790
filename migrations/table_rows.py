"""Which tables there are, and how many rows each has."""

import json
from collections.abc import Iterable

import msgspec
import psycopg
from psycopg import sql

from migrations.storage.server import ServerKind, read_server
from migrations.storage.timed_tables import TIMED

EXACT_BYTES = 64 << 20
"""A larger table is not counted unless it is asked for: that would read all of it."""

_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
  AND c.relname <> 'alembic_version'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass
                  AND deptype = 'e')
ORDER BY 1
"""


class RowCount(msgspec.Struct, frozen=True):
    """The rows of a table.

    Attributes:
        rows: how many.
        is_exact: they were counted; what the server's planner thinks otherwise.
    """

    rows: int
    is_exact: bool

    def __str__(self) -> str:
        """Write it as people read it, an estimate with a tilde."""
        return f"{self.rows:,}" if self.is_exact else f"~{self.rows:,}"


def list_tables(connection: psycopg.Connection) -> list[str]:
    """Return the names of all tables but those of extensions: with a time first, then by name."""
    names = [str(name) for (name,) in connection.execute(_TABLES.encode())]
    timed = [table.name for table in TIMED if table.name in names]
    return timed + [name for name in names if name not in timed]


def count_rows(
    connection: psycopg.Connection, sizes: Iterable[tuple[str, int]], *, exact: bool = False
) -> dict[str, RowCount]:
    """Count the rows of small tables and estimate those of large ones; quick, whatever their size.

    Args:
        connection: in autocommit mode.
        sizes: tables with the bytes of each, indexes among them.
        exact: count the large ones too, which may take minutes.
    """
    is_community = read_server(connection).kind is ServerKind.COMMUNITY
    counts: dict[str, RowCount] = {}
    for name, size in sizes:
        if exact or size <= EXACT_BYTES:
            counts[name] = RowCount(_count(connection, name), is_exact=True)
        else:
            rows = _estimate(connection, name, is_community=is_community)
            counts[name] = RowCount(rows, is_exact=False)
    return counts


def _count(connection: psycopg.Connection, name: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])


def _estimate(connection: psycopg.Connection, name: str, *, is_community: bool) -> int:
    # The planner scales what ANALYZE saw by the pages there are now, and adds chunks up. It does
    # not know how many rows a compressed batch has.
    if is_community:
        row = connection.execute(
            "SELECT approximate_row_count(%s::regclass)", (sql.Identifier(name).as_string(),)
        ).fetchone()
        if row is not None and row[0]:
            return int(row[0])
    query = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(sql.Identifier(name))
    row = connection.execute(query).fetchone()
    if row is None:
        return 0
    plan = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    return int(plan[0]["Plan"]["Plan Rows"])
