"""Alerts while the database is away: on the disk before anything else, and critical ones sent.

The store's writer keeps alerts here, each synced, and moves them into `alerts` and `outbox` when
the database is back. Until then the process that fired a critical one may send it itself:

    for journal in open_journals():                   # those of this process
        alert = journal.claim(targets=names, oldest=ns)   # the attempt is on the disk now
        if alert is not None:
            ...call the target...
            journal.record(alert, "sent", detail=message_id)

What `record` was told becomes the state of the outbox row when it is inserted, in one transaction:
`sent` and `failed` are final, `pending` (it did not arrive for sure) is left to the sender. So is
an attempt without an answer, with the mark of a repeat: it goes out once more, or becomes `unknown`
where that is too late. A row is claimed once more only after `pending`. Nothing is claimed while
alerts are moved, and nothing is moved while an attempt waits for its answer, at most `ANSWER_S`. An
alert that the database may have, because it went away during the commit, is never claimed: its
outbox row may have a sender already.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import psycopg

from sinks.outbox import REPEAT_MARK
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

Outcome = Literal["sent", "failed", "unknown", "pending"]


class JournaledAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One critical alert for one target.

    Attributes:
        key: the alert's identity.
        target: name of the target, `"telegram/main"`.
        severity: `critical`.
        text: what is sent.
        fired_at: our time when the spec fired, ns UTC.
        attempts: calls to the target so far; of a claimed one, this one included.
    """

    key: str
    target: str
    severity: str
    text: str
    fired_at: int
    attempts: int = 0


class Mark(msgspec.Struct, frozen=True):
    """What became of an alert that was sent from here.

    Attributes:
        key: the alert's identity.
        target: name of the target.
        state: `sending` until there is an answer.
        attempts: calls to the target so far.
        detail: the target's id of the message, or what went wrong; None for neither.
    """

    key: str
    target: str
    state: Literal["sending", "sent", "failed", "unknown", "pending"]
    attempts: int
    detail: str | None = None


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

    def claim(self, *, targets: Collection[str], oldest: int) -> JournaledAlert | None:
        """Take the next critical alert that waits and put the attempt on the disk.

        Args:
            targets: names of the targets that can be called now.
            oldest: alerts fired before this, ns UTC, are left to expire.

        Returns:
            The alert, the first fired first; None when there is none, or the disk fails.
        """
        with self._mutex:
            if self._is_moving or self not in _open:
                return None
            due = [
                alert
                for name, alert in self._critical.items()
                if alert.target in targets
                and alert.fired_at >= oldest
                and (name not in self._marks or self._marks[name].state == "pending")
            ]
            if not due:
                return None
            alert = min(due, key=lambda each: (each.fired_at, each.key, each.target))
            known = self._marks.get((alert.key, alert.target))
            attempts = 1 + (known.attempts if known is not None else 0)
            if not self._mark(Mark(alert.key, alert.target, "sending", attempts)):
                return None
            self._asked[alert.key, alert.target] = self._clock()
            return msgspec.structs.replace(alert, attempts=attempts)

    def record(self, alert: JournaledAlert, state: Outcome, *, detail: str | None = None) -> bool:
        """Put on the disk what came of a claimed alert.

        Args:
            alert: as claimed.
            state: `pending` where it did not arrive and may be tried again.
            detail: the target's id of the message, or what went wrong.

        Returns:
            Whether it was still here; if not, it is in the outbox, to be repeated.
        """
        name = (alert.key, alert.target)
        with self._mutex:
            mark = self._marks.get(name)
            if mark is None or mark.attempts != alert.attempts or self not in _open:
                return False
            if self._is_moving:
                return False  # its time was over: it is being inserted as one without an answer
            self._asked.pop(name, None)
            self._mark(Mark(alert.key, alert.target, state, alert.attempts, detail))
            return True

    def _mark(self, mark: Mark) -> bool:
        try:
            kept = self.spool.append(0, [Entry(_MARKS, 1, time.time_ns(), _encode(mark))])
            self.spool.sync()
        except OSError:
            is_kept = False
        else:
            is_kept = kept.taken == 1
        if is_kept or mark.state != "sending":
            self._marks[mark.key, mark.target] = mark  # an answer counts, on the disk or not
        return is_kept


def _targets(row: Sequence[Cell]) -> list[str]:
    targets = row[_COLUMNS.index("targets")]
    return [str(target) for target in targets] if isinstance(targets, list) else []


def settle(connection: psycopg.Connection, marks: Iterable[Mark]) -> None:
    """Give outbox rows the states of what was sent from a journal, in the caller's transaction.

    Rows that someone else has begun to send are left as they are. What has no answer is critical:
    it is left to the sender, to be repeated once with `REPEAT_MARK`.
    """
    for mark in marks:
        is_unanswered = mark.state in ("sending", "unknown")
        state = "pending" if is_unanswered else mark.state
        error = mark.detail if state != "sent" else None
        if mark.state == "sending":
            error = "sent while the database was away, without an answer on record"
        connection.execute(
            "UPDATE outbox SET state = %(state)s, attempts = %(attempts)s, attempted_at = now(),"
            " message_id = %(message_id)s, error = %(error)s,"
            " text = CASE WHEN %(repeats)s AND NOT starts_with(text, %(mark)s)"
            " THEN %(mark)s || text ELSE text END,"
            " finished_at = CASE WHEN %(state)s = 'pending' THEN NULL ELSE now() END"
            " WHERE alert_key = %(key)s AND target = %(target)s AND state = 'pending'",
            {
                "state": state,
                "attempts": mark.attempts,
                "message_id": mark.detail if state == "sent" else None,
                "error": error,
                "repeats": is_unanswered,
                "mark": REPEAT_MARK,
                "key": mark.key,
                "target": mark.target,
            },
        )
