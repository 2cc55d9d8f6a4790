"""What is sent while the database is away: one turn of the sender of every process.

Critical alerts wait in the journals of the process that fired them (`sinks.alert_journal`), where
the attempt and its answer are on record. Here they go out as `sinks.dispatch` would send them:
within the limits, several in one message where there are many, and not when they are muted.
"""

from collections.abc import Callable, Iterable

import msgspec

from market.intervals import SECOND
from sinks import delivery_log
from sinks.alert_journal import AlertJournal
from sinks.alert_settings import AlertSettings
from sinks.calls import Attempt, Calls
from sinks.delivery import Delivered, Failure
from sinks.journaled_alert import JournaledAlert
from sinks.kept_mutes import KeptMutes
from sinks.message import Composer


class JournalDispatcher:
    """Decides and delivers; used by the sender's thread only.

    Args:
        calls: makes the calls of targets.
        settings: ages and digests; quiet hours do not hold back what is critical.
        composer: makes the messages.
        mutes: what was muted when the database last said so.
        clock: our clock, ns UTC.
    """

    def __init__(
        self,
        calls: Calls,
        settings: AlertSettings,
        composer: Composer,
        *,
        mutes: KeptMutes,
        clock: Callable[[], int],
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._composer = composer
        self._mutes = mutes
        self._clock = clock

    def deliver_next(self, journals: Iterable[AlertJournal]) -> bool:
        """Make one attempt; return whether one was made.

        Args:
            journals: of this process.
        """
        journals = list(journals)
        return any(self._deliver(journals, target) for target in self._calls.ready)

    def _deliver(self, journals: list[AlertJournal], target: str) -> bool:
        journal, due = self._due(journals, target)
        if journal is None or not self._calls.begin(target):
            return False
        enough = self._settings.digest_from
        alerts = journal.claim(self._calls.together(target, due, enough=enough))
        if not alerts:
            self._calls.cancel(target)
            return False
        rows = [alert.row() for alert in alerts]
        facts = {alert.key: alert.facts for alert in alerts}
        message = self._composer.without_store(rows, facts)
        self._record(journal, alerts, self._calls.make(rows, message, now=self._clock()))
        return True

    def _due(
        self, journals: list[AlertJournal], target: str
    ) -> tuple[AlertJournal | None, list[JournaledAlert]]:
        """Return the journal with the first fired of all alerts, and what waits in it."""
        found: tuple[AlertJournal | None, list[JournaledAlert]] = (None, [])
        oldest = self._clock() - int(self._settings.max_age_s * SECOND)
        for journal in journals:
            waiting = journal.due(target=target, oldest=oldest)
            due = [alert for alert in waiting if not self._is_muted(journal, alert)]
            if due and (not found[1] or due[0].fired_at < found[1][0].fired_at):
                found = (journal, due)
        return found

    def _is_muted(self, journal: AlertJournal, alert: JournaledAlert) -> bool:
        mute = self._mutes.muting(alert.facts, alert.target, now=self._clock())
        if mute is None:
            return False
        if journal.suppress(alert, reason=f"muted by {mute.created_by}"):
            row = msgspec.structs.replace(alert.row(), state="suppressed")
            delivery_log.report_suppressed([row])
        return True

    def _record(
        self, journal: AlertJournal, alerts: list[JournaledAlert], attempt: Attempt
    ) -> None:
        rows, outcome, pause_s = attempt
        if isinstance(outcome, Delivered):
            journal.record(alerts, "sent", detail=outcome.message_id)
            delivery_log.report_sent(rows, self._clock())
            return
        reason = delivery_log.storable(str(outcome))
        match outcome.failure:
            case Failure.RETRY:
                journal.record(alerts, "pending", detail=reason)
                delivery_log.report_retry(rows, reason, pause_s)
            case Failure.PERMANENT:
                journal.record(alerts, "failed", detail=reason)
                delivery_log.report_failed(rows, reason)
            case Failure.UNKNOWN:
                journal.record(alerts, "unknown", detail=reason)
                delivery_log.report_to_repeat(rows, reason)
