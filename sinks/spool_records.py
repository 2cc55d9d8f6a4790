"""How records lie in a file that may end anywhere, or have a hole: mark, length, checksum, body.

A process that is killed leaves a prefix of what it wrote; a disk may give back other bytes than it
was given. So each record is found again by itself: reading goes on at the next mark whose checksum
fits, and what lies between is told.
"""

import struct
import zlib
from collections.abc import Iterator

import msgspec

MARK = b"\xc5cw\x01"
_HEADER = struct.Struct("<4sII")
HEADER_BYTES = _HEADER.size


class Record(msgspec.Struct, frozen=True):
    """A whole record.

    Attributes:
        start: where it begins.
        end: where it ends; the next one begins there.
        body: what was framed.
    """

    start: int
    end: int
    body: bytes


class Damage(msgspec.Struct, frozen=True):
    """Bytes that are no record.

    Attributes:
        start: where they begin.
        end: where they end.
        is_tail: no record follows: most likely the last one was never written to its end.
    """

    start: int
    end: int
    is_tail: bool


def frame(body: bytes) -> bytes:
    """Return `body` as a record.

    Example:
        >>> [found.body for found in scan(frame(b"one") + frame(b"two"))]
        [b'one', b'two']
    """
    return _HEADER.pack(MARK, len(body), _checksum(body)) + body


def scan(data: bytes) -> Iterator[Record | Damage]:
    """Read what is framed in `data`, in order; what is between is told as damage.

    Example:
        >>> whole = frame(b"one") + frame(b"two")
        >>> [type(found).__name__ for found in scan(whole[:-1])]
        ['Record', 'Damage']
    """
    at = 0
    while at < len(data):
        body = _body_at(data, at)
        if body is None:
            start, at = at, _next_record(data, at + 1)
            if at < 0:
                yield Damage(start, len(data), is_tail=True)
                return
            yield Damage(start, at, is_tail=False)
        else:
            end = at + HEADER_BYTES + len(body)
            yield Record(at, end, body)
            at = end


def _next_record(data: bytes, at: int) -> int:
    at = data.find(MARK, at)
    while at >= 0 and _body_at(data, at) is None:
        at = data.find(MARK, at + 1)
    return at


def _body_at(data: bytes, at: int) -> bytes | None:
    if len(data) - at < HEADER_BYTES:
        return None
    mark, length, checksum = _HEADER.unpack_from(data, at)
    begin = at + HEADER_BYTES
    if mark != MARK or begin + length > len(data):
        return None
    body = data[begin : begin + length]
    return body if _checksum(body) == checksum else None


def _checksum(body: bytes) -> int:
    # The length goes in, so that a record whose length is wrong is none.
    return zlib.crc32(body, zlib.crc32(len(body).to_bytes(4, "little")))
