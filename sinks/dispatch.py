"""What is sent next, and what comes of it: one turn of the sender.

A turn takes the most urgent row whose target can be called now, gathers what can go with it, puts
the attempt on record, makes the call, and writes down the answer. An answer that cannot be written
down, because the database is away, stays in hand until it can. What is sent meanwhile is decided in
`sinks.journal_dispatch`.
"""

import time
from collections.abc import Callable

import msgspec
import psycopg

from market.intervals import SECOND
from sinks import delivery_log, outbox, outbox_waits
from sinks.acknowledgements import escalate
from sinks.alert_facts import read_facts
from sinks.alert_settings import AlertSettings
from sinks.calls import Attempt, Calls
from sinks.delivery import Delivered, DeliveryError, Failure
from sinks.kept_mutes import KeptMutes
from sinks.message import MOST, Composer
from sinks.mutes import suppress
from sinks.outbox_row import OutboxRow
from sinks.pictures import Picture, Pictures

POLL_S = 0.5
"""How often the outbox is looked at when nobody notifies."""
HELD_TOGETHER = 2
"""Alerts out of quiet hours from which on they go out together."""


class Dispatcher:
    """Decides and delivers; used by the sender's thread only.

    Args:
        calls: makes the calls of targets.
        settings: ages, digests, quiet hours, escalation.
        composer: makes the messages.
        picture: draws an alert; None for texts alone.
        mutes: told what is muted, for as long as the database says it.
        clock: our clock, ns UTC.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        calls: Calls,
        settings: AlertSettings,
        composer: Composer,
        *,
        picture: Picture | None,
        mutes: KeptMutes,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._quiet = settings.quiet
        self._composer = composer
        self._pictures = Pictures(picture) if picture is not None and settings.pictures else None
        self._mutes = mutes
        self._clock = clock
        self._monotonic = monotonic
        self._unrecorded: Attempt | None = None
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
        ready = self._calls.ready
        first = self._due(connection, ready) if ready else None
        if first is None:
            return False
        rows = self._gather(connection, first)
        first = rows[0]  # an older one may have become due since
        facts = read_facts(connection, [row.alert_key for row in rows])
        picture = None
        known = facts.get(first.alert_key)
        takes = self._calls.traits(first.target).takes_pictures
        if len(rows) == 1 and known is not None and self._pictures is not None and takes:
            # Before the attempt is on record: a drawing that ends the process sends nothing.
            picture = self._pictures.of(known) if known.chart else None
        if not self._calls.begin(first.target):
            return False
        try:
            rows = outbox.begin(connection, rows)
        except BaseException:
            self._calls.cancel(first.target)
            raise
        if not rows:
            self._calls.cancel(first.target)
            return True
        message = self._composer.digest(rows, facts)
        if picture is not None:
            message = msgspec.structs.replace(message, picture=picture)
        self._unrecorded = self._calls.make(rows, message, now=self._clock())
        self.record_unrecorded(connection)
        return True

    def wait_s(self) -> float:
        """Return in how many seconds there may be something to do, without news of it."""
        return self._calls.wait_s(POLL_S)

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
            expired = outbox_waits.expire(connection, oldest=self._oldest())
            delivery_log.report_expired(expired, self._calls.names)
            if quiet_until is None:
                outbox_waits.release(connection, now=now)
            if self._settings.escalate_to in self._calls.names:
                delivery_log.report_escalated(
                    escalate(
                        connection,
                        target=self._settings.escalate_to,
                        now=now,
                        after_ns=int(self._settings.escalate_after_s * SECOND),
                    )
                )
            self._mutes.refresh(connection, now=now)
        delivery_log.report_suppressed(suppress(connection, now=now))
        if quiet_until is not None and self._calls.quiet:
            outbox_waits.hold(
                connection, targets=self._calls.quiet, until=quiet_until, oldest=self._oldest()
            )

    def _due(self, connection: psycopg.Connection, ready: list[str]) -> OutboxRow | None:
        return outbox.due(connection, targets=ready, now=self._clock(), oldest=self._oldest())

    def _gather(self, connection: psycopg.Connection, first: OutboxRow) -> list[OutboxRow]:
        """Return what goes out in one message with `first`."""
        if not self._calls.traits(first.target).digests or first.escalates is not None:
            return [first]
        enough = HELD_TOGETHER if first.was_held else self._settings.digest_from
        rows = outbox.due_like(
            connection,
            first,
            now=self._clock(),
            oldest=self._oldest(),
            limit=max(MOST, enough),
        )
        return self._calls.together(first.target, rows or [first], enough=enough)

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

    def _oldest(self) -> int:
        return self._clock() - int(self._settings.max_age_s * SECOND)
