"""One row of the outbox, and how it is read."""

from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row

from sinks.nanoseconds import ns_of

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
COLUMNS = sql.SQL(
    "id, alert_key, target, severity, text, state, attempts, escalates,"
    f" {ns_of('outbox.fired_at')} AS fired_at,"
    f" {ns_of('outbox.waits_until')} AS waits_until"
)
"""What an `OutboxRow` is read from."""
AGES_FROM = sql.SQL("coalesce(waits_until, fired_at)")
"""From when the age of a row counts."""


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
        waits_until: our time, ns UTC, before which it is not sent and from which its age counts;
            None when nothing holds it back.
        escalates: the target where nobody acknowledged the alert; None when that is not why.
    """

    id: int
    alert_key: str
    target: str
    severity: str
    text: str
    state: str
    attempts: int
    fired_at: int
    waits_until: int | None = None
    escalates: str | None = None

    @property
    def was_held(self) -> bool:
        """Whether quiet hours held it back."""
        return self.waits_until is not None and self.escalates is None

    @property
    def is_marked(self) -> bool:
        """Whether it is sent a second time."""
        return self.text.startswith(REPEAT_MARK)


def read_rows(connection: psycopg.Connection, query: sql.Composed) -> list[OutboxRow]:
    """Return the rows that a query over `COLUMNS` gives."""
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchall()


def timestamp(ns: int) -> datetime:
    """Return ns UTC as the database takes it, exact to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)
