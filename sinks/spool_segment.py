"""A file of the spool, and how it gets onto the disk for sure.

After an fsync that failed, the system may have dropped what it could not write, and the next fsync
of the same file succeeds all the same. So such a file takes no more rows, and is written anew, byte
for byte, under its own name: places in it stay what they were. The system nearly always still has
in its memory what the disk did not take; what is missing is found when the file is read, and told.
"""

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import msgspec

OpenFile = Callable[[Path], IO[bytes]]
"""Opens a new file to append to, without a buffer."""

PAGE_BYTES = 4096
"""What a disk that cannot read gives up at once."""
READ_TRIES = 2
_UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})

_log = logging.getLogger(__name__)


class Segment(msgspec.Struct):
    """One file of a lane.

    Attributes:
        number: its place in the lane.
        path: where it is.
        size: bytes in it.
        before: rows that were in the lane before it, by table.
        ts: when its first row came, ns UTC; 0 for none.
        file: what it is written with; None once all of it is on the disk, or an fsync has failed.
        takes_more: whether rows may still be added.
        synced: bytes that are on the disk for sure.
        has_failed: an fsync has failed, and it is not written anew yet.
        is_gone: its rows are not needed any more.
    """

    number: int
    path: Path
    size: int
    before: dict[str, int]
    ts: int
    file: IO[bytes] | None = None
    takes_more: bool = False
    synced: int = 0
    has_failed: bool = False
    is_gone: bool = False

    @property
    def is_unsynced(self) -> bool:
        """Whether some of what this run has put in it may not be on the disk."""
        return self.has_failed or (self.file is not None and self.synced < self.size)

    def end(self) -> None:
        """Take no more rows."""
        self.takes_more = False
        if not self.is_unsynced:
            self.close()

    def close(self) -> None:
        """Close the file; what is not synced may be lost with the machine, not with us."""
        self.takes_more = False
        if self.file is not None:
            self.file.close()
            self.file = None

    def note_synced(self, size: int) -> None:
        """Note that so many of its bytes are on the disk."""
        self.synced = max(self.synced, size)
        if not self.takes_more and not self.is_unsynced:
            self.close()

    def note_failure(self) -> None:
        """Note that an fsync has failed."""
        self.has_failed = True
        self.close()

    def remove(self) -> None:
        """Remove the file; one that the disk does not let go costs room, and nothing else."""
        self.is_gone = True
        self.has_failed = False
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(
                "cannot remove a file of the spool whose rows are not needed any more",
                extra={"path": str(self.path), "reason": error.strerror},
            )


def open_new(path: Path) -> IO[bytes]:
    """Open a new file to append to, for its user only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "ab", buffering=0)


def read(path: Path, offset: int, size: int) -> bytes:
    """Read a piece of a file; pages that the disk cannot read are zeros, which are no record.

    Returns:
        Less than `size` bytes where the file ends before; none where it is not there.

    Raises:
        OSError: the file cannot be read now, and perhaps later.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    try:
        try:
            return _read_all(handle, offset, size)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            _log.error(
                "the disk cannot read a file of the spool: what can be read is read",
                extra={"path": str(path), "offset": offset, "reason": error.strerror},
            )
        size = min(size, max(os.fstat(handle).st_size - offset, 0))
        places = range(offset, offset + size, PAGE_BYTES)
        return b"".join(
            _read_page(handle, place, min(PAGE_BYTES, offset + size - place)) for place in places
        )
    finally:
        os.close(handle)


def _read_all(handle: int, offset: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.pread(handle, size, offset)):
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return b"".join(pieces)


def _read_page(handle: int, offset: int, size: int) -> bytes:
    for _ in range(READ_TRIES):
        try:
            return _read_all(handle, offset, size).ljust(size, b"\0")
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
    return bytes(size)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write everything to a file without a buffer, which may take it in parts."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def have_on_disk(segments: Iterable[Segment], mutex: threading.Lock, open_file: OpenFile) -> None:
    """Have files on the disk; call it from one thread at a time.

    Args:
        segments: in the order in which they are to go.
        mutex: what changes to segments are made under; free while the disk takes its time.
        open_file: opens a new file.

    Raises:
        OSError: the disk failed; what is not on it is tried again by the next call.
    """
    failure: OSError | None = None
    for segment in segments:
        try:
            if not _sync(segment, mutex):
                _write_anew(segment, mutex, open_file)
        except OSError as error:
            failure = failure or error  # one bad place must not keep the others from the disk
    if failure is not None:
        raise failure


def sync_folder(folder: Path) -> None:
    """Have the names of new files on the disk.

    Raises:
        OSError: the disk failed.
    """
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Have on the disk what is in a file.

    Raises:
        OSError: the disk failed.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(segment: Segment, mutex: threading.Lock) -> bool:
    """Return whether all that was in the file, when it was called, is on the disk or not needed."""
    with mutex:
        if segment.has_failed:
            return False
        if segment.file is None:
            return True
        size = segment.size
        handle = os.dup(segment.file.fileno())  # whoever has read the file may close it meanwhile
    try:
        os.fsync(handle)
    except OSError as error:
        _log.warning(
            "a file of the spool did not get onto the disk; it is written anew",
            extra={"path": str(segment.path), "reason": error.strerror},
        )
        with mutex:
            if segment.is_gone:
                return True
            segment.note_failure()
        return False
    finally:
        os.close(handle)
    with mutex:
        segment.note_synced(size)
    return True


def _write_anew(segment: Segment, mutex: threading.Lock, open_file: OpenFile) -> None:
    part = segment.path.with_suffix(".part")
    data = read(segment.path, 0, segment.size)
    if not data:
        with mutex:
            segment.has_failed = False
        return  # it was read to its end meanwhile, or someone took it away, which is told
    try:
        part.unlink(missing_ok=True)
        with open_file(part) as file:
            write_all(file, data)
            os.fsync(file.fileno())
        with mutex:
            if not segment.is_gone:
                part.replace(segment.path)
                segment.has_failed = False
                segment.synced = segment.size
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
