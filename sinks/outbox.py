"""The outbox: every alert that was fired, and what became of it.

    pending ──begin──► sending ──► sent         the target has it
       ▲  │               │  ├───► digested     the target has it in another row's message
       │  ├──► expired    │  ├───► failed       the target will never take it
       │  ├──► suppressed │  └───► unknown      no answer: it may have arrived
       └──┼──── retry ────┘
          └──► (waits: quiet hours)

Each function is one statement; on a connection in autocommit mode it is committed when it returns,
so that an attempt is on record before the target is called. Waiting for another try is counted on
the database's clock, age and quiet hours on ours.

Several rows may go out in one message, a digest: the first of them carries the others, which point
to it. What the target answers is recorded of all of them, in one statement.

A critical alert without an answer goes out once more with `REPEAT_MARK` before its text. The mark
is kept in the row: a second silence, a restart or another sender does not repeat it again.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from sinks.outbox_row import AGES_FROM, COLUMNS, REPEAT_MARK, OutboxRow, read_rows, timestamp

_PRIORITY = sql.SQL("CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END")
_REPEATS = sql.SQL(
    "(severity = 'critical' AND {ages_from} >= {oldest} AND NOT starts_with(text, {mark}))"
)
_DUE = sql.SQL(
    "state = 'pending' AND next_attempt_at <= now() AND {ages_from} >= {oldest}"
    " AND (waits_until IS NULL OR waits_until <= {now})"
)


def due(
    connection: psycopg.Connection, *, targets: Sequence[str], now: int, oldest: int
) -> OutboxRow | None:
    """Return the row whose turn it is.

    Critical rows come before warnings and these before infos, the first fired first.

    Args:
        connection: any.
        targets: names of the targets that can be called now.
        now: our clock, ns UTC.
        oldest: rows of which the age counts from before this, ns UTC, are left to
            `outbox_waits.expire`.
    """
    query = sql.SQL(
        "SELECT {columns} FROM outbox WHERE {due} AND target = ANY({targets})"
        " ORDER BY {priority}, outbox.fired_at, id LIMIT 1"
    ).format(columns=COLUMNS, due=_due(now, oldest), targets=list(targets), priority=_PRIORITY)
    rows = read_rows(connection, query)
    return rows[0] if rows else None


def due_like(
    connection: psycopg.Connection, first: OutboxRow, *, now: int, oldest: int, limit: int
) -> list[OutboxRow]:
    """Return the rows that could go out in one message with `first`, in their order.

    They have its target and severity, and like it were held by quiet hours, or not; an alert that
    is told to a second target goes alone.

    Args:
        connection: any.
        first: as `due` gives it. Rows that became due since may come before it in the answer, and
            `limit` of them may push it out.
        now: as in `due`.
        oldest: as in `due`.
        limit: number of rows.
    """
    query = sql.SQL(
        "SELECT {columns} FROM outbox WHERE {due} AND target = {target} AND severity = {severity}"
        " AND (waits_until IS NOT NULL) = {held} AND escalates IS NULL"
        " ORDER BY outbox.fired_at, id LIMIT {limit}"
    ).format(
        columns=COLUMNS,
        due=_due(now, oldest),
        target=first.target,
        severity=first.severity,
        held=first.was_held,
        limit=limit,
    )
    return read_rows(connection, query)


def begin(connection: psycopg.Connection, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """Put an attempt on record for rows that go out in one message.

    Args:
        connection: in autocommit mode.
        rows: all of one target; the first carries the others.

    Returns:
        Those that were still pending, now `sending`, in the same order.
    """
    if not rows:
        return []
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = 'sending', attempts = attempts + 1, attempted_at = now(),
            carried_by = nullif({first}, id)
        WHERE id = ANY({ids}) AND state = 'pending'
        RETURNING {columns}
        """
    ).format(first=rows[0].id, ids=[row.id for row in rows], columns=COLUMNS)
    begun = {row.id: row for row in read_rows(connection, query)}
    return [begun[row.id] for row in rows if row.id in begun]


def record_sent(
    connection: psycopg.Connection, rows: Sequence[OutboxRow], message_id: str | None
) -> int:
    """Record that the target has `rows`; return how many had not moved on without us.

    An answer that comes after another sender gave them up still counts, unless that one has already
    begun a new attempt.
    """
    return _settle(
        connection,
        rows,
        "state = CASE WHEN id = %(first)s THEN 'sent' ELSE 'digested' END,"
        " carried_by = nullif(%(first)s, id),"
        " message_id = %(detail)s, error = NULL, finished_at = now()",
        ("sending", "unknown", "pending"),
        detail=message_id,
    )


def record_failed(connection: psycopg.Connection, rows: Sequence[OutboxRow], error: str) -> int:
    """Record that the target will never take `rows`; return how many had not moved on."""
    return _settle(
        connection, rows, "state = 'failed', error = %(detail)s, finished_at = now()", detail=error
    )


def record_retry(
    connection: psycopg.Connection, rows: Sequence[OutboxRow], error: str, *, delay_s: float
) -> int:
    """Put `rows` back: they did not arrive and are due in `delay_s`; return how many went back."""
    return _settle(
        connection,
        rows,
        "state = 'pending', error = %(detail)s, carried_by = NULL,"
        " next_attempt_at = now() + make_interval(secs => %(delay)s)",
        detail=error,
        delay=delay_s,
    )


def record_unanswered(
    connection: psycopg.Connection,
    rows: Sequence[OutboxRow],
    error: str,
    *,
    oldest: int,
    delay_s: float = 0.0,
) -> list[OutboxRow]:
    """Record that `rows` may or may not have arrived.

    Args:
        connection: in autocommit mode.
        rows: as begun.
        error: why there is no answer.
        oldest: a critical row whose age counts from this, ns UTC, or later is put back once,
            marked, due in `delay_s`.
        delay_s: seconds.

    Returns:
        The rows as they are now, `unknown` or `pending`; without those that moved on without us.
    """
    return _give_up(
        connection,
        sql.SQL(
            "(id, attempts) IN (SELECT * FROM unnest({ids}::bigint[], {attempts}::integer[]))"
        ).format(ids=[row.id for row in rows], attempts=[row.attempts for row in rows]),
        error,
        oldest=oldest,
        delay_s=delay_s,
    )


def recover(connection: psycopg.Connection, *, oldest: int) -> list[OutboxRow]:
    """Give up every row in `sending`: whoever was sending them is gone.

    Only the holder of the lock may do this, and only before its first `begin`.

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


def _due(now: int, oldest: int) -> sql.Composed:
    return _DUE.format(ages_from=AGES_FROM, now=timestamp(now), oldest=timestamp(oldest))


def _give_up(
    connection: psycopg.Connection,
    which: sql.Composable,
    error: str,
    *,
    oldest: int,
    delay_s: float,
) -> list[OutboxRow]:
    repeats = _REPEATS.format(ages_from=AGES_FROM, oldest=timestamp(oldest), mark=REPEAT_MARK)
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = CASE WHEN {repeats} THEN 'pending' ELSE 'unknown' END,
            text = CASE WHEN {repeats} THEN {mark} || text ELSE text END,
            carried_by = CASE WHEN {repeats} THEN NULL ELSE carried_by END,
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
        columns=COLUMNS,
    )
    return read_rows(connection, query)


def _settle(
    connection: psycopg.Connection,
    rows: Sequence[OutboxRow],
    change: str,
    states: Sequence[str] = ("sending",),
    **values: str | float | None,
) -> int:
    cursor = connection.execute(
        sql.SQL(
            "UPDATE outbox SET {change} WHERE state = ANY(%(states)s) AND (id, attempts)"
            " IN (SELECT * FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]))"
        ).format(change=sql.SQL(change)),
        {
            "first": rows[0].id,
            "ids": [row.id for row in rows],
            "attempts": [row.attempts for row in rows],
            "states": list(states),
            **values,
        },
    )
    return cursor.rowcount
