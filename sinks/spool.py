"""What cannot go to the database now, on the disk: bounded, checksummed, in order.

    lock                  one process at a time
    0-0000000001.seg      rows of rank 0, trades and book tops: the first to be given up
    1-0000000001.seg      rows of rank 1; and so on
    position              how far each rank has been read
    set-aside/            damaged bytes, by file and place, and refused rows: a sixteenth more

Each rank is a `Lane`: rows of a table leave in the order in which they came. When the limit is
reached, or the disk is nearly full, the oldest file of the least precious rank that has one goes;
rows never displace more precious ones, and are refused when nothing can go for them.

After a kill the rows between the last kept position and the last commit are read again; the tables'
natural keys make one row of them. A power failure can cost what was appended after the last `sync`.
"""

import contextlib
import logging
import shutil
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from market.errors import ConfigError
from sinks.set_aside import SetAside
from sinks.spool_lane import (
    RECORD_BYTES,
    Chunk,
    Damaged,
    Entry,
    Gone,
    Lane,
    Position,
)
from sinks.spool_lock import SpoolLock
from sinks.spool_segment import OpenFile, have_on_disk, open_new, sync_file, sync_folder

SEGMENT_BYTES = 8 * 1024 * 1024
SEGMENTS = 16
"""A spool that holds little has smaller files, so that giving one up costs about a sixteenth."""
RANKS = 4

_log = logging.getLogger(__name__)


class SpoolState(msgspec.Struct, frozen=True):
    """What a spool holds.

    Attributes:
        rows: rows that wait, by table.
        bytes: size of its files.
        oldest: about when the oldest row came, ns UTC; None when no row waits.
        set_aside: files of damaged bytes that people may look at.
        unsafe: rows that wait and that a power failure may take, since the last `sync` has failed.
    """

    rows: dict[str, int]
    bytes: int
    oldest: int | None
    set_aside: int = 0
    unsafe: int = 0


class Appended(msgspec.Struct, frozen=True):
    """What came of an `append`.

    Attributes:
        taken: how many of the entries are in the spool, from the first on.
        gone: what had to go for them.
        refusal: why the rest was not taken; empty when all were.
    """

    taken: int
    gone: list[Gone]
    refusal: str = ""


class Spool:
    """One folder. Safe for threads; one of them takes chunks.

    Args:
        folder: made if need be.
        limit: bytes that the files may have.
        keep_free: bytes that stay free on the disk.
        open_file: opens a new file.
        free: bytes that are free on the disk of a folder.

    Raises:
        ConfigError: another process uses the folder, or it cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: int,
        keep_free: int = 0,
        open_file: OpenFile = open_new,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.folder = folder
        self._limit = limit
        self._keep_free = keep_free
        self._free = free
        self._aside = SetAside(
            folder / "set-aside", limit=limit // SEGMENTS, keep_free=keep_free, free=free
        )
        self._open_file = open_file
        self._mutex = threading.Lock()
        self._syncing = threading.Lock()
        self._appended = 0
        self._synced = 0
        self._closed = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = SpoolLock(folder)
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot keep rows there while the database is away: {error.strerror};"
                " set CANDLEWAX_HOME to a folder that can be written to"
            ) from error
        for part in folder.glob("*.part"):  # a kill came between a file and its new name
            with contextlib.suppress(OSError):
                part.unlink()
        segment_bytes = max(min(SEGMENT_BYTES, limit // SEGMENTS), 1)
        try:
            self._lanes = _lanes(folder, segment_bytes, open_file)
        except OSError as error:
            self._lock.release()
            raise ConfigError(
                f"{folder}: cannot read the rows that wait there: {error.strerror};"
                " let this user read these files, or move the folder away"
            ) from error
        for lane in self._lanes:
            if lane.torn:
                _log.warning(
                    "the spool ends with a record that was never written to its end",
                    extra={"path": str(folder), "rank": lane.rank, "bytes": lane.torn},
                )
            lane.remove_read()
        self._safe = [lane.written for lane in self._lanes]
        self._has_failed = False

    @property
    def rows(self) -> int:
        """Rows that wait."""
        with self._mutex:
            return sum(sum(lane.pending.values()) for lane in self._lanes)

    @property
    def has_failed(self) -> bool:
        """Whether the last `sync` did not get all rows onto the disk."""
        return self._has_failed

    def state(self) -> SpoolState:
        """Return what it holds."""
        with self._mutex:
            return _state(self.folder, self._lanes, unsafe=self._unsafe())

    def _unsafe(self) -> int:
        if not self._has_failed:
            return 0
        pairs = zip(self._lanes, self._safe, strict=True)
        return sum(lane.waiting_after(safe).total() for lane, safe in pairs)

    # -- in ----------------------------------------------------------------------------------

    def append(self, rank: int, entries: Sequence[Entry]) -> Appended:
        """Add entries of one rank; `sync` makes them last."""
        gone: list[Gone] = []
        taken = 0
        with self._mutex:
            for record in _records(entries):
                refusal = self._append(rank, record, gone)
                if refusal:
                    return Appended(taken, gone, refusal)
                taken += len(record)
        return Appended(taken, gone)

    def _append(self, rank: int, record: list[Entry], gone: list[Gone]) -> str:
        # Counts and frame are small beside the rows; the limit may be passed by a few bytes.
        size = sum(len(entry.payload) for entry in record)
        while reason := self._is_full(size):
            if not self._drop(rank, gone):
                return reason
        while True:
            try:
                self._lanes[rank].append(record)
            except OSError as error:
                if not self._drop(rank, gone):
                    return error.strerror or str(error)
            else:
                self._appended += 1
                return ""

    def _is_full(self, size: int) -> str:
        if sum(lane.size for lane in self._lanes) + size > self._limit:
            return "the spool has reached its limit"
        if self._keep_free and self._free(self.folder) < self._keep_free + size:
            return "the disk is nearly full"
        return ""

    def _drop(self, rank: int, gone: list[Gone]) -> bool:
        for lane in self._lanes[: rank + 1]:
            lost = lane.drop_oldest()
            if lost is not None:
                with contextlib.suppress(OSError):  # then they are lost, and read again
                    self._keep_position()
                lane.remove_read()
                if lost.tables:
                    gone.append(lost)
                return True
        return False

    def sync(self) -> None:
        """Have everything on the disk that was appended before; by whom does not matter.

        Who calls it while another does waits for that one, and for the rest.

        Raises:
            OSError: the disk failed; the next call tries again, and `state` says what is unsafe.
        """
        with self._syncing:
            failure: OSError | None = None
            with self._mutex:
                if self._synced == self._appended or self._closed:
                    return
                appended = self._appended
                safe = [lane.written for lane in self._lanes]
                try:
                    self._keep_position()
                except OSError as error:
                    failure = error  # the rows matter more: they are synced first
                segments = [segment for lane in self._lanes for segment in lane.unsynced()]
            try:
                have_on_disk(segments, self._mutex, self._open_file)
                sync_folder(self.folder)
            except OSError:
                with self._mutex:
                    self._has_failed = True
                self._keep_count()
                raise
            with self._mutex:
                self._safe, self._has_failed = safe, False
            if failure is not None:
                raise failure
            self._synced = appended

    def _keep_count(self) -> None:
        """Have how many rows there were on the disk, where they are not: it tells what is lost."""
        with contextlib.suppress(OSError):
            sync_file(self.folder / "position")
            sync_folder(self.folder)

    # -- out ---------------------------------------------------------------------------------

    def take(self, limit: int) -> Chunk | None:
        """Read about `limit` rows, the most precious first; None when nothing waits.

        They stay until `done`; `release` lets them be read again.
        """
        with self._mutex:
            for lane in reversed(self._lanes):
                chunk = lane.take(limit)
                if chunk is not None:
                    return chunk
        return None

    def waiting(self) -> Iterator[Entry]:
        """Read all entries that wait, and leave them."""
        with self._mutex:
            entries = [entry for lane in self._lanes for entry in lane.waiting()]
        return iter(entries)

    def done(self, chunk: Chunk) -> None:
        """Move on behind a chunk: its rows are in the database, or told as lost."""
        with self._mutex:
            for damaged in chunk.damaged:
                self._set_aside(damaged, chunk.rank)
            lane = self._lanes[chunk.rank]
            lane.done(chunk)
            try:
                self._keep_position()
            except OSError as error:
                # The rows are read again after the next start, and found to be known.
                _log.warning(
                    "cannot keep how far the spool was read",
                    extra={"path": str(self.folder), "reason": error.strerror},
                )
            lane.remove_read()

    def release(self, chunk: Chunk) -> None:
        """Give back a chunk: it is read again."""
        with self._mutex:
            self._lanes[chunk.rank].release()

    def set_aside(self, name: str, data: bytes) -> None:
        """Keep bytes that nobody can use for people to look at, while there is room for them."""
        self._aside.keep(name, data)

    def _set_aside(self, damaged: Damaged, rank: int) -> None:
        self.set_aside(f"{rank}-{damaged.segment:010}-{damaged.offset}.damaged", damaged.data)

    def _keep_position(self) -> None:
        part = self.folder / "position.part"
        kept = {str(lane.rank): lane.promised for lane in self._lanes}
        part.write_bytes(msgspec.json.encode(kept))
        part.replace(self.folder / "position")

    def close(self) -> None:
        """Have everything on the disk and give the lock back."""
        try:
            self.sync()
        except OSError as error:
            _log.error(
                "the spool may not be on the disk",
                extra={"path": str(self.folder), "reason": error.strerror},
            )
        with self._syncing, self._mutex:
            self._closed = True
            for lane in self._lanes:
                lane.close()
            self._lock.release()


def look(folder: Path) -> SpoolState:
    """Return what a spool holds, without its lock and without changing it.

    Args:
        folder: of one spool; absent is empty.
    """
    lanes = _lanes(folder, SEGMENT_BYTES, open_new) if folder.is_dir() else []
    return _state(folder, lanes)


def _state(folder: Path, lanes: Sequence[Lane], *, unsafe: int = 0) -> SpoolState:
    rows: Tally[str] = Tally()
    for lane in lanes:
        rows += lane.pending
    return SpoolState(
        rows=dict(rows),
        bytes=sum(lane.size for lane in lanes),
        oldest=min((lane.oldest for lane in lanes if lane.oldest is not None), default=None),
        set_aside=sum(1 for _ in (folder / "set-aside").glob("*")),
        unsafe=unsafe,
    )


def _lanes(folder: Path, segment_bytes: int, open_file: OpenFile) -> list[Lane]:
    positions = _positions(folder)
    return [
        Lane(
            folder,
            rank,
            positions.get(str(rank)),
            segment_bytes=segment_bytes,
            open_file=open_file,
        )
        for rank in range(RANKS)
    ]


def _positions(folder: Path) -> dict[str, Position]:
    try:
        data = (folder / "position").read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return msgspec.json.decode(data, type=dict[str, Position])
    except msgspec.DecodeError:
        _log.warning(
            "the spool's position is damaged: its rows are read again",
            extra={"path": str(folder)},
        )
        return {}


def _records(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    record: list[Entry] = []
    size = 0
    for entry in entries:
        if record and size + len(entry.payload) > RECORD_BYTES:
            yield record
            record, size = [], 0
        record.append(entry)
        size += len(entry.payload)
    if record:
        yield record
