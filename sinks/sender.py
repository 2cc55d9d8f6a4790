"""The one sender: takes alerts from the outbox and calls their targets.

Every process may have a `Sender`; the one whose connection holds the outbox's advisory lock sends,
the others ask for the lock once a second. The lock dies with the connection, and the server ends
the connection of a sender that is frozen, cut off or killed: another takes over within 10 s.
It needs a session of its own: a pooler that shares sessions (transaction pooling) must not be
between the sender and the server.

A delivery is one attempt, on record before the call. What comes back decides: an answer makes the
row `sent` or `failed`; "not now" and "no connection" put it back, and leave the target alone for a
while; no answer makes it `unknown`. An answer that cannot be recorded, because the database is
away, is kept and recorded first thing when it is back.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import psycopg
from prometheus_client import Counter, Gauge, Histogram

from sinks import outbox
from sinks.alert_settings import AlertSettings
from sinks.delivery import Delivered, DeliveryError, Failure, Target
from sinks.insertion import CHANNEL
from sinks.outbox import OutboxRow
from sinks.redaction import redact
from sinks.secret import Secret

POLL_S = 0.5
"""How often the outbox is looked at when nobody notifies."""
WAKE_S = 0.1
"""How soon a stop is noticed."""
STANDBY_S = 1.0
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses of a target, by failures in a row, where it does not say itself how long."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0)
"""Pauses before asking an absent database again."""
STOP_S = 0.9

CALL_LIMIT_S = 6.0
"""A target's `send` returns within this time."""

_SESSION = {
    # A frozen sender says nothing to the server; one that waits for a target is silent for
    # CALL_LIMIT_S at most. Eight seconds tell them apart.
    "idle_session_timeout": "8s",
    # The same for a host that is gone; without effect on a Unix socket.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "statement_timeout": "5s",
    "default_transaction_isolation": "read committed",
}

_SECOND = 1_000_000_000

_log = logging.getLogger(__name__)

_alerts = Counter("candlewax_alerts", "Outbox rows that this process finished", ["state"])
_retries = Counter("candlewax_alert_retries", "Deliveries put back to be tried again", ["target"])
_seconds = Histogram(
    "candlewax_alert_delivery_seconds",
    "From an alert's firing to the target's answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
_active = Gauge("candlewax_alert_sender_active", "1 while this process is the one that sends")

for _state in ("sent", "failed", "expired", "unknown"):
    _alerts.labels(_state)  # a state that never came shows as 0, not as nothing


class _Attempt(NamedTuple):
    """An attempt that was made, and what came of it."""

    row: OutboxRow
    outcome: Delivered | DeliveryError
    pause_s: float


class Sender:
    """A thread that delivers the alerts of one outbox.

    Args:
        dsn: address of the database; at least PostgreSQL 14.
        targets: name, as the outbox has it, to target. The sender closes them when it ends.
        settings: how old an alert may get.
        clock: our clock, ns UTC.

    A bug in a target ends the thread with a traceback, and `is_alive` says so; no error of a
    database, network or target does.
    """

    def __init__(
        self,
        dsn: Secret,
        targets: Mapping[str, Target],
        settings: AlertSettings,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._dsn = dsn
        self._targets = dict(targets)
        self._max_age = int(settings.max_age_s * _SECOND)
        self._clock = clock
        self._stop = threading.Event()
        self._drain_until = 0.0
        self._is_sending = False
        self._failures = dict.fromkeys(self._targets, 0)
        self._paused_until = dict.fromkeys(self._targets, 0.0)
        self._unrecorded: _Attempt | None = None
        self._next_expiry = 0.0
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="alert-sender", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_sending(self) -> bool:
        """Whether this sender holds the lock."""
        return self._is_sending

    def start(self) -> None:
        """Start the thread; the database need not be there yet."""
        self._thread.start()

    def stop(self, *, drain_s: float = 0.0) -> bool:
        """End the thread, a call that is not answered in time included.

        Args:
            drain_s: seconds to go on for, while rows are due.

        Returns:
            Whether the thread ended, within `drain_s` and a second.
        """
        self._drain_until = time.monotonic() + drain_s
        self._stop.set()
        if not self._thread.is_alive():
            return True
        self._thread.join(drain_s + STOP_S / 2)
        if self._thread.is_alive():
            for target in self._targets.values():
                target.abort()
            self._thread.join(STOP_S / 2)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        try:
            while True:
                try:
                    with self._session() as connection:
                        failures = 0
                        self._serve(connection)
                except psycopg.Error as error:
                    self._report_away(error)
                    self._stop.wait(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                    failures += 1
                if self._stop.is_set():
                    return
        finally:
            for target in self._targets.values():
                target.close()

    @contextlib.contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """Open a connection; what happens to it ends our turn, and with it the lock."""
        connection = psycopg.connect(
            self._dsn.reveal(),
            autocommit=True,
            connect_timeout=3,
            application_name="candlewax alert sender",
            tcp_user_timeout=5000,
        )
        try:
            for name, value in _SESSION.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            yield connection
        finally:
            self._is_sending = False
            _active.set(0)
            connection.close()

    def _serve(self, connection: psycopg.Connection) -> None:
        self._record_unrecorded(connection)
        while not outbox.take_lock(connection):
            self._report_back("another process sends the alerts; standing by")
            if self._stop.wait(STANDBY_S):
                return
        connection.execute(f"LISTEN {CHANNEL}")
        self._is_sending = True
        _active.set(1)
        self._report_back("sending alerts")
        for row in outbox.recover(connection, oldest=self._oldest()):
            self._report_unanswered(row, "the sender before ended without recording the answer")
        self._next_expiry = 0.0
        while True:
            delivered = self._deliver_next(connection)
            if self._stop.is_set() and (not delivered or time.monotonic() >= self._drain_until):
                return
            if not delivered:
                self._wait_for_news(connection)

    def _deliver_next(self, connection: psycopg.Connection) -> bool:
        """Make one attempt; return whether a row was due."""
        now = time.monotonic()
        if now >= self._next_expiry:
            self._next_expiry = now + POLL_S
            for old in outbox.expire(connection, oldest=self._oldest()):
                self._report_expired(old)
        ready = [name for name, until in self._paused_until.items() if until <= now]
        row = outbox.claim(connection, targets=ready, oldest=self._oldest()) if ready else None
        if row is None:
            return False
        self._unrecorded = self._attempt(row)
        self._record_unrecorded(connection)
        return True

    def _attempt(self, row: OutboxRow) -> _Attempt:
        outcome: Delivered | DeliveryError
        try:
            outcome = self._targets[row.target].send(row.text, self._clock())
        except DeliveryError as error:
            outcome = error
        if isinstance(outcome, Delivered) or outcome.failure is Failure.PERMANENT:
            self._failures[row.target] = 0  # it answers: nothing to wait for
            return _Attempt(row, outcome, 0.0)
        return _Attempt(row, outcome, self._back_off(row.target, outcome.retry_after_s))

    def _record_unrecorded(self, connection: psycopg.Connection) -> None:
        """Write down what the last attempt came to; it stays in hand until that succeeds."""
        if self._unrecorded is None:
            return
        row, outcome, pause_s = self._unrecorded
        if isinstance(outcome, Delivered):
            self._record_sent(connection, row, outcome)
        else:
            self._record_error(connection, row, outcome, pause_s=pause_s)
        self._unrecorded = None

    def _record_sent(
        self, connection: psycopg.Connection, row: OutboxRow, outcome: Delivered
    ) -> None:
        if outbox.record_sent(connection, row, outcome.message_id):
            age = max(0, self._clock() - row.fired_at) / _SECOND
            _alerts.labels("sent").inc()
            _seconds.observe(age)
            _log.debug("alert sent", extra={**_facts(row), "age_s": round(age, 3)})

    def _record_error(
        self,
        connection: psycopg.Connection,
        row: OutboxRow,
        error: DeliveryError,
        *,
        pause_s: float,
    ) -> None:
        reason = _storable(str(error))
        match error.failure:
            case Failure.RETRY:
                if outbox.record_retry(connection, row, reason, delay_s=pause_s):
                    _retries.labels(row.target).inc()
                    _log.warning(
                        "alert not delivered, will be tried again",
                        extra={**_facts(row), "reason": reason, "pause_s": pause_s},
                    )
            case Failure.PERMANENT:
                if outbox.record_failed(connection, row, reason):
                    _alerts.labels("failed").inc()
                    _log.error("alert not delivered", extra={**_facts(row), "reason": reason})
            case Failure.UNKNOWN:
                now_row = outbox.record_unanswered(
                    connection, row, reason, oldest=self._oldest(), delay_s=pause_s
                )
                if now_row is not None:
                    self._report_unanswered(now_row, reason)

    def _back_off(self, target: str, retry_after_s: float | None) -> float:
        """Leave a target alone for a while and return for how many seconds."""
        failures = self._failures[target]
        self._failures[target] = failures + 1
        pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
        if retry_after_s is not None:
            pause = max(retry_after_s, 0.0)
        self._paused_until[target] = time.monotonic() + pause
        return pause

    def _wait_for_news(self, connection: psycopg.Connection) -> None:
        """Wait for a notification, a stop, or a paused target's time; at most `POLL_S`."""
        now = time.monotonic()
        deadline = min([now + POLL_S, *(t for t in self._paused_until.values() if t > now)])
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if list(connection.notifies(timeout=min(left, WAKE_S), stop_after=1)):
                return

    def _oldest(self) -> int:
        return self._clock() - self._max_age

    def _report_unanswered(self, row: OutboxRow, reason: str) -> None:
        if row.state == "pending":
            _retries.labels(row.target).inc()
            action = "alert unanswered, will be repeated once with a mark"
        else:
            _alerts.labels("unknown").inc()
            action = "alert unanswered: it may have arrived; not repeated"
        _log.warning(action, extra={**_facts(row), "reason": reason})

    def _report_expired(self, row: OutboxRow) -> None:
        _alerts.labels(row.state).inc()
        reason = "" if row.target in self._targets else "this process has no such target"
        _log.warning("alert too old when its turn came", extra={**_facts(row), "reason": reason})

    def _report_away(self, error: psycopg.Error) -> None:
        if self._said != "away":
            self._said = "away"
            _log.warning(
                "the database is away, alerts wait", extra={"reason": _storable(str(error))}
            )

    def _report_back(self, what: str) -> None:
        """Log what this sender does, when that is news."""
        if self._said != what:
            self._said = what
            _log.info(what)


def _storable(text: str) -> str:
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
