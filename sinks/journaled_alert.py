"""One alert that waits for the database, and what became of it meanwhile."""

from typing import Literal

import msgspec

from sinks.alert_facts import AlertFacts
from sinks.outbox_row import OutboxRow

Outcome = Literal["sent", "failed", "unknown", "pending"]


class JournaledAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One critical alert for one target.

    Attributes:
        key: the alert's identity.
        target: name of the target, `"telegram/main"`.
        severity: `critical`.
        text: what is sent.
        fired_at: our time when the spec fired, ns UTC.
        facts: what else is known of it without the database.
        attempts: calls to the target so far; of a claimed one, this one included.
    """

    key: str
    target: str
    severity: str
    text: str
    fired_at: int
    facts: AlertFacts
    attempts: int = 0

    def row(self) -> OutboxRow:
        """Return the outbox row that it will be; it has no place in the table yet."""
        return OutboxRow(
            id=0,
            alert_key=self.key,
            target=self.target,
            severity=self.severity,
            text=self.text,
            state="sending",
            attempts=self.attempts,
            fired_at=self.fired_at,
        )


class Mark(msgspec.Struct, frozen=True):
    """What became of an alert while the database was away.

    Attributes:
        key: the alert's identity.
        target: name of the target.
        state: `sending` until there is an answer.
        attempts: calls to the target so far.
        detail: the target's id of the message, or what went wrong; None for neither.
        carrier: key of the alert whose message told it; None for its own.
    """

    key: str
    target: str
    state: Literal["sending", "sent", "digested", "suppressed", "failed", "unknown", "pending"]
    attempts: int
    detail: str | None = None
    carrier: str | None = None
