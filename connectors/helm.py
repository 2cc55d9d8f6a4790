"""How wishes of the flow reach the readers, and news the queues, of one process."""

import logging
import threading
from typing import Literal

import msgspec

from connectors.drain import encode_control
from connectors.feed import Steering
from connectors.frame_queue import FrameQueue
from connectors.placement import owner_of
from connectors.reader import Clock, Reader
from connectors.recording import Record
from filters.specs import SpecsChanged

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
