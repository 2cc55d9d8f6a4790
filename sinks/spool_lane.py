"""A chain of files that rows of one rank wait in: written at its end, read from its beginning.

Every record says how many rows of each table came before it in the lane. So it is known, to the
row, what a damaged record held, or a file that is gone: the next record's count is ahead of what
was read. A lane never writes to a file of an earlier run; that one may end with half a record.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sinks.spool_records import Record, frame, scan
from sinks.spool_segment import OpenFile, Segment, read, write_all

RECORD_BYTES = 256 * 1024
"""About how much of its content a record holds at most, so that damage costs little."""
READ_BYTES = 2 * 1024 * 1024


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rows of one table, as they wait.

    Attributes:
        table: whose rows.
        count: how many.
        ts: when they came, our clock, ns UTC.
        payload: what they are; the lane does not look into it.
    """

    table: str
    count: int
    ts: int
    payload: bytes


class Position(msgspec.Struct, frozen=True):
    """How far a lane has been read.

    Attributes:
        segment: number of the file.
        offset: place in it.
        done: rows read or lost since the lane began, by table.
        written: rows that were in the lane for sure, read ones included, by table.
        ts: when the last row that was read came, ns UTC; 0 for never.
    """

    segment: int = 0
    offset: int = 0
    done: dict[str, int] = {}
    written: dict[str, int] = {}
    ts: int = 0


class Damaged(msgspec.Struct, frozen=True):
    """Bytes in the middle of a file that are no record: to be set aside."""

    segment: int
    offset: int
    data: bytes


class Chunk(msgspec.Struct, frozen=True):
    """What was read of a lane, not given up yet.

    Attributes:
        rank: the lane.
        entries: in the order in which they came.
        end: the position once they are done.
        lost: rows that should have been there, by table.
        damaged: what was there in their place.
        since: when the first row that may be lost came, ns UTC.
        until: when the last one came.
    """

    rank: int
    entries: list[Entry]
    end: Position
    lost: "Tally[str]"
    damaged: list[Damaged]
    since: int = 0
    until: int = 0


class Gone(msgspec.Struct, frozen=True):
    """Rows that had to go: how many by table, and between when and when they came, ns UTC."""

    tables: "Tally[str]"
    since: int
    until: int


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    before: dict[str, int]
    entries: list[Entry]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


class Lane:
    """The files of one rank. Not safe for threads: its owner locks.

    Args:
        folder: where the files are; it exists.
        rank: first part of the files' names.
        position: how far an earlier run has read; None when nobody knows.
        segment_bytes: a file that would be larger is ended, and the next one begun.
        open_file: opens a new file.

    Attributes:
        torn: bytes of a last record that was never written to its end.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        position: Position | None,
        *,
        segment_bytes: int,
        open_file: OpenFile,
    ) -> None:
        self.rank = rank
        self.torn = 0
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._open_file = open_file
        self._held = False
        self._segments: list[Segment] = []
        self._written: Tally[str] = Tally()
        self._find(position)
        before = self._segments[0].before if self._segments else {}
        self.position = position or Position(done=before)
        self._written |= Tally(self.position.written) | Tally(self.position.done)
        last = self._segments[-1].number if self._segments else 0
        self._number = max(last, self.position.segment)

    # -- what is there -----------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Size of the files."""
        return sum(segment.size for segment in self._segments)

    @property
    def pending(self) -> "Tally[str]":
        """Rows that wait, by table."""
        return self._written - Tally(self.position.done)

    @property
    def written(self) -> "Tally[str]":
        """Rows that were ever put in, by table."""
        return Tally(self._written)

    def waiting_after(self, written: "Tally[str]") -> "Tally[str]":
        """Return the rows that wait and came when so many had been put in already."""
        return self._written - (written | Tally(self.position.done))

    @property
    def oldest(self) -> int | None:
        """About when the oldest waiting row came, ns UTC, and never too late; None for none."""
        if not self._segments or not self.pending:
            return None
        return max(self._segments[0].ts, self.position.ts)

    @property
    def promised(self) -> Position:
        """The position, with all rows that the lane has now."""
        return msgspec.structs.replace(self.position, written=dict(self._written))

    def _find(self, position: Position | None) -> None:
        for path in sorted(self._folder.glob(f"{self.rank}-*.seg")):
            number = int(path.stem.partition("-")[2])
            if position is not None and number < position.segment:
                continue
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue  # whoever reads it has come to its end; we only look
            segment = Segment(number, path, size, dict(self._written), 0)
            found = self._first_of(segment)
            if found is None:
                self.torn += segment.size
            else:
                segment.before = found.before
                segment.ts = found.entries[0].ts
            self._segments.append(segment)
            self._written |= Tally(segment.before)
        for segment in reversed(self._segments):
            if segment.ts:
                self._read_to_end(segment)
                break

    def _first_of(self, segment: Segment) -> _Body | None:
        for limit in (RECORD_BYTES * 2, segment.size):
            for found in scan(read(segment.path, 0, limit)):
                if isinstance(found, Record):
                    return _decoder.decode(found.body)
        return None

    def _read_to_end(self, segment: Segment) -> None:
        for found in scan(read(segment.path, 0, segment.size)):
            if isinstance(found, Record):
                body = _decoder.decode(found.body)
                self._written |= _after(body)
            elif found.is_tail:
                self.torn += found.end - found.start

    # -- writing -----------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> int:
        """Write entries at the end, as one record; `sync` makes it last.

        Returns:
            Bytes written.

        Raises:
            OSError: the disk does not take them; the lane is as it was.
        """
        data = frame(_encoder.encode(_Body(dict(self._written), list(entries))))
        segment = self._current(len(data))
        file = segment.file
        if file is None:
            raise RuntimeError("a file that takes more rows is not open")
        try:
            write_all(file, data)
        except OSError:
            self._mend(segment)
            raise
        if segment.size == 0:
            segment.ts = entries[0].ts
        segment.size += len(data)
        for entry in entries:
            self._written[entry.table] += entry.count
        return len(data)

    def _current(self, needed: int) -> Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and last.takes_more:
            if last.size == 0 or last.size + needed <= self._segment_bytes:
                return last
            last.end()
        number = self._number + 1
        path = self._folder / f"{self.rank}-{number:010}.seg"
        file = self._open_file(path)
        self._number = number
        self._segments.append(
            Segment(number, path, 0, dict(self._written), 0, file=file, takes_more=True)
        )
        return self._segments[-1]

    def _mend(self, segment: Segment) -> None:
        if segment.file is None:
            return
        try:
            segment.file.truncate(segment.size)
        except OSError:
            # Half a record stays; whatever follows goes into the next file.
            segment.size = segment.path.stat().st_size
            segment.end()

    def unsynced(self) -> list[Segment]:
        """Return the files that may not be on the disk, from the first on."""
        return [segment for segment in self._segments if segment.is_unsynced]

    # -- reading -----------------------------------------------------------------------------

    def take(self, limit: int) -> Chunk | None:
        """Read about `limit` rows from the beginning; None when nothing waits.

        They stay until `done`; `release` lets them be read again.
        """
        chunk = self._read(limit)
        self._held = chunk is not None
        return chunk

    def waiting(self) -> Iterator[Entry]:
        """Read all entries that wait, and leave them."""
        chunk = self._read(None)
        yield from chunk.entries if chunk is not None else ()

    def _read(self, limit: int | None) -> Chunk | None:
        if not self.pending:
            return None
        reading = _Reading(self.position)
        for segment in self._segments:
            if segment.number < reading.segment:
                continue
            if segment.number > reading.segment:
                reading.segment, reading.offset = segment.number, 0
            while reading.offset < segment.size and not reading.has(limit):
                reading.read(segment, limit)
            if reading.has(limit):
                break
        else:
            reading.miss(self._written)
        return reading.chunk(self.rank, self._written)

    def done(self, chunk: Chunk) -> None:
        """Move on behind a chunk."""
        self.position = chunk.end
        self._held = False

    def release(self) -> None:
        """Give back the chunk that was taken."""
        self._held = False

    def remove_read(self) -> None:
        """Remove the files that have been read; call when the position is kept."""
        while self._segments and self._is_read(self._segments[0]):
            self._remove_first()
        if not self.pending and not any(segment.takes_more for segment in self._segments):
            while self._segments:
                self._remove_first()  # nothing but a record that was never written to its end

    def _is_read(self, segment: Segment) -> bool:
        if segment.number < self.position.segment:
            return True
        return segment.number == self.position.segment and self.position.offset >= segment.size > 0

    def _remove_first(self) -> None:
        self._segments.pop(0).remove()

    # -- giving up ---------------------------------------------------------------------------

    def drop_oldest(self) -> Gone | None:
        """Give up the rows of the oldest file; None where there is none, or it is being read.

        The caller keeps the position, then calls `remove_read`.
        """
        if self._held or not self._segments or not self.pending:
            return None
        first = self._segments[0]
        following = self._segments[1] if len(self._segments) > 1 else None
        before = following.before if following is not None else dict(self._written)
        lost = Tally(before) - Tally(self.position.done)
        since = max(first.ts, self.position.ts)
        until = following.ts if following is not None else since
        self.position = Position(first.number + 1, 0, before, dict(self._written), until)
        return Gone(lost, since, max(since, until))

    def close(self) -> None:
        """Close the files; what is not synced may be lost with the machine, not with us."""
        for segment in self._segments:
            segment.close()


class _Reading:
    """One pass over the files of a lane."""

    def __init__(self, position: Position) -> None:
        self.segment = position.segment
        self.offset = position.offset
        self._done = Tally(position.done)
        self._lost: Tally[str] = Tally()
        self._damaged: list[Damaged] = []
        self._entries: list[Entry] = []
        self._rows = 0
        self._ts = position.ts
        self._since = 0
        self._until = 0

    def has(self, limit: int | None) -> bool:
        return limit is not None and self._rows >= limit

    def read(self, segment: Segment, limit: int | None) -> None:
        """Read the next records of a file: a piece of it, or all where a piece has none."""
        rest = segment.size - self.offset
        start = self.offset
        for size in sorted({min(READ_BYTES, rest), rest}):
            data = read(segment.path, start, size)
            for found in scan(data):
                if isinstance(found, Record):
                    self._record(found)
                elif found.is_tail and size < rest:
                    continue  # it is cut off, and read again
                else:
                    bad = data[found.start : found.end]
                    self._damaged.append(Damaged(segment.number, start + found.start, bad))
                self.offset = start + found.end
                if self.has(limit):
                    return
            if self.offset > start:
                return
        self.offset = segment.size  # shorter than it was: what is missing will be missed

    def _record(self, record: Record) -> None:
        body = _decoder.decode(record.body)
        came = body.entries[0].ts
        self._miss(Tally(body.before) - self._done, came)
        self._done |= _after(body)
        self._entries += body.entries
        self._rows += sum(entry.count for entry in body.entries)
        self._ts = body.entries[-1].ts

    def miss(self, written: "Tally[str]") -> None:
        """Note, at the end, what should have come and did not."""
        self._miss(written - self._done, self._ts)

    def _miss(self, missing: "Tally[str]", until: int) -> None:
        if missing:
            self._since = self._since or self._ts or until
            self._until = max(self._until, until)
            self._lost += missing
            self._done += missing

    def chunk(self, rank: int, written: "Tally[str]") -> Chunk:
        return Chunk(
            rank,
            self._entries,
            Position(self.segment, self.offset, dict(self._done), dict(written), self._ts),
            self._lost,
            self._damaged,
            self._since,
            self._until,
        )


def _after(body: _Body) -> "Tally[str]":
    totals = Tally(body.before)
    for entry in body.entries:
        totals[entry.table] += entry.count
    return totals
