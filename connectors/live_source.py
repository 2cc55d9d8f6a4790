"""Bytewax input of live feeds."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from prometheus_client import Counter

from connectors.contract import Told
from connectors.dead_letters import DeadLetterFile
from connectors.drain import Drain, MicroBatch
from connectors.feed import Feed
from connectors.frame_queue import CAPACITY, FrameQueue
from connectors.helm import Helm
from connectors.reader import Clock, Reader
from connectors.recording import Record, RecordingWriter
from connectors.venue_feeds import VenueFeeds

RECORDS_PER_BATCH = 500
FLUSH_EVERY_S = 1.0

RECORDINGS_ENDED = Counter(
    "candlewax_recordings_ended_total", "Recordings that ended because they could not be written"
)

log = logging.getLogger(__name__)


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
