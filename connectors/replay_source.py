"""Bytewax input of recordings that are played again."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.contract import Venue
from connectors.drain import Drain, MicroBatch
from connectors.playback import Playback
from connectors.recording import Record, Recording, merged
from market.errors import RecordingError

RECORDS_PER_BATCH = 500
PACE = timedelta(milliseconds=20)

log = logging.getLogger(__name__)


class ReplaySource(FixedPartitionedSource[MicroBatch, int]):
    """Recordings, read as one by time, through the objects that made them.

    Args:
        paths: the recordings.
        venues: `connectors.VENUES`.
        batch: records taken together.
        speed: times real time; 0 for as fast as it goes.
        controls: bodies of `control` records that replace the recorded ones, or None to obey these.
        stopping: set when the flow shall end early.

    The state is the number of records taken. A flow that resumes reads from the beginning, so that
    the protocols are where they were, and passes on only what comes after.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        venues: Mapping[str, Venue],
        *,
        batch: int = RECORDS_PER_BATCH,
        speed: float = 0.0,
        controls: Sequence[bytes] | None = None,
        stopping: threading.Event,
    ) -> None:
        self._paths = paths
        self._venues = venues
        self._batch = batch
        self._speed = speed
        self._controls = controls
        self._stopping = stopping
        self.drains: list[Drain] = []
        self.problems: list[str] = []
        self._recordings: list[Recording] = []
        self._partition: ReplayPartition | None = None

    def share_read(self) -> float:
        """Return how much of the recordings this process has read, 0 to 1; 1 only at the end."""
        if self._partition is None:
            return 0.0
        if self._partition.has_ended:
            return 1.0
        whole = sum(each.path.stat().st_size for each in self._recordings)
        return min(0.999, sum(each.bytes_read for each in self._recordings) / max(whole, 1))

    def list_parts(self) -> list[str]:
        """One partition: a recording has one order."""
        return ["recording"]

    def build_part(
        self, _step_id: str, _for_part: str, resume_state: int | None
    ) -> "ReplayPartition":
        """Open the recordings and go to where the flow was."""
        drain = Drain()
        self.drains.append(drain)
        self._recordings = [Recording(path) for path in self._paths]
        self._partition = ReplayPartition(
            self._recordings,
            Playback(self._venues, path=", ".join(str(path) for path in self._paths)),
            drain,
            batch=self._batch,
            speed=self._speed,
            controls=self._controls,
            stopping=self._stopping,
            position=resume_state or 0,
            problems=self.problems,
        )
        return self._partition


class ReplayPartition(StatefulSourcePartition[MicroBatch, int]):
    """The one input of a replay."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        playback: Playback,
        drain: Drain,
        *,
        batch: int,
        speed: float,
        controls: Sequence[bytes] | None,
        stopping: threading.Event,
        position: int,
        problems: list[str],
    ) -> None:
        self._recordings = recordings
        self._records: Iterator[Record] = merged(recordings)
        self._playback = playback
        self._drain = drain
        self._batch = batch
        self._speed = speed
        self._obeys_recorded = controls is None
        self._stopping = stopping
        self._position = 0
        self._problems = problems
        self._next: Record | None = None
        self._began: tuple[int, float] | None = None
        self.has_ended = False
        for body in controls or ():
            drain.add(Record(0, "", "control", body), [])
        for _ in range(position):
            record = self._peek()
            if record is None:
                break
            self._next = None
            self._add(record)
        drain.take()
        drain.forget_symbols()
        drain.forget_counts()

    def next_batch(self) -> Iterable[MicroBatch]:
        """Take the records that are due."""
        if self._stopping.is_set():
            raise StopIteration
        groups: list[MicroBatch] = []
        taken = 0
        while not groups:  # the engine waits after an empty batch
            taken = 0
            while taken < self._batch:
                record = self._peek()
                if record is None or (self._speed and not self._is_due(record)):
                    break
                self._next = None
                self._add(record)
                taken += 1
            self._drain.dead_letters.clear()
            groups = self._drain.take()
            if taken < self._batch:
                break
        if not taken and self._next is None:
            self._say_what_is_wrong()
            self.has_ended = True
            raise StopIteration
        return groups

    def next_awake(self) -> datetime | None:
        """Look again soon when the next record is not due yet."""
        if self._speed and self._next is not None:
            return datetime.now(UTC) + PACE
        return None

    def snapshot(self) -> int:
        """Return how many records were taken."""
        return self._position

    def _add(self, record: Record) -> None:
        self._position += 1
        if record.kind == "control" and not record.conn and not self._obeys_recorded:
            return
        try:
            self._drain.add(record, self._playback.take(record))
        except RecordingError as error:
            self._end(error)
        except msgspec.DecodeError as error:
            paths = ", ".join(str(recording.path) for recording in self._recordings)
            self._end(RecordingError(f"specs of a control record: {error}", path=paths))

    def _end(self, error: RecordingError) -> None:
        """Read no further: what follows cannot be trusted."""
        self._problems.append(str(error))
        log.error("recording is damaged", extra={"reason": str(error)})
        self._records = iter(())

    def _peek(self) -> Record | None:
        if self._next is None:
            try:
                self._next = next(self._records, None)
            except RecordingError as error:
                self._end(error)
        return self._next

    def _is_due(self, record: Record) -> bool:
        if self._began is None:
            self._began = (record.ts, time.monotonic())
        first, started = self._began
        return (record.ts - first) / 1e9 <= (time.monotonic() - started) * self._speed

    def _say_what_is_wrong(self) -> None:
        for recording in self._recordings:
            if recording.truncated:
                text = f"{recording.path}: cut in its middle; read up to the last whole record"
                self._problems.append(text)
                log.warning("recording is cut", extra={"path": str(recording.path)})
