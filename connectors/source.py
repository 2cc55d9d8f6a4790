"""Bytewax inputs: live feeds, and recordings played again."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from bytewax.inputs import (
    DynamicSource,
    FixedPartitionedSource,
    StatefulSourcePartition,
    StatelessSourcePartition,
)
from prometheus_client import Counter

from connectors.contract import Told, Venue
from connectors.dead_letters import DeadLetterFile
from connectors.drain import Drain, FlowEvent, encode_control
from connectors.feed import Feed, Steering
from connectors.frame_queue import CAPACITY, FrameQueue
from connectors.placement import owner_of
from connectors.playback import Playback
from connectors.reader import Clock, Reader
from connectors.recording import Record, Recording, RecordingWriter, merged
from connectors.venue_feeds import VenueFeeds
from filters.specs import SpecsChanged
from market.errors import RecordingError

MicroBatch: TypeAlias = tuple[str, list[FlowEvent]]

RECORDS_PER_BATCH = 500
FLUSH_EVERY_S = 1.0
PACE = timedelta(milliseconds=20)

RECORDINGS_ENDED = Counter(
    "candlewax_recordings_ended_total", "Recordings that ended because they could not be written"
)

log = logging.getLogger(__name__)


class Helm:
    """Takes wishes of the flow to the reader that can fulfil them, within one process."""

    def __init__(self) -> None:
        self._readers: dict[str, Reader] = {}
        self._frames: dict[int, FrameQueue] = {}
        self._workers = 1
        self._clock = Clock()
        self._specs: SpecsChanged | None = None
        self._lock = threading.Lock()

    def connect(self, frames: FrameQueue, worker: int, workers: int) -> None:
        """Have a worker's queue into which to tell what steers."""
        with self._lock:
            self._frames[worker] = frames
            self._workers = workers
            if self._specs is not None:
                self._put_specs(self._specs, worker, frames)

    def tell(self, symbol: str, body: bytes, *, kind: Literal["control", "history"]) -> None:
        """Let a symbol's market know something, behind all that was read of it so far.

        It goes through the queue of the worker that owns the symbol, and into its recording: so a
        replay hears it at the same place. From another process it crosses over to the owner.
        """
        frames = self._frames.get(owner_of(symbol, self._workers))
        if frames is None:
            frames = next(iter(self._frames.values()))
        frames.put_at_once(Record(self._clock.now(), "", kind, body), [])

    def tell_specs(self, changed: SpecsChanged) -> None:
        """Put specs in force for everything that is read here, behind all that was read so far.

        They go through the queue of each worker of this process, and into its recording. A worker
        that is not there yet gets the last ones when it comes.
        """
        with self._lock:
            self._specs = changed
            for worker, frames in self._frames.items():
                self._put_specs(changed, worker, frames)

    def _put_specs(self, changed: SpecsChanged, worker: int, frames: FrameQueue) -> None:
        own = changed if self._workers == 1 else msgspec.structs.replace(changed, worker=worker)
        body = encode_control(own)
        frames.put_at_once(Record(self._clock.now(), "", "control", body), [])

    def enlist(self, reader: Reader) -> None:
        """Make a reader that carries books reachable by its instruments."""
        channels = reader.feed.description.channels
        if channels and "book" not in channels:
            return
        with self._lock:
            self._readers.update(dict.fromkeys(reader.feed.instruments, reader))

    def resync(self, instrument: str, reason: str) -> None:
        """Have one instrument's book fetched again; what comes of it is in the recording."""
        reader = self._readers.get(instrument)
        if reader is None:
            log.warning("no reader here for a resync", extra={"instrument": instrument})
            return
        reader.steer(Steering(resync=instrument, reason=reason))


class FeedSource(DynamicSource[MicroBatch]):
    """Live feeds: each worker opens the connections of the symbols that it owns.

    Args:
        feeds: what to follow, one for each venue.
        controls: bodies of `control` records that come before everything else.
        helm: where the flow's wishes arrive.
        stopping: set when the flow shall end; what was read by then still goes through.
        recording: path of a worker's recording by its index, or None.
        dead_letters: folder for messages that no one understood, or None.
        capacity: records that may wait for the flow.
    """

    def __init__(
        self,
        feeds: Sequence[VenueFeeds],
        *,
        controls: Sequence[bytes] = (),
        helm: Helm,
        stopping: threading.Event,
        recording: Callable[[int], Path] | None = None,
        dead_letters: Path | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self._feeds = feeds
        self._controls = controls
        self._helm = helm
        self._stopping = stopping
        self._recording = recording
        self._dead_letters = dead_letters
        self._capacity = capacity
        self.drains: list[Drain] = []

    def build(self, _step_id: str, worker_index: int, worker_count: int) -> "FeedPartition":
        """Make one worker's feeds and start reading them."""
        frames = FrameQueue(self._capacity)
        clock = Clock()
        for body in self._controls:
            frames.put_at_once(Record(clock.now(), "", "control", body), [])
        self._helm.connect(frames, worker_index, worker_count)
        descriptions = [
            description
            for feeds in self._feeds
            for description in feeds.descriptions(worker_index, worker_count)
        ]
        venues = {feeds.venue.name: feeds.venue for feeds in self._feeds}
        keys = {feeds.venue.name: feeds.key for feeds in self._feeds}
        readers = []
        for number, description in enumerate(descriptions):
            name = f"{description.venue}-{worker_index}-{number}"
            feed = Feed(name, venues[description.venue], description)
            seed = worker_index * 1000 + number
            readers.append(Reader(feed, frames, seed=seed, key=keys[description.venue]))
            self._helm.enlist(readers[-1])
        drain = Drain()
        self.drains.append(drain)
        return FeedPartition(
            readers,
            frames,
            drain,
            stopping=self._stopping,
            recording=self._recording(worker_index) if self._recording and readers else None,
            dead_letters=self._dead_letters,
            name=f"worker-{worker_index}",
        )


class FeedPartition(StatelessSourcePartition[MicroBatch]):
    """One worker's live input."""

    def __init__(
        self,
        readers: Sequence[Reader],
        frames: FrameQueue,
        drain: Drain,
        *,
        stopping: threading.Event,
        recording: Path | None,
        dead_letters: Path | None,
        name: str,
    ) -> None:
        self._readers = readers
        self._frames = frames
        self._drain = drain
        self._stopping = stopping
        self._writer = RecordingWriter(recording) if recording else None
        self._flush_at = 0.0
        self._letters = DeadLetterFile(dead_letters, name) if dead_letters else None
        self._is_ending = False
        for reader in readers:
            reader.start()

    def next_batch(self) -> Iterable[MicroBatch]:
        """Take what was read, never waiting for more."""
        if self._stopping.is_set() and not self._is_ending:
            self._is_ending = True
            for reader in self._readers:
                reader.stop()
            for reader in self._readers:
                reader.join()
        for reader in self._readers:
            reader.check()
        items = self._frames.take(RECORDS_PER_BATCH)
        if not items:
            self._record(())
            if self._is_ending:
                self.close()
                raise StopIteration
            return ()
        drain = self._drain
        self._record(items)
        drain.add_all(items)
        if drain.dead_letters:
            letters, drain.dead_letters = drain.dead_letters, []
            if self._letters is not None:
                self._letters.write(letters)
        return drain.take()

    def close(self) -> None:
        """End the threads and the recording."""
        for reader in self._readers:
            reader.stop()
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                log.error(  # noqa: TRY400 - the reason is all there is to say
                    "recording is cut", extra={"reason": str(error)}
                )
            self._writer = None

    def _record(self, items: Sequence[tuple[Record, list[Told]]]) -> None:
        """Keep what came; a disk that is full ends the recording and nothing else."""
        if self._writer is None:
            return
        try:
            for record, _ in items:
                self._writer.write(record)
            if time.monotonic() >= self._flush_at:
                self._flush_at = time.monotonic() + FLUSH_EVERY_S
                self._writer.flush()
        except OSError as error:
            log.error(  # noqa: TRY400 - the reason is all there is to say
                "recording ended", extra={"path": str(self._writer.path), "reason": str(error)}
            )
            RECORDINGS_ENDED.inc()
            self._writer = None


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
