"""Rows of the outbox that wait: for the end of quiet hours, or for too long.

Each function is one statement, as in `sinks.outbox`.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from sinks.outbox_row import AGES_FROM, COLUMNS, REPEAT_MARK, OutboxRow, read_rows, timestamp


def expire(connection: psycopg.Connection, *, oldest: int) -> list[OutboxRow]:
    """End what waited too long, whatever its target.

    A marked row ends as `unknown`: its first attempt may have arrived.

    Args:
        connection: in autocommit mode.
        oldest: rows whose age counts from before this, ns UTC, are too old.

    Returns:
        The rows as they are now.
    """
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = CASE WHEN starts_with(text, {mark}) THEN 'unknown' ELSE 'expired' END,
            error = concat_ws('; ', 'too old when its turn came', error),
            finished_at = now()
        WHERE state = 'pending' AND {ages_from} < {oldest}
        RETURNING {columns}
        """
    ).format(mark=REPEAT_MARK, ages_from=AGES_FROM, oldest=timestamp(oldest), columns=COLUMNS)
    return read_rows(connection, query)


def hold(connection: psycopg.Connection, *, targets: Sequence[str], until: int, oldest: int) -> int:
    """Hold back what is not critical until quiet hours end; return how many rows.

    Args:
        connection: in autocommit mode.
        targets: names of the targets that keep quiet.
        until: our clock, ns UTC.
        oldest: as in `expire`.
    """
    cursor = connection.execute(
        "UPDATE outbox SET waits_until = %(until)s WHERE state = 'pending'"
        " AND severity <> 'critical' AND waits_until IS NULL AND NOT starts_with(text, %(mark)s)"
        " AND target = ANY(%(targets)s) AND fired_at >= %(oldest)s",
        {
            "until": timestamp(until),
            "mark": REPEAT_MARK,
            "targets": list(targets),
            "oldest": timestamp(oldest),
        },
    )
    return cursor.rowcount


def release(connection: psycopg.Connection, *, now: int) -> int:
    """End every wait: it is not quiet, whatever was thought when they began."""
    cursor = connection.execute(
        "UPDATE outbox SET waits_until = %(now)s WHERE state = 'pending' AND waits_until > %(now)s",
        {"now": timestamp(now)},
    )
    return cursor.rowcount
