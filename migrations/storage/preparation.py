"""All steps, in order: done once, or only looked at."""

import logging
from collections.abc import Iterator, Mapping

import psycopg

from market.errors import ConfigError
from migrations.session import connect, locked
from migrations.storage import (
    aggregate_fill,
    aggregates,
    chunks,
    columnstore,
    extension,
    retention,
)
from migrations.storage.report import StorageReport, StorageStep
from migrations.storage.server import Server, read_server
from migrations.storage.timed_tables import TIMED

FOR_EVER: Mapping[str, float] = {}
COLUMNSTORE = "columnstore"
AGGREGATES = "continuous aggregates"

_log = logging.getLogger(__name__)


def prepare(
    dsn: str,
    *,
    require_timescaledb: bool = False,
    keep_days: Mapping[str, float] = FOR_EVER,
) -> StorageReport:
    """Add what this server can do, and report it. The versions must have been run before.

    Args:
        dsn: libpq address.
        require_timescaledb: refuse a server without the extension.
        keep_days: how many days rows stay, by table; for ever when it is 0 or not told.

    Raises:
        ConfigError: the database cannot be reached, or lacks what is required.
    """
    with locked(dsn) as connection:
        created = extension.create(connection)
        server = read_server(connection)
        if server.timescaledb is None and require_timescaledb:
            raise ConfigError(
                "store.require_timescaledb is set and this database has no TimescaleDB: "
                f"{created.reason}; or set store.require_timescaledb = false"
            )
        steps = tuple(_do(connection, server, keep_days, dsn))
        report = StorageReport(server, (created, *steps))
        for step in report.history:
            if not step.is_done:
                _log.warning(step.reason, extra={"step": step.what})
        return report


def inspect(dsn: str, *, keep_days: Mapping[str, float] = FOR_EVER) -> StorageReport:
    """Report without changing anything.

    Raises:
        ConfigError: the database cannot be reached.
    """
    with connect(dsn) as connection:
        server = read_server(connection)
        steps = tuple(_look(connection, server, keep_days))
        return StorageReport(server, (extension.look(connection), *steps))


def _do(
    connection: psycopg.Connection, server: Server, keep_days: Mapping[str, float], dsn: str
) -> Iterator[StorageStep]:
    cut = set()
    for table in TIMED:
        step = chunks.cut(connection, table, server, dsn)
        if step.is_done:
            cut.add(table.name)
        yield step
    reason = columnstore.obstacle(server)
    if reason:
        yield StorageStep(COLUMNSTORE, is_done=False, reason=reason)
    else:
        for table in TIMED:
            if table.name in cut:
                yield columnstore.turn_on(connection, table)
    reason = aggregates.obstacle(server)
    if reason:
        yield StorageStep(AGGREGATES, is_done=False, reason=reason)
    elif "trades" in cut:
        for aggregate in aggregates.AGGREGATES:
            yield aggregates.make(connection, aggregate, keep_days)
        yield from _look_at_history(connection, keep_days)
    for table in TIMED:
        if table.name in cut:
            yield retention.keep(connection, table, server, keep_days)


def _look(
    connection: psycopg.Connection, server: Server, keep_days: Mapping[str, float]
) -> Iterator[StorageStep]:
    for table in TIMED:
        yield chunks.look(connection, table, server)
    reason = columnstore.obstacle(server)
    if reason:
        yield StorageStep(COLUMNSTORE, is_done=False, reason=reason)
    else:
        for table in TIMED:
            yield columnstore.look(connection, table)
    reason = aggregates.obstacle(server)
    if reason:
        yield StorageStep(AGGREGATES, is_done=False, reason=reason)
    else:
        for aggregate in aggregates.AGGREGATES:
            yield aggregates.look(connection, aggregate, keep_days)
        yield from _look_at_history(connection, keep_days)
    for table in TIMED:
        yield retention.look(connection, table, server, keep_days)


def _look_at_history(
    connection: psycopg.Connection, keep_days: Mapping[str, float]
) -> Iterator[StorageStep]:
    # A start does not wait for it, as it does for rows that move: nothing needs it at once.
    for aggregate in aggregates.AGGREGATES:
        yield aggregate_fill.look(connection, aggregate, keep_days)
