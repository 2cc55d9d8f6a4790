"""Rows that are older than they are kept go: a job of a running flow, at start and every hour.

TimescaleDB Community does it by policies of its own, which `migrations.storage` makes. Elsewhere a
process that holds an advisory lock does it: whole chunks where there are chunks, else DELETE in
batches that commit one by one, so that nobody waits for long.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping

import msgspec
import psycopg

from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.unexpected import Contained

LOCK = 0x4B454550  # "KEEP"
EVERY_S = 3600.0
AGAIN_S = 60.0
"""When it is tried again after the database was away, or after an error that nobody foresaw."""
BATCH_ROWS = 10_000
STOP_S = 0.5
SESSION = "SET statement_timeout = '10min'; SET lock_timeout = '5s'"

AGED: Mapping[str, str] = {
    "trades": "time",
    "book_tops": "time",
    "book_updates": "time",
    "bars": "start",
    "features": "time",
}
"""The time of a row, by table."""

WITH_ALERTS: Mapping[str, str] = {
    "outbox": "fired_at",
    "alerts": "fired_at",
    "alert_endings": "ended_at",
    "alert_acks": "acked_at",
    "alert_mutes": "ends_at",
    "telegram_polls": "read_at",
}
"""The same of the tables that are kept as long as `alerts`; a mute without an end has no time."""

_log = logging.getLogger(__name__)


class Expired(msgspec.Struct, frozen=True):
    """What has gone from one table.

    Attributes:
        table: its name.
        how: `drop_chunks`, `DELETE`, or `policy` where the server does it by itself.
        count: chunks, or rows.
        days: how long its rows stay.
    """

    table: str
    how: str
    count: int
    days: float


def expire(
    connection: psycopg.Connection,
    days: Mapping[str, float],
    *,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[Expired] | None:
    """Remove what is older than it is kept, unless another session does it at this moment.

    Args:
        connection: in autocommit mode, to a database with the schema.
        days: how long rows stay, by table; 0 for ever.
        is_stopped: asked between batches; what is not removed then goes the next time.

    Returns:
        What has gone, a line for each table that is not kept for ever; None when another session
        holds the lock.

    Raises:
        psycopg.Error: whatever the database says; what was committed before stays done.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
    if row is None or not row[0]:
        return None
    try:
        return list(_expire_all(connection, days, is_stopped))
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def _expire_all(
    connection: psycopg.Connection, days: Mapping[str, float], is_stopped: Callable[[], bool]
) -> Iterator[Expired]:
    hypertables, policies = _chunked(connection)
    of_alerts = days.get("alerts", 0)
    whole = {**days, **dict.fromkeys(WITH_ALERTS, of_alerts)}
    for table, column in {**AGED, **WITH_ALERTS}.items():
        kept = whole.get(table, 0)
        known = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        if not kept or known is None or known[0] is None or is_stopped():
            continue
        if table in policies:
            yield Expired(table, "policy", 0, kept)
        elif table in hypertables:
            dropped = connection.execute(
                "SELECT count(*) FROM drop_chunks(%s::regclass, older_than => %s::interval)",
                (table, f"{kept:g} days"),
            ).fetchone()
            count = 0 if dropped is None else dropped[0]
            yield Expired(table, "drop_chunks", count, kept)
        else:
            count = _delete(connection, table, column, kept, is_stopped)
            yield Expired(table, "DELETE", count, kept)


def _chunked(connection: psycopg.Connection) -> tuple[set[str], set[str]]:
    """Return the hypertables, and those whose old chunks the server drops by itself."""
    query = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    if connection.execute(query).fetchone() is None:
        return set(), set()
    hypertables = connection.execute(
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema()"
    ).fetchall()
    policies = connection.execute(
        "SELECT hypertable_name FROM timescaledb_information.jobs "
        "WHERE hypertable_schema = current_schema() AND proc_name = 'policy_retention'"
    ).fetchall()
    return {name for (name,) in hypertables}, {name for (name,) in policies}


def _delete(
    connection: psycopg.Connection,
    table: str,
    column: str,
    days: float,
    is_stopped: Callable[[], bool],
) -> int:
    # The places of all old rows are found once: each batch that looked for its own would read the
    # dead rows of those before it again. A place may be another row's by then, so its age counts.
    count = 0
    limit = f"now() - interval '{days:g} days'"
    row = connection.execute(f"SELECT {limit}").fetchone()
    before = None if row is None else row[0]
    with connection.cursor("expired", withhold=True) as places:
        places.itersize = BATCH_ROWS
        places.execute(f"SELECT ctid::text FROM {table} WHERE {column} < %s", (before,))
        while not is_stopped() and (batch := places.fetchmany(BATCH_ROWS)):
            done = connection.execute(
                f"DELETE FROM {table} WHERE ctid = ANY(%s::tid[]) AND {column} < %s",
                ([place for (place,) in batch], before),
            )
            count += done.rowcount
    return count


class RetentionJob:
    """A thread that removes old rows, at start and every hour.

    Every process may have one: an advisory lock lets one work at a time, and the others find
    nothing left to do.

    Args:
        dsn: address of the database.
        days: how long rows stay, by table; 0 for ever.
        also: called each time before, for what is not in the database.
    """

    def __init__(
        self, dsn: Secret, days: Mapping[str, float], *, also: Callable[[], object] = lambda: None
    ) -> None:
        self._dsn = dsn
        self._days = dict(days)
        self._also = also
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; the database need not be there yet."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch that it is at."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause_s = AGAIN_S
            with Contained(_log, "retention", "old rows and files are not removed; tried again"):
                self._also()
                pause_s = self._once()
            self._stop.wait(pause_s)

    def _once(self) -> float:
        """Do it; return the seconds until the next time."""
        try:
            with connect(complete(self._dsn.reveal())) as connection:
                connection.execute(SESSION)
                expired = expire(connection, self._days, is_stopped=self._stop.is_set)
        except RETRIABLE as error:
            if not self._stop.is_set():
                _log.warning("old rows cannot be removed now", extra={"reason": str(error).strip()})
            return AGAIN_S
        for each in expired or ():
            if each.count:
                _log.info(
                    "removed old rows",
                    extra={"table": each.table, "how": each.how, "count": each.count},
                )
        return EVERY_S
