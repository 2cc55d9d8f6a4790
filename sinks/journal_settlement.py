"""How outbox rows learn what happened while the database was away."""

from collections.abc import Iterable

import psycopg

from sinks.journaled_alert import Mark
from sinks.outbox_row import REPEAT_MARK

_ARRIVED = ("sent", "digested")


def settle(connection: psycopg.Connection, marks: Iterable[Mark]) -> None:
    """Give outbox rows the states of what was sent from a journal, in the caller's transaction.

    `sent`, `digested`, `suppressed` and `failed` are final, `pending` (it did not arrive for sure)
    is left to the sender. So is what has no answer: it is critical, and is repeated once with
    `REPEAT_MARK`, or becomes `unknown` where that is too late. Rows that someone else has begun to
    send are left as they are.
    """
    for mark in marks:
        is_unanswered = mark.state in ("sending", "unknown")
        state = "pending" if is_unanswered else mark.state
        error = mark.detail if state not in _ARRIVED else None
        if mark.state == "sending":
            error = "sent while the database was away, without an answer on record"
        connection.execute(
            "UPDATE outbox SET state = %(state)s, attempts = %(attempts)s,"
            " attempted_at = CASE WHEN %(attempts)s > 0 THEN now() END,"
            " message_id = %(message_id)s, error = %(error)s,"
            " carried_by = (SELECT carrier.id FROM outbox carrier"
            "  WHERE carrier.alert_key = %(carrier)s AND carrier.target = %(target)s),"
            " text = CASE WHEN %(repeats)s AND NOT starts_with(text, %(mark)s)"
            " THEN %(mark)s || text ELSE text END,"
            " finished_at = CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END"
            " WHERE alert_key = %(key)s AND target = %(target)s AND state = 'pending'",
            {
                "state": state,
                "attempts": mark.attempts,
                "message_id": mark.detail if state in _ARRIVED else None,
                "error": error,
                "carrier": mark.carrier,
                "repeats": is_unanswered,
                "mark": REPEAT_MARK,
                "key": mark.key,
                "target": mark.target,
            },
        )
