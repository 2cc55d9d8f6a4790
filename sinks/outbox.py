"""The outbox: every alert that was fired, and what became of it.

    pending ──claim──► sending ──► sent         the target has it
       ▲  │               │  ├───► failed       the target will never take it
       │  └──► expired    │  └───► unknown      no answer: it may have arrived
       └────── retry ─────┘

Each function is one statement; on a connection in autocommit mode it is committed when it returns,
so that an attempt is on record before the target is called. Waiting is counted on the database's
clock, age on ours. `digested` and `suppressed` are states of the table too.

A critical alert without an answer goes out once more with `REPEAT_MARK` before its text. The mark
is kept in the row: a second silence, a restart or another sender does not repeat it again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row

REPEAT_MARK = "possible repeat: "
STATES = (
    "pending",
    "sending",
    "sent",
    "digested",
    "suppressed",
    "expired",
    "failed",
    "unknown",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK_FAMILY = 0x6361_6E64  # "cand": the upper half of the sender's advisory lock
_COLUMNS = sql.SQL(
    "id, alert_key, target, severity, text, state, attempts,"
    " (extract(epoch FROM fired_at) * 1000000)::bigint * 1000 AS fired_at"
)
_PRIORITY = sql.SQL("CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END")
_REPEATS = sql.SQL(
    "(severity = 'critical' AND fired_at >= {oldest} AND NOT starts_with(text, {mark}))"
)


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alert for one target.

    Attributes:
        id: place in the table.
        alert_key: the alert's identity.
        target: name of the target, `"telegram/main"`.
        severity: `info`, `warning` or `critical`.
        text: what is sent.
        state: one of `STATES`.
        attempts: calls to the target so far, counted before each.
        fired_at: our time when the spec fired, ns UTC, whole microseconds.
    """

    id: int
    alert_key: str
    target: str
    severity: str
    text: str
    state: str
    attempts: int
    fired_at: int


def take_lock(connection: psycopg.Connection) -> bool:
    """Try to become this outbox's one sender, for as long as the connection lives.

    The lock is named by the table, so that two installations in one database do not meet.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_lock((%s::bigint << 32) | 'outbox'::regclass::oid::bigint)",
        (_LOCK_FAMILY,),
    ).fetchone()
    return row is not None and row[0] is True


def claim(
    connection: psycopg.Connection, *, targets: Sequence[str], oldest: int
) -> OutboxRow | None:
    """Take the next row that is due and put the attempt on record.

    Critical rows come before warnings and these before infos, the first fired first.

    Args:
        connection: in autocommit mode.
        targets: names of the targets that can be called now.
        oldest: rows fired before this, ns UTC, are left to `expire`.

    Returns:
        The row, now `sending`, or None when nothing is due.
    """
    query = sql.SQL(
        """
        UPDATE outbox SET state = 'sending', attempts = attempts + 1, attempted_at = now()
        WHERE id = (
            SELECT id FROM outbox
            WHERE state = 'pending' AND next_attempt_at <= now()
              AND target = ANY({targets}) AND fired_at >= {oldest}
            ORDER BY {priority}, fired_at, id
            LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        RETURNING {columns}
        """
    ).format(targets=list(targets), oldest=_timestamp(oldest), priority=_PRIORITY, columns=_COLUMNS)
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchone()


def record_sent(connection: psycopg.Connection, row: OutboxRow, message_id: str | None) -> bool:
    """Record that the target has `row`; return False when the row moved on without us.

    An answer that comes after another sender gave it up still counts, unless that one has already
    begun a new attempt.
    """
    return _settle(
        connection,
        row,
        "state = 'sent', message_id = %(detail)s, error = NULL, finished_at = now()",
        ("sending", "unknown", "pending"),
        detail=message_id,
    )


def record_failed(connection: psycopg.Connection, row: OutboxRow, error: str) -> bool:
    """Record that the target will never take `row`; return False when the row moved on."""
    return _settle(
        connection, row, "state = 'failed', error = %(detail)s, finished_at = now()", detail=error
    )


def record_retry(
    connection: psycopg.Connection, row: OutboxRow, error: str, *, delay_s: float
) -> bool:
    """Put `row` back: it did not arrive and is due in `delay_s`; False when the row moved on."""
    return _settle(
        connection,
        row,
        "state = 'pending', error = %(detail)s,"
        " next_attempt_at = now() + make_interval(secs => %(delay)s)",
        detail=error,
        delay=delay_s,
    )


def record_unanswered(
    connection: psycopg.Connection,
    row: OutboxRow,
    error: str,
    *,
    oldest: int,
    delay_s: float = 0.0,
) -> OutboxRow | None:
    """Record that `row` may or may not have arrived.

    Args:
        connection: in autocommit mode.
        row: as claimed.
        error: why there is no answer.
        oldest: a critical row fired since then, ns UTC, is put back once, marked, due in `delay_s`.
        delay_s: seconds.

    Returns:
        The row as it is now, `unknown` or `pending`; None when it moved on without us.
    """
    rows = _give_up(
        connection,
        sql.SQL("id = {id} AND attempts = {attempts}").format(id=row.id, attempts=row.attempts),
        error,
        oldest=oldest,
        delay_s=delay_s,
    )
    return rows[0] if rows else None


def recover(connection: psycopg.Connection, *, oldest: int) -> list[OutboxRow]:
    """Give up every row in `sending`: whoever was sending them is gone.

    Only the holder of the lock may do this, and only before its first `claim`.

    Args:
        connection: in autocommit mode.
        oldest: as in `record_unanswered`.

    Returns:
        The rows as they are now, `unknown` or, once more, `pending`.
    """
    return _give_up(
        connection,
        sql.SQL("true"),
        "the sender ended before the answer was on record",
        oldest=oldest,
        delay_s=0.0,
    )


def expire(connection: psycopg.Connection, *, oldest: int) -> list[OutboxRow]:
    """End what waited too long, whatever its target.

    A marked row ends as `unknown`: its first attempt may have arrived.

    Args:
        connection: in autocommit mode.
        oldest: rows fired before this, ns UTC, are too old.

    Returns:
        The rows as they are now.
    """
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = CASE WHEN starts_with(text, {mark}) THEN 'unknown' ELSE 'expired' END,
            error = concat_ws('; ', 'too old when its turn came', error),
            finished_at = now()
        WHERE state = 'pending' AND fired_at < {oldest}
        RETURNING {columns}
        """
    ).format(mark=REPEAT_MARK, oldest=_timestamp(oldest), columns=_COLUMNS)
    return _rows(connection, query)


def counts(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many rows are in each state, 0 included; the sum is what was fired."""
    found = dict.fromkeys(STATES, 0)
    for state, count in connection.execute("SELECT state, count(*) FROM outbox GROUP BY state"):
        found[str(state)] = int(count)
    return found


def unanswered(connection: psycopg.Connection, *, limit: int = 100) -> list[OutboxRow]:
    """Return the newest rows of which nobody knows whether they arrived."""
    query = sql.SQL(
        "SELECT {columns} FROM outbox WHERE state = 'unknown' ORDER BY outbox.fired_at DESC, id"
        " LIMIT {limit}"
    ).format(columns=_COLUMNS, limit=limit)
    return _rows(connection, query)


def _give_up(
    connection: psycopg.Connection,
    which: sql.Composable,
    error: str,
    *,
    oldest: int,
    delay_s: float,
) -> list[OutboxRow]:
    repeats = _REPEATS.format(oldest=_timestamp(oldest), mark=REPEAT_MARK)
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = CASE WHEN {repeats} THEN 'pending' ELSE 'unknown' END,
            text = CASE WHEN {repeats} THEN {mark} || text ELSE text END,
            next_attempt_at = now() + make_interval(secs => {delay}),
            finished_at = CASE WHEN {repeats} THEN NULL ELSE now() END,
            error = {error}
        WHERE state = 'sending' AND {which}
        RETURNING {columns}
        """
    ).format(
        repeats=repeats,
        mark=REPEAT_MARK,
        delay=delay_s,
        error=error,
        which=which,
        columns=_COLUMNS,
    )
    return _rows(connection, query)


def _settle(
    connection: psycopg.Connection,
    row: OutboxRow,
    change: str,
    states: Sequence[str] = ("sending",),
    **values: str | float | None,
) -> bool:
    cursor = connection.execute(
        sql.SQL(
            "UPDATE outbox SET {change}"
            " WHERE id = %(id)s AND attempts = %(attempts)s AND state = ANY(%(states)s)"
        ).format(change=sql.SQL(change)),
        {"id": row.id, "attempts": row.attempts, "states": list(states), **values},
    )
    return cursor.rowcount == 1


def _rows(connection: psycopg.Connection, query: sql.Composed) -> list[OutboxRow]:
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchall()


def _timestamp(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)
