"""One venue's order book, kept from snapshots and absolute changes.

A dict of levels a side and a sorted window of its best 64 prices. The window is exact: between
messages it holds the best prices there are, and all of them when it holds fewer than `REFILL`.
"""

from bisect import bisect_left, insort
from math import inf

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
        # Price to level: a level is kept as it came, so that reading the best makes no tuples.
        self._bids: dict[float, Level] = {}
        self._asks: dict[float, Level] = {}
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
        self._bids = {level[0]: level for level in bids if level[1]}
        self._asks = {level[0]: level for level in asks if level[1]}
        # Venues send their books sorted and a dict keeps that order: sorting is nearly free, here
        # and when a window is drawn again.
        self._bid_window = sorted(self._bids)[-WINDOW:]
        self._ask_window = sorted(self._asks)[:WINDOW]
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
        held = self._bids
        window = self._bid_window
        count = len(held)
        # While this message lasts the window holds every price from `edge` on, however many.
        edge = -inf if len(window) == count else window[0]
        for level in levels:
            price, size = level
            if size:
                held[price] = level
                if len(held) != count:  # cheaper than asking first
                    count += 1
                    if price >= edge:
                        insort(window, price)
            elif price in held:
                del held[price]
                count -= 1
                if price >= edge:
                    del window[bisect_left(window, price)]
        if len(window) > WINDOW:
            del window[:-WINDOW]
        elif len(window) < REFILL and len(window) < count:
            self._bid_window = sorted(held)[-WINDOW:]

    def _change_asks(self, levels: list[Level]) -> None:
        held = self._asks
        window = self._ask_window
        count = len(held)
        edge = inf if len(window) == count else window[-1]
        for level in levels:
            price, size = level
            if size:
                held[price] = level
                if len(held) != count:
                    count += 1
                    if price <= edge:
                        insort(window, price)
            elif price in held:
                del held[price]
                count -= 1
                if price <= edge:
                    del window[bisect_left(window, price)]
        if len(window) > WINDOW:
            del window[WINDOW:]
        elif len(window) < REFILL and len(window) < count:
            self._ask_window = sorted(held)[:WINDOW]

    def _fill(self, depth: int) -> None:
        """Draw again the windows that have become too short for `depth`."""
        if len(self._bid_window) < min(depth, len(self._bids)):
            self._bid_window = sorted(self._bids)[-WINDOW:]
        if len(self._ask_window) < min(depth, len(self._asks)):
            self._ask_window = sorted(self._asks)[:WINDOW]

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
        """Return the best `depth` bids and asks (1 to `WINDOW`), best first."""
        if not 1 <= depth <= WINDOW:
            raise ValueError(f"depth {depth}: expected 1 to {WINDOW}")
        if depth > REFILL:
            self._fill(depth)
        return (
            list(map(self._bids.__getitem__, self._bid_window[: -depth - 1 : -1])),
            list(map(self._asks.__getitem__, self._ask_window[:depth])),
        )

    def levels(self) -> tuple[dict[float, float], dict[float, float]]:
        """Return all bids and asks, price to size, in no order."""
        return dict(self._bids.values()), dict(self._asks.values())

    def __len__(self) -> int:
        """Levels held on both sides."""
        return len(self._bids) + len(self._asks)
