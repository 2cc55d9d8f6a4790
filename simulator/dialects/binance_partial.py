"""Binance spot's partial book streams: the best levels, whole in each message.

What the documentation leaves open is decided so: a message comes at its rhythm when the book has
changed, and once after somebody began to read.
"""

import msgspec

from simulator.listings import Listing
from simulator.true_book import LevelChange, TrueBook

MILLISECOND = 1_000_000
SLOW = 1_000 * MILLISECOND
LEVELS = (5, 10, 20)
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""


class _PartialBook(msgspec.Struct):
    """`{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[]}`."""

    lastUpdateId: int  # noqa: N815
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


def partial_kinds(fast: int) -> dict[str, tuple[int, int]]:
    """Return levels and interval (ns) by what follows the symbol in a stream's name."""
    rhythms = {"": SLOW, "@1000ms": SLOW, "@100ms": fast}
    return {
        f"depth{levels}{suffix}": (levels, interval)
        for levels in LEVELS
        for suffix, interval in rhythms.items()
    }


class PartialStream:
    """One partial book stream.

    Args:
        levels: of each side.
        interval: ns between two messages.
        book: the true book now; it is copied, for a message tells the moment that it is due.
    """

    __slots__ = ("_book", "_has_news", "_levels", "interval", "readers")

    def __init__(self, levels: int, interval: int, book: TrueBook) -> None:
        self._levels = levels
        self._book = book.duplicate()
        self._has_news = True
        self.interval = interval
        self.readers: dict[str, None] = {}

    def join(self, conn: str) -> None:
        """Let a connection read; it gets the next message whether the book changes or not."""
        self.readers[conn] = None
        self._has_news = True

    def absorb(self, change: LevelChange) -> None:
        """Take a change of the book."""
        self._book.apply(change)
        self._has_news = True

    def message(self, *, is_false: bool) -> bytes | None:
        """Return what is told now, None for nothing; with a bid above the best ask if false."""
        if not self._has_news:
            return None
        self._has_news = False
        listing = self._book.listing
        bids, asks = self._book.bids, self._book.asks
        best_bids = [_level(listing, at, bids.sizes[at]) for at in bids.prices[-self._levels :]]
        if is_false:
            best = self._book.best_ask or listing.price
            crossing = best + max(1, int(best * CROSSING))
            best_bids = [*best_bids[1:], _level(listing, crossing, listing.level_size)]
        best_asks = [_level(listing, at, asks.sizes[at]) for at in asks.prices[: self._levels]]
        return msgspec.json.encode(_PartialBook(self._book.update_id, best_bids[::-1], best_asks))


def _level(listing: Listing, price: int, size: int) -> tuple[str, str]:
    return listing.price_text(price), listing.size_text(size)
