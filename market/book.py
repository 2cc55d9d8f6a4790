"""One venue's order book, kept from snapshots and absolute changes.

A dict of sizes a side and a sorted window of its best 64 prices. The window is exact: it holds the
best prices there are, and is drawn again from the dict when fewer than `REFILL` are left.
"""

from bisect import bisect_left, insort
from heapq import nlargest, nsmallest

from market.errors import BookError
from market.events import BookDelta, BookSnapshot, Level

WINDOW = 64
REFILL = 10


class Book:
    """Levels of one instrument at one venue.

    Prices are quote currency, sizes base currency. A book is empty until its first snapshot and
    after `clear`; it refuses changes then.

    Example:
        >>> book = Book()
        >>> book.replace([(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.5)], sequence=7)
        >>> book.change([(99.0, 0.0)], [(100.5, 1.0)], sequence=8)
        True
        >>> book.top(1)
        ([(98.0, 2.0)], [(100.5, 1.0)])
    """

    __slots__ = ("_ask_window", "_asks", "_bid_window", "_bids", "is_empty", "sequence")

    def __init__(self) -> None:
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        # Both ascend, so that bisect serves both: the best bid is the last, the best ask the first.
        self._bid_window: list[float] = []
        self._ask_window: list[float] = []
        self.sequence = 0
        self.is_empty = True

    def clear(self) -> None:
        """Forget everything: what comes next must be a snapshot."""
        self._bids = {}
        self._asks = {}
        self._bid_window = []
        self._ask_window = []
        self.sequence = 0
        self.is_empty = True

    def apply(self, event: BookSnapshot | BookDelta) -> bool:
        """Take a snapshot or a delta; return whether it changed the book.

        Raises:
            BookError: a delta, and the book has no snapshot.
        """
        if type(event) is BookDelta:
            return self.change(event.bids, event.asks, sequence=event.sequence)
        if event.sequence and not self.is_empty and event.sequence < self.sequence:
            return False  # a second connection's start: what we have is newer
        self.replace(event.bids, event.asks, sequence=event.sequence)
        return True

    def replace(self, bids: list[Level], asks: list[Level], *, sequence: int) -> None:
        """Start from a whole book; levels of size 0 are left out."""
        self._bids = {price: size for price, size in bids if size}
        self._asks = {price: size for price, size in asks if size}
        self._bid_window = nlargest(WINDOW, self._bids)[::-1]
        self._ask_window = nsmallest(WINDOW, self._asks)
        self.sequence = sequence
        self.is_empty = False

    def change(self, bids: list[Level], asks: list[Level], *, sequence: int) -> bool:
        """Set levels to absolute sizes; return False when `sequence` is not news.

        Raises:
            BookError: the book has no snapshot.
        """
        if self.is_empty:
            raise BookError("a delta came before the snapshot")
        if sequence:
            if sequence <= self.sequence:
                return False
            self.sequence = sequence
        if bids:
            self._change_bids(bids)
        if asks:
            self._change_asks(asks)
        return True

    def _change_bids(self, levels: list[Level]) -> None:
        sizes = self._bids
        window = self._bid_window
        for price, size in levels:
            if price in sizes:
                if size:
                    sizes[price] = size
                    continue
                del sizes[price]
                if window and price >= window[0]:
                    del window[bisect_left(window, price)]
            elif size:
                if window and price > window[0]:
                    insort(window, price)
                    if len(window) > WINDOW:
                        del window[0]
                elif len(window) == len(sizes) < WINDOW:
                    window.insert(0, price)  # the window holds the whole side
                sizes[price] = size
        if len(window) < REFILL and len(window) < len(sizes):
            self._bid_window = nlargest(WINDOW, sizes)[::-1]

    def _change_asks(self, levels: list[Level]) -> None:
        sizes = self._asks
        window = self._ask_window
        for price, size in levels:
            if price in sizes:
                if size:
                    sizes[price] = size
                    continue
                del sizes[price]
                if window and price <= window[-1]:
                    del window[bisect_left(window, price)]
            elif size:
                if window and price < window[-1]:
                    insort(window, price)
                    if len(window) > WINDOW:
                        window.pop()
                elif len(window) == len(sizes) < WINDOW:
                    window.append(price)
                sizes[price] = size
        if len(window) < REFILL and len(window) < len(sizes):
            self._ask_window = nsmallest(WINDOW, sizes)

    @property
    def best_bid(self) -> float | None:
        """Highest bid, or None."""
        return self._bid_window[-1] if self._bid_window else None

    @property
    def best_ask(self) -> float | None:
        """Lowest ask, or None."""
        return self._ask_window[0] if self._ask_window else None

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no venue's book can."""
        bids, asks = self._bid_window, self._ask_window
        return bool(bids and asks) and bids[-1] >= asks[0]

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return the best `depth` bids and asks (1 to `REFILL`), best first."""
        if not 1 <= depth <= REFILL:
            raise ValueError(f"depth {depth}: expected 1 to {REFILL}")
        bids, asks = self._bids, self._asks
        return (
            [(price, bids[price]) for price in self._bid_window[: -depth - 1 : -1]],
            [(price, asks[price]) for price in self._ask_window[:depth]],
        )

    def levels(self) -> tuple[dict[float, float], dict[float, float]]:
        """Return copies of all bids and asks, price to size, in no order."""
        return dict(self._bids), dict(self._asks)

    def __len__(self) -> int:
        """Levels held on both sides."""
        return len(self._bids) + len(self._asks)
