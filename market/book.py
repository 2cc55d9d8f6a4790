"""One venue's order book, kept from snapshots and absolute changes.

A dict of levels a side and a sorted window of its best prices. A removed level stays in both with
the size 0 until it is in the way: most come back soon, and then a change is one update of a dict,
with nothing searched, inserted or moved.
"""

from itertools import islice
from operator import countOf

from market.errors import BookError
from market.events import BookDelta, BookSnapshot, Level

WINDOW = 64
"""Best levels a side that can be read."""
WIDEST = 2 * WINDOW
"""Prices in a window, removed ones counted, from which on it is swept."""
REMOVED = 10
"""Removed levels among the best that a read passes over before the window is swept."""
REFILL = 10
"""A swept window with fewer levels is drawn again from the whole side."""
FEWEST_KEPT = 1000
"""So many levels, removed ones counted, a side may always hold."""


class _Side:
    """The bids or the asks.

    Every price in `held` that is as good as the window's last one or better is in the window; a
    window as long as `held` has all of them.
    """

    __slots__ = ("held", "is_bid", "limit", "window")

    def __init__(self, *, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.held: dict[float, float] = {}
        self.window: list[float] = []  # best first
        self.limit = FEWEST_KEPT

    def __len__(self) -> int:
        return len(self.held) - countOf(self.held.values(), 0.0)

    def replace(self, levels: list[Level]) -> None:
        """Forget everything and hold these."""
        self.held = dict(levels)
        self._draw()

    def change(self, levels: list[Level]) -> None:
        """Set levels to absolute sizes."""
        held = self.held
        before = len(held)
        held.update(levels)
        new = len(held) - before
        if new:
            # A dict keeps the order in which keys came: the new prices are its last ones.
            self._add(list(islice(reversed(held), new)), before)

    def best(self, depth: int) -> list[Level]:
        """Return the best `depth` levels, best first."""
        held = self.held
        found: list[Level] = []
        missing = depth
        for price in self.window[: depth + REMOVED]:
            size = held[price]
            if size:
                found.append((price, size))
                missing -= 1
                if not missing:
                    return found
        return self._search(depth)

    def levels(self) -> dict[float, float]:
        """Return all levels, price to size, in no order."""
        return {price: size for price, size in self.held.items() if size}

    def _add(self, prices: list[float], before: int) -> None:
        window = self.window
        if len(window) < before:
            edge = window[-1]
            if self.is_bid:
                prices = [price for price in prices if price >= edge]
            else:
                prices = [price for price in prices if price <= edge]
        if prices:
            window += prices
            window.sort(reverse=self.is_bid)  # nearly sorted: cheaper than a search for each
        if len(self.held) > self.limit:
            self._draw()
        elif len(window) > WIDEST:
            self._sweep()

    def _search(self, depth: int) -> list[Level]:
        """Return the best levels where removed ones stand in the way, or there are too few."""
        held = self.held
        if len(self.window) < len(held) or not all(map(held.__getitem__, self.window)):
            self._sweep()
            if len(self.window) < depth and len(self.window) < len(held):
                self._draw()
        return [(price, self.held[price]) for price in self.window[:depth]]

    def _sweep(self) -> None:
        """Forget the removed levels of the window."""
        held = self.held
        kept = []
        for price in self.window:
            if held[price]:
                kept.append(price)
            else:
                del held[price]
        del kept[WINDOW:]
        self.window = kept
        if len(kept) < REFILL and len(kept) < len(held):
            self._draw()

    def _draw(self) -> None:
        """Forget all removed levels and draw the window again."""
        self.held = self.levels()
        self.limit = max(FEWEST_KEPT, 2 * len(self.held))
        # Venues send their books sorted and a dict keeps that order: sorting is nearly free.
        self.window = sorted(self.held, reverse=self.is_bid)[:WINDOW]


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

    __slots__ = ("_asks", "_bids", "is_empty", "sequence")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: what comes next must be a snapshot."""
        self._bids = _Side(is_bid=True)
        self._asks = _Side(is_bid=False)
        self.sequence = 0
        self.is_empty = True

    def apply(self, event: BookSnapshot | BookDelta) -> bool:
        """Take a snapshot or a delta; return whether it changed the book.

        Raises:
            BookError: a delta, and the book has no snapshot.
        """
        if type(event) is BookDelta:
            return self.change(event.bids, event.asks, event.sequence)
        if event.sequence and not self.is_empty and event.sequence < self.sequence:
            return False  # a second connection's start: what we have is newer
        self.replace(event.bids, event.asks, sequence=event.sequence)
        return True

    def replace(self, bids: list[Level], asks: list[Level], *, sequence: int) -> None:
        """Start from a whole book; levels of size 0 are left out."""
        self._bids.replace(bids)
        self._asks.replace(asks)
        self.sequence = sequence
        self.is_empty = False

    def change(self, bids: list[Level], asks: list[Level], sequence: int) -> bool:
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
            self._bids.change(bids)
        if asks:
            self._asks.change(asks)
        return True

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no venue's book can."""
        bids, asks = self.top(1)
        return bool(bids and asks) and bids[0][0] >= asks[0][0]

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return the best `depth` bids and asks (1 to `WINDOW`), best first."""
        if not 1 <= depth <= WINDOW:
            raise ValueError(f"depth {depth}: expected 1 to {WINDOW}")
        return self._bids.best(depth), self._asks.best(depth)

    def levels(self) -> tuple[dict[float, float], dict[float, float]]:
        """Return all bids and asks, price to size, in no order."""
        return self._bids.levels(), self._asks.levels()

    def __len__(self) -> int:
        """Levels held on both sides."""
        return len(self._bids) + len(self._asks)
