"""What is sent next, and what comes of it: one turn of the sender.

A turn takes the most urgent row whose target can be called now, gathers what can go with it, puts
the attempt on record, makes the call, and writes down the answer. An answer that cannot be written
down, because the database is away, stays in hand until it can.

While the database is away a turn takes a critical alert from a journal of this process
(`sinks.alert_journal`), where the attempt and its answer are on record instead: one at a time,
within the same limits; who muted it cannot be known.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
import psycopg

from sinks import delivery_log, outbox
from sinks.acknowledgements import escalate
from sinks.alert_facts import AlertFacts, read_facts
from sinks.alert_journal import AlertJournal, JournaledAlert
from sinks.alert_settings import AlertSettings
from sinks.delivery import Delivered, DeliveryError, Failure, Target
from sinks.message import MOST, Composer, Link, Message
from sinks.mutes import suppress
from sinks.outbox import OutboxRow
from sinks.pacing import Pace, Pacer
from sinks.pictures import Picture, Pictures

POLL_S = 0.5
"""How often the outbox is looked at when nobody notifies."""
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses of a target, by failures in a row, where it does not say itself how long."""
HELD_TOGETHER = 2
"""Alerts out of quiet hours from which on they go out together."""

_SECOND = 1_000_000_000


class _Attempt(NamedTuple):
    """An attempt that was made, and what came of it."""

    rows: list[OutboxRow]
    outcome: Delivered | DeliveryError
    pause_s: float


class Dispatcher:
    """Decides and delivers; used by the sender's thread only.

    Args:
        targets: name, as the outbox has it, to target.
        settings: ages, digests, quiet hours, escalation.
        pacer: says when a target may be called; others may use it too.
        link: address of a market's page.
        picture: draws an alert; None for texts alone.
        clock: our clock, ns UTC.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        settings: AlertSettings,
        *,
        pacer: Pacer,
        link: Link,
        picture: Picture | None,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._targets = dict(targets)
        self._traits = {name: target.traits for name, target in self._targets.items()}
        self._paces = {
            name: traits.pace if traits.pace is not None else Pace(f"target {name}")
            for name, traits in self._traits.items()
        }
        self._quiet_targets = [name for name, traits in self._traits.items() if traits.keeps_quiet]
        self._settings = settings
        self._quiet = settings.quiet
        self._pacer = pacer
        self._composer = Composer(settings.zone, link)
        self._pictures = Pictures(picture) if picture is not None and settings.pictures else None
        self._clock = clock
        self._monotonic = monotonic
        self._failures = dict.fromkeys(self._targets, 0)
        self._unrecorded: _Attempt | None = None
        self._next_care = 0.0

    def take_over(self, connection: psycopg.Connection) -> None:
        """Begin to be the one that sends: give up what another had in hand."""
        delivery_log.report_unanswered(
            outbox.recover(connection, oldest=self._oldest()),
            "the sender before ended without recording the answer",
        )
        self._next_care = 0.0

    def deliver_next(self, connection: psycopg.Connection) -> bool:
        """Make one attempt; return whether one was made."""
        self._care(connection)
        ready = [name for name, pace in self._paces.items() if self._pacer.wait_s(pace) <= 0]
        first = self._due(connection, ready) if ready else None
        if first is None:
            return False
        rows = self._gather(connection, first)
        facts = read_facts(connection, [row.alert_key for row in rows])
        picture = None
        known = facts.get(first.alert_key)
        takes = self._traits[first.target].takes_pictures
        if len(rows) == 1 and known is not None and self._pictures is not None and takes:
            # Before the attempt is on record: a drawing that ends the process sends nothing.
            picture = self._pictures.of(known) if known.chart else None
        pace = self._paces[first.target]
        if not self._pacer.begin(pace):
            return False
        try:
            rows = outbox.begin(connection, rows)
        except BaseException:
            self._pacer.cancel(pace)
            raise
        if not rows:
            self._pacer.cancel(pace)
            return True
        try:
            outcome = self._call(rows, facts, picture)
        finally:
            self._pacer.end(pace)
        self._unrecorded = self._judge(rows, outcome)
        self.record_unrecorded(connection)
        return True

    def deliver_journaled(self, journals: Iterable[AlertJournal]) -> bool:
        """Make one attempt for a critical alert that waits for the database; whether one was made.

        Args:
            journals: of this process.
        """
        journals = list(journals)
        for name, pace in self._paces.items():
            if not self._pacer.begin(pace):
                continue
            taken = self._claim(journals, name)
            if taken is None:
                self._pacer.cancel(pace)
                continue
            journal, alert = taken
            row = _row_of(alert)
            try:
                outcome = self._send(self._composer.without_store(row), name)
            finally:
                self._pacer.end(pace)
            self._record_journaled(journal, alert, self._judge([row], outcome))
            return True
        return False

    def wait_s(self) -> float:
        """Return in how many seconds there may be something to do, without news of it."""
        waits = [wait for wait in map(self._pacer.wait_s, self._paces.values()) if wait > 0]
        return min([POLL_S, *waits])

    def record_unrecorded(self, connection: psycopg.Connection) -> None:
        """Write down what the last attempt came to; it stays in hand until that succeeds."""
        if self._unrecorded is None:
            return
        rows, outcome, pause_s = self._unrecorded
        if isinstance(outcome, Delivered):
            if outbox.record_sent(connection, rows, outcome.message_id):
                delivery_log.report_sent(rows, self._clock())
        else:
            self._record_error(connection, rows, outcome, pause_s=pause_s)
        self._unrecorded = None

    def _care(self, connection: psycopg.Connection) -> None:
        """Take out of the way what is not to be sent, or not now."""
        now = self._clock()
        moment = self._monotonic()
        quiet_until = self._quiet.until(now) if self._quiet is not None else None
        if moment >= self._next_care:
            self._next_care = moment + POLL_S
            expired = outbox.expire(connection, oldest=self._oldest())
            delivery_log.report_expired(expired, list(self._targets))
            if quiet_until is None:
                outbox.release(connection, now=now)
            if self._settings.escalate_to in self._targets:
                delivery_log.report_escalated(
                    escalate(
                        connection,
                        target=self._settings.escalate_to,
                        now=now,
                        after_ns=int(self._settings.escalate_after_s * _SECOND),
                    )
                )
        delivery_log.report_suppressed(suppress(connection, now=now))
        if quiet_until is not None and self._quiet_targets:
            outbox.hold(
                connection, targets=self._quiet_targets, until=quiet_until, oldest=self._oldest()
            )

    def _due(self, connection: psycopg.Connection, ready: list[str]) -> OutboxRow | None:
        return outbox.due(connection, targets=ready, now=self._clock(), oldest=self._oldest())

    def _gather(self, connection: psycopg.Connection, first: OutboxRow) -> list[OutboxRow]:
        """Return what goes out in one message with `first`."""
        if not self._traits[first.target].digests or first.escalates is not None:
            return [first]
        enough = HELD_TOGETHER if first.was_held else self._settings.digest_from
        rows = outbox.due_like(
            connection,
            first,
            now=self._clock(),
            oldest=self._oldest(),
            limit=max(MOST, enough),
        )
        return rows[:MOST] if len(rows) >= enough else [first]

    def _call(
        self, rows: list[OutboxRow], facts: Mapping[str, AlertFacts], picture: bytes | None
    ) -> Delivered | DeliveryError:
        message = self._composer.digest(rows, facts)
        if picture is not None:
            message = msgspec.structs.replace(message, picture=picture)
        return self._send(message, rows[0].target)

    def _send(self, message: Message, target: str) -> Delivered | DeliveryError:
        try:
            return self._targets[target].send(message, self._clock())
        except DeliveryError as error:
            return error

    def _judge(self, rows: list[OutboxRow], outcome: Delivered | DeliveryError) -> _Attempt:
        target = rows[0].target
        if isinstance(outcome, Delivered) or outcome.failure is Failure.PERMANENT:
            self._failures[target] = 0  # it answers: nothing to wait for
            return _Attempt(rows, outcome, 0.0)
        failures = self._failures[target]
        self._failures[target] = failures + 1
        pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
        asked = outcome.retry_after_s
        if asked is not None:
            pause = max(asked, 0.0)
        self._pacer.pause(self._paces[target], pause, limited=asked is not None)
        return _Attempt(rows, outcome, pause)

    def _record_error(
        self,
        connection: psycopg.Connection,
        rows: list[OutboxRow],
        error: DeliveryError,
        *,
        pause_s: float,
    ) -> None:
        reason = delivery_log.storable(str(error))
        match error.failure:
            case Failure.RETRY:
                if outbox.record_retry(connection, rows, reason, delay_s=pause_s):
                    delivery_log.report_retry(rows, reason, pause_s)
            case Failure.PERMANENT:
                if outbox.record_failed(connection, rows, reason):
                    delivery_log.report_failed(rows, reason)
            case Failure.UNKNOWN:
                now_rows = outbox.record_unanswered(
                    connection, rows, reason, oldest=self._oldest(), delay_s=pause_s
                )
                delivery_log.report_unanswered(now_rows, reason)

    def _claim(
        self, journals: Iterable[AlertJournal], target: str
    ) -> tuple[AlertJournal, JournaledAlert] | None:
        for journal in journals:
            alert = journal.claim(targets=(target,), oldest=self._oldest())
            if alert is not None:
                return journal, alert
        return None

    def _record_journaled(
        self, journal: AlertJournal, alert: JournaledAlert, attempt: _Attempt
    ) -> None:
        rows, outcome, pause_s = attempt
        if isinstance(outcome, Delivered):
            journal.record(alert, "sent", detail=outcome.message_id)
            delivery_log.report_sent(rows, self._clock())
            return
        reason = delivery_log.storable(str(outcome))
        match outcome.failure:
            case Failure.RETRY:
                journal.record(alert, "pending", detail=reason)
                delivery_log.report_retry(rows, reason, pause_s)
            case Failure.PERMANENT:
                journal.record(alert, "failed", detail=reason)
                delivery_log.report_failed(rows, reason)
            case Failure.UNKNOWN:
                journal.record(alert, "unknown", detail=reason)
                again = [msgspec.structs.replace(row, state="pending") for row in rows]
                delivery_log.report_unanswered(again, reason)

    def _oldest(self) -> int:
        return self._clock() - int(self._settings.max_age_s * _SECOND)


def _row_of(alert: JournaledAlert) -> OutboxRow:
    """Return a journaled alert as the row that it will be; it has no place in the table yet."""
    return OutboxRow(
        id=0,
        alert_key=alert.key,
        target=alert.target,
        severity=alert.severity,
        text=alert.text,
        state="sending",
        attempts=alert.attempts,
        fired_at=alert.fired_at,
    )
