"""Recordings: everything that came and went on a feed, in the order the flow took it.

JSON Lines, compressed with gzip when the name ends in `.gz`. One record a line; see
`docs/recording.md`. A recording replayed through the same objects gives the same answers.
"""

import base64
import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import msgspec

from market.errors import RecordingError

CHUNK = 1 << 16
GZIP = 16 + zlib.MAX_WBITS

Kind: TypeAlias = Literal[
    "begin", "open", "sent", "text", "binary", "http", "close", "heartbeat", "control", "history"
]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened on one connection.

    Attributes:
        ts: our clock, ns UTC.
        conn: connection, `"binance-0.3"`: the feed and how many connections it had before; for
            `begin`, `heartbeat` and `control` the feed alone, or empty.
        kind: what happened.
        body: the bytes that came or went.
        url: for `http`, the address asked.
        status: for `http`, the answer's status; 0 when none came.
    """

    ts: int
    conn: str
    kind: Kind
    body: bytes = b""
    url: str = ""
    status: int = 200

    @property
    def feed(self) -> str:
        """The feed that the connection belongs to, `"binance-0"`."""
        return self.conn.partition(".")[0]


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A record as its file has it: `data` is text, or base64 where `kind` is `binary`."""

    ts: int
    conn: str
    kind: Kind
    data: str = ""
    url: str = ""
    status: int = 200


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def _line_of(record: Record) -> _Line:
    kind = record.kind
    try:
        data = "" if kind == "binary" else record.body.decode()
    except UnicodeDecodeError:
        kind, data = "binary", ""
    if kind == "binary":
        data = base64.b64encode(record.body).decode()
    return _Line(
        ts=record.ts,
        conn=record.conn,
        kind=kind,
        data=data,
        url=record.url,
        status=record.status,
    )


def _record_of(line: _Line) -> Record:
    if line.kind == "binary":
        body = base64.b64decode(line.data, validate=True)
    else:
        body = line.data.encode()
    kind: Kind = "http" if line.url else line.kind
    return Record(line.ts, line.conn, kind, body, line.url, line.status)


class RecordingWriter:
    """Appends records to a file.

    What is written reaches the file at `flush`, which the owner calls about once a second, and at
    `close`: a process killed in between loses no more than that.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab")
        self._gzip = (
            gzip.GzipFile(filename="", fileobj=self._file, mode="ab", compresslevel=1)
            if path.suffix == ".gz"
            else None
        )
        self.records = 0

    def write(self, record: Record) -> None:
        """Append one record."""
        (self._gzip or self._file).write(_encode(_line_of(record)) + b"\n")
        self.records += 1

    def flush(self) -> None:
        """Hand over to the operating system what was written."""
        if self._gzip is not None:
            self._gzip.flush(zlib.Z_SYNC_FLUSH)
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        if self._gzip is not None:
            self._gzip.close()
        self._file.close()


class Recording:
    """The records of one file, read one after the other.

    Args:
        path: a `.jsonl` or `.jsonl.gz` file.

    A file cut in its middle, as a killed recorder leaves it, is read up to the last whole record;
    `truncated` then says so. `bytes_read` is how far the file has been read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truncated = False
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Record]:
        """Read from the beginning.

        Raises:
            RecordingError: no such file, or a line that is no record.
        """
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise RecordingError(
                f"cannot read the recording: {error.strerror}", path=str(self.path)
            ) from error
        with raw:
            start = raw.read(2)
            raw.seek(0)
            self.bytes_read = 0
            self.truncated = not start  # not even a first record
            is_packed = start == b"\x1f\x8b"
            yield from self._read(self._unpacked(raw) if is_packed else self._counted(raw))

    def _read(self, lines: Iterable[bytes]) -> Iterator[Record]:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    self.truncated = True
                    return
                try:
                    yield _record_of(_decode(line))
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    raise RecordingError(
                        f"not a record: {error}", path=str(self.path), line=number
                    ) from error
        except zlib.error as error:
            raise RecordingError(
                f"damaged gzip data: {error}", path=str(self.path), line=number + 1
            ) from error

    def _counted(self, raw: BinaryIO) -> Iterator[bytes]:
        for line in raw:
            self.bytes_read += len(line)
            yield line

    def _unpacked(self, raw: BinaryIO) -> Iterator[bytes]:
        """Return the lines of gzip data, as far as they go: `gzip` forgets some when it is cut."""
        unpack = zlib.decompressobj(GZIP)
        is_begun = False
        rest = b""
        while chunk := raw.read(CHUNK):
            self.bytes_read += len(chunk)
            while chunk:
                is_begun = True
                rest += unpack.decompress(chunk)
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield line + b"\n"
                chunk = b""
                if unpack.eof:  # another part may follow
                    chunk = unpack.unused_data
                    unpack = zlib.decompressobj(GZIP)
                    is_begun = False
        if is_begun or rest:
            self.truncated = True


def merged(recordings: Iterable[Recording]) -> Iterator[Record]:
    """Read several recordings as one, by time; each keeps its own order."""
    several = list(recordings)
    if len(several) == 1:
        return iter(several[0])
    return heapq.merge(*several, key=lambda record: record.ts)
