"""Alerts while the database is away: on the disk before anything else, and critical ones sent.

The store's writer keeps alerts here, each synced, and moves them into `alerts` and `outbox` when
the database is back. Until then the process that fired a critical one may send it itself:

    for journal in open_journals():                   # those of this process
        alerts = journal.claim(journal.due(target=name, oldest=ns))
        if alerts:                                    # the attempt is on the disk now
            ...call the target, with all of them in one message...
            journal.record(alerts, "sent", detail=message_id)

What `record` was told becomes the state of the outbox row when it is inserted, in one transaction
(`sinks.journal_settlement`). A row is claimed once more only after `pending`. Nothing is claimed
while alerts are moved, and nothing is moved while an attempt waits for its answer, at most
`ANSWER_S`. An alert that the database may have, because it went away during the commit, is never
claimed: its outbox row may have a sender already.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from sinks.alert_facts import facts_of_row
from sinks.journaled_alert import JournaledAlert, Mark, Outcome
from sinks.rows import ALERTS, Cell, Row
from sinks.spool import Appended, Spool
from sinks.spool_lane import Chunk, Entry
from sinks.tables import TABLES

JOURNAL_BYTES = 64 * 1024 * 1024
ANSWER_S = 10.0
"""How long an attempt may be without an answer before it counts as unknown."""
_DOUBTFUL = "alerts in doubt"
_MARKS = "marks"
_ALL = 1_000_000
_COLUMNS = [name for name, _ in TABLES[ALERTS].columns]


class Moving(msgspec.Struct, frozen=True):
    """Alerts on their way from the journal into the database.

    Attributes:
        chunk: what was read.
        rows: the alerts.
        marks: what was sent from here.
    """

    chunk: Chunk
    rows: list[list[Cell]]
    marks: list[Mark]


_log = logging.getLogger(__name__)

_open: set["AlertJournal"] = set()
_encode = msgspec.msgpack.encode
_decode_row: Callable[[bytes], list[Cell]] = msgspec.msgpack.Decoder().decode
_decode_mark = msgspec.msgpack.Decoder(Mark).decode


def open_journals() -> list["AlertJournal"]:
    """Return the journals that are open in this process."""
    return sorted(_open, key=lambda journal: str(journal.folder))


class AlertJournal:
    """The alerts of one writer. Safe for threads.

    Args:
        folder: made if need be.
        limit: bytes that the files may have.
        clock: a monotonic clock, s.

    Raises:
        ConfigError: another process uses the folder, or it cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: int = JOURNAL_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.spool = Spool(folder, limit=limit)
        self._clock = clock
        self._mutex = threading.Lock()
        self._critical: dict[tuple[str, str], JournaledAlert] = {}
        self._doubtful: dict[tuple[str, str], JournaledAlert] = {}
        self._marks: dict[tuple[str, str], Mark] = {}
        self._asked: dict[tuple[str, str], float] = {}
        self._is_moving = False
        for entry in self.spool.waiting():
            if entry.table == _MARKS:
                mark = _decode_mark(entry.payload)
                self._marks[mark.key, mark.target] = mark
            else:
                self._note(_decode_row(entry.payload), in_doubt=entry.table == _DOUBTFUL)
        _open.add(self)

    @property
    def alerts(self) -> int:
        """Alerts that wait here."""
        rows = self.spool.state().rows
        return rows.get(ALERTS, 0) + rows.get(_DOUBTFUL, 0)

    @property
    def is_ready(self) -> bool:
        """Whether something can be moved now."""
        with self._mutex:
            return self.spool.rows > 0 and not self._is_moving and not self._awaits_answer()

    # -- for the writer ----------------------------------------------------------------------

    def keep(self, rows: Sequence[Row], *, ts: int, in_doubt: bool) -> Appended:
        """Put alerts on the disk.

        Args:
            rows: of the table `alerts`.
            ts: when they came, our clock, ns UTC.
            in_doubt: the database may have them already.

        Returns:
            How many were taken, from the first on, and what had to go for them.
        """
        table = _DOUBTFUL if in_doubt else ALERTS
        # One step for others: an alert that has been moved already must not become claimable.
        with self._mutex:
            kept = self.spool.append(0, [Entry(table, 1, ts, _encode(row)) for row in rows])
            try:
                self.spool.sync()
            except OSError as error:
                _log.error(
                    "alerts may not be on the disk",
                    extra={"path": str(self.folder), "reason": error.strerror},
                )
            for row in rows[: kept.taken]:
                self._note(row, in_doubt=in_doubt)
        return kept

    def clear_doubt(self, rows: Iterable[Row]) -> None:
        """Note that the database does not have these alerts after all."""
        with self._mutex:
            for row in rows:
                for name in [each for each in self._doubtful if each[0] == row[0]]:
                    self._critical[name] = self._doubtful.pop(name)

    def _note(self, row: Sequence[Cell], *, in_doubt: bool) -> None:
        cells = dict(zip(_COLUMNS, row, strict=False))
        fired_at = cells["fired_at"]
        if cells["severity"] != "critical" or not isinstance(fired_at, int):
            return
        key = str(cells["key"])
        for target in _targets(row):
            name = (key, target)
            if in_doubt:
                self._critical.pop(name, None)
            elif name in self._doubtful:
                continue
            waiting = self._doubtful if in_doubt else self._critical
            waiting[name] = JournaledAlert(
                key=key,
                target=target,
                severity="critical",
                text=str(cells["text"]),
                fired_at=fired_at,
                facts=facts_of_row(cells),
            )

    def take(self) -> Moving | None:
        """Begin to move alerts into the database; None when none wait, or not now.

        They stay until `done`; `release` gives them back.
        """
        with self._mutex:
            if self._is_moving or self._awaits_answer():
                return None
            chunk = self.spool.take(_ALL)
            if chunk is None:
                return None
            self._is_moving = True
            return Moving(
                chunk=chunk,
                rows=[_decode_row(each.payload) for each in chunk.entries if each.table != _MARKS],
                marks=list(self._marks.values()),
            )

    def _awaits_answer(self) -> bool:
        now = self._clock()
        return any(asked + ANSWER_S > now for asked in self._asked.values())

    def done(self, moving: Moving) -> None:
        """Forget alerts that are in the database."""
        with self._mutex:
            self.spool.done(moving.chunk)
            for row in moving.rows:
                key = str(row[0])
                for target in _targets(row):
                    name = (key, target)
                    self._critical.pop(name, None)
                    self._doubtful.pop(name, None)
                    self._marks.pop(name, None)
                    self._asked.pop(name, None)
            self._is_moving = False

    def release(self, moving: Moving, *, in_doubt: bool) -> None:
        """Give back alerts; `in_doubt` when the database may have them."""
        with self._mutex:
            self.spool.release(moving.chunk)
            if in_doubt:
                for row in moving.rows:
                    for name in [each for each in self._critical if each[0] == row[0]]:
                        self._doubtful[name] = self._critical.pop(name)
            self._is_moving = False

    def close(self) -> None:
        """Give the folder back; what waits is found by the next start."""
        _open.discard(self)
        self.spool.close()

    # -- for the sender ----------------------------------------------------------------------

    def due(self, *, target: str, oldest: int) -> list[JournaledAlert]:
        """Return the critical alerts that wait for a target, the first fired first.

        Args:
            target: its name.
            oldest: alerts fired before this, ns UTC, are left to expire.
        """
        with self._mutex:
            if self._is_moving or self not in _open:
                return []
            due = [
                alert
                for alert in self._critical.values()
                if alert.target == target and alert.fired_at >= oldest and self._is_due(alert)
            ]
        return sorted(due, key=lambda each: (each.fired_at, each.key))

    def claim(self, alerts: Sequence[JournaledAlert]) -> list[JournaledAlert]:
        """Put an attempt on the disk, for alerts that go out in one message.

        Args:
            alerts: as `due` gives them; the first carries the others.

        Returns:
            Those that are still due, this attempt counted; none when the disk fails.
        """
        with self._mutex:
            if self._is_moving or self not in _open:
                return []
            begun = [
                msgspec.structs.replace(alert, attempts=1 + self._attempts(alert))
                for alert in alerts
                if self._is_due(alert)
            ]
            kept = self._mark(
                [Mark(each.key, each.target, "sending", each.attempts) for each in begun]
            )
            now = self._clock()
            self._asked.update({(each.key, each.target): now for each in begun[:kept]})
            return begun[:kept]

    def record(
        self, alerts: Sequence[JournaledAlert], state: Outcome, *, detail: str | None = None
    ) -> bool:
        """Put on the disk what came of claimed alerts.

        Args:
            alerts: as claimed.
            state: `pending` where they did not arrive and may be tried again.
            detail: the target's id of the message, or what went wrong.

        Returns:
            Whether they were still here; if not, they are in the outbox, to be repeated.
        """
        with self._mutex:
            if self._is_moving or self not in _open:
                return False  # their time was over: they go in as ones without an answer
            here = [alert for alert in alerts if self._is_attempt(alert)]
            for alert in here:
                self._asked.pop((alert.key, alert.target), None)
            self._mark(
                [
                    Mark(alert.key, alert.target, state, alert.attempts, detail)
                    if state != "sent" or alert is alerts[0]
                    else Mark(
                        alert.key, alert.target, "digested", alert.attempts, detail, alerts[0].key
                    )
                    for alert in here
                ]
            )
            return bool(here)

    def suppress(self, alert: JournaledAlert, *, reason: str) -> bool:
        """Note that an alert is muted, and not to be sent; return whether it was still due."""
        with self._mutex:
            if self._is_moving or self not in _open or not self._is_due(alert):
                return False
            attempts = self._attempts(alert)
            self._mark([Mark(alert.key, alert.target, "suppressed", attempts, reason)])
            return True

    def _is_due(self, alert: JournaledAlert) -> bool:
        name = (alert.key, alert.target)
        known = self._marks.get(name)
        return name in self._critical and (known is None or known.state == "pending")

    def _is_attempt(self, alert: JournaledAlert) -> bool:
        mark = self._marks.get((alert.key, alert.target))
        return mark is not None and mark.attempts == alert.attempts

    def _attempts(self, alert: JournaledAlert) -> int:
        known = self._marks.get((alert.key, alert.target))
        return known.attempts if known is not None else 0

    def _mark(self, marks: Sequence[Mark]) -> int:
        """Put marks of one state on the disk; return how many are there, from the first on."""
        now = time.time_ns()
        try:
            kept = self.spool.append(0, [Entry(_MARKS, 1, now, _encode(mark)) for mark in marks])
            self.spool.sync()
        except OSError:
            taken = 0
        else:
            taken = kept.taken
        for place, mark in enumerate(marks):
            if place < taken or mark.state != "sending":
                self._marks[mark.key, mark.target] = mark  # an answer counts, on the disk or not
        return taken


def _targets(row: Sequence[Cell]) -> list[str]:
    targets = row[_COLUMNS.index("targets")]
    return [str(target) for target in targets] if isinstance(targets, list) else []
