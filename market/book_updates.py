"""What is kept of one instrument's book, so that it can be built again as it was at any moment.

A message is kept as it came; a whole book is kept at round moments of our clock, when the book is
live, and first of all after every gap. Each change names the one before it (`prev_sequence`), so
that whoever builds a book from them notices when one is missing.
"""

from market.book import Book
from market.events import BookDelta, BookSnapshot, BookTop, BookUpdate
from market.kept_depth import KeptDepth


class BookUpdates:
    """Makes the updates to keep of one instrument.

    Where a venue numbers nothing (sequence 0), our clock in ns takes the place of the number, one
    more where it did not go on: the order is kept, and the same input gives the same numbers.

    Args:
        kept: what is kept.
    """

    __slots__ = ("_every", "_is_whole", "_last", "_slot", "changes")

    def __init__(self, kept: KeptDepth) -> None:
        self.changes = kept.changes
        self._every = kept.every
        self._slot = -1
        self._last: int | None = None
        self._is_whole = False  # nothing changed since the last whole book

    def message(self, event: BookSnapshot | BookDelta, now: int) -> BookUpdate:
        """Return the update of a message that changed the book.

        Args:
            event: the message.
            now: our clock when the book had it, ns; never less than before.
        """
        before = self._last
        sequence = event.sequence or max(now, 0 if before is None else before + 1)
        self._last = sequence
        self._is_whole = is_whole = type(event) is BookSnapshot
        if is_whole:
            self._slot = now // self._every
        return BookUpdate(
            instrument=event.instrument,
            ts_event=event.ts_event,
            ts_recv=now,
            sequence=sequence,
            prev_sequence=None if is_whole else before,
            is_whole=is_whole,
            bids=event.bids,
            asks=event.asks,
        )

    def beat(self, top: BookTop, book: Book, now: int) -> BookUpdate | None:
        """Return the whole book when it is time for one.

        Args:
            top: what the last message showed.
            book: live, and not empty.
            now: our clock, ns.
        """
        slot = now // self._every
        if slot == self._slot:
            return None
        self._slot = slot
        if self._is_whole and self.changes:
            return None
        self._is_whole = True
        bids, asks = book.levels()
        return BookUpdate(
            instrument=top.instrument,
            ts_event=top.ts_event,
            ts_recv=top.ts_recv,
            sequence=top.sequence or (self._last if self.changes and self._last else top.ts_recv),
            prev_sequence=None,
            is_whole=True,
            bids=sorted(bids.items(), reverse=True),
            asks=sorted(asks.items()),
        )

    def broke(self) -> None:
        """The book is lost: the next one that is live is kept whole, whenever that is."""
        self._slot = -1
        self._is_whole = False

    def resume(self, sequence: int) -> None:
        """Go on with a restored book whose last message had this number."""
        self._last = sequence or None
