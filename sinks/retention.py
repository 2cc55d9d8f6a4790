"""Rows that are older than they are kept go: a job of a running flow, at start and every hour.

TimescaleDB Community does it by policies of its own, which `migrations.storage` makes. Elsewhere
whole chunks go where there are chunks, else rows by DELETE, in batches that commit one by one, so
that nobody waits for long. Each batch is a transaction with an advisory lock of its own and nothing
is left in the session, so that a pooler may be in between: who finds the lock taken leaves the rest
to the other.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

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
PIECE_PAGES = 64
"""Pages of a table that a batch takes at least: half a megabyte."""
STOP_S = 0.5
LIMITS = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '5s'"

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
    """Remove what is older than it is kept, until another session does it.

    Args:
        connection: in autocommit mode, to a database with the schema; a pooler may be in between.
        days: how long rows stay, by table; 0 for ever.
        is_stopped: asked between batches; what is not removed then goes the next time.

    Returns:
        What has gone, a line for each table that is not kept for ever; None when another session
        was at it before anything had. Tables that were left to another have no line.

    Raises:
        psycopg.Error: whatever the database says; what was committed before stays done.
    """
    done: list[Expired] = []
    try:
        for each in _expire_all(connection, days, is_stopped):
            done.append(each)  # noqa: PERF402  what was done before another came is told
    except _TakenError:
        return done or None
    return done


class _TakenError(Exception):
    """Another session removes rows at this moment."""


@contextmanager
def _turn(connection: psycopg.Connection) -> Iterator[None]:
    """Be in a transaction in which nobody else removes rows.

    Raises:
        _TakenError: somebody else does it.
    """
    with connection.transaction():
        connection.execute(LIMITS)
        row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,)).fetchone()
        if row is None or not row[0]:
            raise _TakenError
        yield


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
            yield Expired(table, "drop_chunks", _drop_chunks(connection, table, kept), kept)
        else:
            count = 0
            try:
                for rows in _delete(connection, table, column, kept, is_stopped):
                    count += rows
            except _TakenError:
                if count:
                    yield Expired(table, "DELETE", count, kept)
                raise
            yield Expired(table, "DELETE", count, kept)


def _drop_chunks(connection: psycopg.Connection, table: str, days: float) -> int:
    with _turn(connection):
        dropped = connection.execute(
            "SELECT count(*) FROM drop_chunks(%s::regclass, older_than => %s::interval)",
            (table, f"{days:g} days"),
        ).fetchone()
    return 0 if dropped is None else dropped[0]


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
) -> Iterator[int]:
    """Delete in batches; return the rows of each when it has been committed."""
    # The pages of all old rows are found once: each batch that looked for its own would read the
    # dead rows of those before it again. Other rows may be there by then, so their age counts.
    with _turn(connection):
        row = connection.execute(f"SELECT now() - interval '{days:g} days'").fetchone()
        before = None if row is None else row[0]
        pieces = connection.execute(
            f"SELECT (ctid::text::point)[0]::bigint / {PIECE_PAGES} AS piece, count(*) "
            f"FROM {table} WHERE {column} < %s GROUP BY piece ORDER BY piece",
            (before,),
        ).fetchall()
    for first, last in _batches(pieces):
        if is_stopped():
            return
        with _turn(connection):
            done = connection.execute(
                f"DELETE FROM {table} WHERE ctid >= %s::tid AND ctid < %s::tid AND {column} < %s",
                (f"({first * PIECE_PAGES},0)", f"({(last + 1) * PIECE_PAGES},0)", before),
            )
        yield done.rowcount


def _batches(pieces: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join neighbours to batches.

    Args:
        pieces: number of each and its old rows, in order.

    Returns:
        First and last piece of each batch.
    """
    first = last = None
    rows = 0
    for piece, count in pieces:
        if first is not None and last is not None:
            if piece == last + 1 and rows + count <= BATCH_ROWS:
                last, rows = piece, rows + count
                continue
            yield first, last
        first, last, rows = piece, piece, count
    if first is not None and last is not None:
        yield first, last


class RetentionJob:
    """A thread that removes old rows, at start and every hour.

    Every process may have one: an advisory lock lets one work at a time, and the others leave it
    to that one.

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
            with connect(complete(self._dsn.reveal()), session=False) as connection:
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
