"""What the sender tells of its work: log lines and metrics."""

import logging
from collections.abc import Sequence

import msgspec
import psycopg
from prometheus_client import Counter, Gauge, Histogram

from market.intervals import SECOND
from sinks.outbox_row import OutboxRow
from sinks.redaction import redact

_log = logging.getLogger("sinks.sender")

_alerts = Counter("candlewax_alerts", "Outbox rows that this process finished", ["state"])
_retries = Counter("candlewax_alert_retries", "Deliveries put back to be tried again", ["target"])
_seconds = Histogram(
    "candlewax_alert_delivery_seconds",
    "From an alert's firing to the target's answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
_active = Gauge("candlewax_alert_sender_active", "1 while this process is the one that sends")

for _state in ("sent", "digested", "suppressed", "failed", "expired", "unknown"):
    _alerts.labels(_state)  # a state that never came shows as 0, not as nothing


def is_active(*, active: bool) -> None:
    """Tell whether this process is the one that sends."""
    _active.set(1 if active else 0)


def report_sent(rows: Sequence[OutboxRow], now: int) -> None:
    """Tell that a target has a message."""
    for row in rows:
        age = max(0, now - row.fired_at) / SECOND
        _alerts.labels("sent" if row is rows[0] else "digested").inc()
        _seconds.observe(age)
        _log.debug("alert sent", extra={**_facts(row), "age_s": round(age, 3)})


def report_retry(rows: Sequence[OutboxRow], reason: str, pause_s: float) -> None:
    """Tell that a message did not arrive and waits for another try."""
    _retries.labels(rows[0].target).inc()
    _log.warning(
        "alert not delivered, will be tried again",
        extra={**_facts(rows[0]), "alerts": len(rows), "reason": reason, "pause_s": pause_s},
    )


def report_failed(rows: Sequence[OutboxRow], reason: str) -> None:
    """Tell that a target will never take a message."""
    _alerts.labels("failed").inc(len(rows))
    _log.error(
        "alert not delivered", extra={**_facts(rows[0]), "alerts": len(rows), "reason": reason}
    )


def report_unanswered(rows: Sequence[OutboxRow], reason: str) -> None:
    """Tell that nobody knows whether alerts arrived."""
    for row in rows:
        if row.state == "pending":
            _retries.labels(row.target).inc()
            action = "alert unanswered, will be repeated once with a mark"
        else:
            _alerts.labels("unknown").inc()
            action = "alert unanswered: it may have arrived; not repeated"
        _log.warning(action, extra={**_facts(row), "reason": reason})


def report_to_repeat(rows: Sequence[OutboxRow], reason: str) -> None:
    """Tell that nobody knows whether critical alerts arrived, which no table can say yet."""
    report_unanswered([msgspec.structs.replace(row, state="pending") for row in rows], reason)


def report_expired(rows: Sequence[OutboxRow], known: Sequence[str]) -> None:
    """Tell that alerts became too old.

    Args:
        rows: as they are now.
        known: names of the targets that this process has.
    """
    for row in rows:
        _alerts.labels(row.state).inc()
        reason = "" if row.target in known else "this process has no such target"
        _log.warning("alert too old when its turn came", extra={**_facts(row), "reason": reason})


def report_suppressed(rows: Sequence[OutboxRow]) -> None:
    """Tell that alerts were muted."""
    for row in rows:
        _alerts.labels(row.state).inc()
        _log.info("alert muted", extra=_facts(row))


def report_escalated(rows: Sequence[OutboxRow]) -> None:
    """Tell that nobody acknowledged alerts."""
    for row in rows:
        _log.warning(
            "critical alert not acknowledged: telling a second target",
            extra={**_facts(row), "first": row.escalates},
        )


class Presence:
    """Tells what a sender is doing, when that is news."""

    def __init__(self) -> None:
        self._said = ""

    def away(self, error: psycopg.Error) -> None:
        """Tell that the database is away."""
        if self._said != "away":
            self._said = "away"
            reason = storable(str(error))
            _log.warning(
                "the database is away: alerts wait, critical ones go out where they fired",
                extra={"reason": reason},
            )

    def doing(self, what: str) -> None:
        """Tell what this sender does."""
        if self._said != what:
            self._said = what
            _log.info(what)


def storable(text: str) -> str:
    """Make an error's text fit for the log and the table: no secrets, no NUL, no end of length."""
    text = redact(text).replace("\0", " ").strip()
    return text.encode("utf-8", "replace").decode()[:500]


def _facts(row: OutboxRow) -> dict[str, str | int]:
    return {
        "outbox_id": row.id,
        "alert": row.alert_key,
        "target": row.target,
        "severity": row.severity,
        "attempts": row.attempts,
    }
