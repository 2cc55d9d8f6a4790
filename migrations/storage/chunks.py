"""Pieces by time: hypertables where the server has them, an index on time where it has not."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from market.errors import ConfigError
from migrations.session import connect
from migrations.storage.report import StorageStep
from migrations.storage.server import Server, ServerKind, exists, scalar
from migrations.storage.timed_tables import TimedTable

OLDEST_TIMESCALEDB = (2, 13)
"""First version with `by_range`."""
PROGRESS_S = 5.0

_log = logging.getLogger(__name__)


def cut(connection: psycopg.Connection, table: TimedTable, server: Server, dsn: str) -> StorageStep:
    """Give a table the pieces, or the index, that this server has for it.

    Args:
        connection: in autocommit mode, holding the lock of migrations.
        table: what to cut.
        server: what the connection leads to.
        dsn: the same database, for a second connection that watches a long conversion.
    """
    if not exists(connection, table.name):
        reason = "the table is not there: `candlewax db upgrade`"
        return StorageStep(f"table {table.name}", is_done=False, reason=reason)
    if server.kind is ServerKind.PLAIN:
        return _create_brin(connection, table)
    return _create_hypertable(connection, table, server, dsn)


def look(connection: psycopg.Connection, table: TimedTable, server: Server) -> StorageStep:
    """Tell whether a table has been cut."""
    if server.kind is ServerKind.PLAIN:
        what, is_done = f"index {table.brin}", exists(connection, table.brin)
    else:
        what, is_done = f"hypertable {table.name}", is_hypertable(connection, table.name)
    return StorageStep(what, is_done, "there" if is_done else "not there")


def is_hypertable(connection: psycopg.Connection, table: str) -> bool:
    """Tell whether a table is a hypertable; the extension must be there."""
    query = (
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        f"WHERE hypertable_name = '{table}' AND hypertable_schema = current_schema()"
    )
    return scalar(connection, query) is not None


def _create_brin(connection: psycopg.Connection, table: TimedTable) -> StorageStep:
    what = f"index {table.brin}"
    if exists(connection, table.brin):
        return StorageStep(what, is_done=True, reason="was there already")
    connection.execute(f"CREATE INDEX {table.brin} ON {table.name} USING brin ({table.column})")
    return StorageStep(what, is_done=True, reason="made: this server has no hypertables")


def _create_hypertable(
    connection: psycopg.Connection, table: TimedTable, server: Server, dsn: str
) -> StorageStep:
    what = f"hypertable {table.name}"
    if is_hypertable(connection, table.name):
        return StorageStep(what, is_done=True, reason="was one already")
    if server.is_older(OLDEST_TIMESCALEDB):
        oldest = ".".join(map(str, OLDEST_TIMESCALEDB))
        return StorageStep(
            what,
            is_done=False,
            reason=f"TimescaleDB {server.timescaledb} is older than {oldest}: update it",
        )
    query = f"SELECT 1 FROM {table.name} LIMIT 1"
    has_rows = connection.execute(query).fetchone() is not None
    with connection.transaction(), _told(connection, table.name, dsn, is_told=has_rows):
        # The pieces know their times: what a plain server needed for that only costs here.
        connection.execute(f"DROP INDEX IF EXISTS {table.brin}")
        # The primary key serves queries; the default index on time would only cost inserts.
        connection.execute(
            f"SELECT create_hypertable('{table.name}', "
            f"by_range('{table.column}', INTERVAL '{table.chunk}'), "
            f"create_default_indexes => false, migrate_data => {str(has_rows).lower()})"
        )
    reason = "made, with the rows it had" if has_rows else "made"
    return StorageStep(what, is_done=True, reason=f"{reason}, a chunk is {table.chunk}")


@contextmanager
def _told(connection: psycopg.Connection, table: str, dsn: str, *, is_told: bool) -> Iterator[None]:
    """Warn of a conversion, and tell while it lasts how far it is."""
    if not is_told:
        yield
        return
    size = int(scalar(connection, f"SELECT pg_total_relation_size('{table}')") or 0)
    _log.warning(
        "turning a table with rows into a hypertable; it is locked until that is done, and the "
        "disk holds the rows twice meanwhile",
        extra={"table": table, "size_mb": size // 1_000_000},
    )
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(dsn, table, size, ended), name="conversion", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    _log.warning("the table is a hypertable now", extra={"table": table})


def _watch(dsn: str, table: str, size: int, ended: threading.Event) -> None:
    # The new pieces are not visible before the end, but their files make the database grow.
    query = "SELECT pg_database_size(current_database())"
    try:
        with connect(dsn) as connection:
            before = int(scalar(connection, query) or 0)
            while not ended.wait(PROGRESS_S):
                grown = int(scalar(connection, query) or 0) - before
                percent = min(99, max(0, 100 * grown // max(1, size)))
                _log.warning("still moving rows", extra={"table": table, "about_percent": percent})
    except (ConfigError, psycopg.Error) as error:
        _log.warning("progress cannot be told", extra={"table": table, "reason": str(error)})
