"""Which side of a book is heavier, and how wide it is: computed from levels, with no state.

Levels are (price, size), best first, prices in quote currency, sizes in base currency and > 0.
These run on every book message, so they are plain loops.
"""

from collections.abc import Sequence
from math import inf

import msgspec

from indicators.kinds import BookKind, Output, Parameter
from market.book import REFILL
from market.events import Level

ROUNDING = 1e-12
"""Share of a price within which two distances are the same: less than any venue's tick."""


class VolumeImbalance(msgspec.Struct, frozen=True):
    """How much more is bid than asked, by size.

    `(bid size - ask size) / (bid size + ask size)` over the best `depth` levels a side.

    Args:
        depth: levels a side; fewer count when the book has fewer.

    Output: -1 (only asks weigh) to 1 (only bids weigh); None when a side is empty.

    References:
        R. Cont, A. Kukanov, S. Stoikov, The Price Impact of Order Book Events, 2014.

    Example:
        >>> VolumeImbalance(depth=2).measure([(99.0, 3.0), (98.0, 3.0)], [(101.0, 2.0)])
        0.5
    """

    depth: int

    @property
    def name(self) -> str:
        """Canonical name, `"book.imbalance(10)"`."""
        return f"book.imbalance({self.depth})"

    def measure(self, bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
        """Return the imbalance of these levels, or None."""
        depth = self.depth
        if len(bids) > depth:
            bids = bids[:depth]
        if len(asks) > depth:
            asks = asks[:depth]
        bid = ask = 0.0
        for _, size in bids:
            bid += size
        for _, size in asks:
            ask += size
        total = bid + ask
        if bid > 0 and ask > 0 and total < inf:
            return (bid - ask) / total
        return None


class CountImbalance(msgspec.Struct, frozen=True):
    """How many more levels are bid than asked in the band that both sides fill.

    The best `depth` levels of each side reach some distance from the mid price; the band is the
    shorter reach of the two. `(bids - asks) / (bids + asks)` counts the levels inside it: a side
    whose orders stand closer together weighs more, whatever their size.

    Args:
        depth: levels a side; fewer count when the book has fewer.

    Output: above -1, below 1; 0 for equally dense sides; None when a side is empty.
    Edge: a level exactly on the band's edge counts, rounding allowed for.

    Example:
        >>> bids = [(99.0, 1.0), (98.0, 1.0), (97.0, 1.0)]
        >>> asks = [(101.0, 1.0), (105.0, 1.0), (109.0, 1.0)]
        >>> CountImbalance(depth=3).measure(bids, asks)
        0.5
    """

    depth: int

    @property
    def name(self) -> str:
        """Canonical name, `"book.count_imbalance(10)"`."""
        return f"book.count_imbalance({self.depth})"

    def measure(self, bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
        """Return the imbalance of these levels, or None."""
        if not bids or not asks:
            return None
        depth = self.depth
        if len(bids) > depth:
            bids = bids[:depth]
        if len(asks) > depth:
            asks = asks[:depth]
        mid = (bids[0][0] + asks[0][0]) / 2
        below = mid - bids[-1][0]
        above = asks[-1][0] - mid
        # The side with the shorter reach is inside as a whole; the other is counted.
        if below <= above:
            bid = len(bids)
            edge = mid + below + mid * ROUNDING
            ask = len(asks)
            for index, (price, _) in enumerate(asks):
                if price > edge:
                    ask = index
                    break
        else:
            ask = len(asks)
            edge = mid - above - mid * ROUNDING
            bid = len(bids)
            for index, (price, _) in enumerate(bids):
                if price < edge:
                    bid = index
                    break
        return (bid - ask) / (bid + ask)


class SpreadBps(msgspec.Struct, frozen=True):
    """Best ask less best bid, in basis points (1/100 %) of the mid price.

    Output: above 0 for one venue's book; None when a side is empty or the mid is not above 0.

    Example:
        >>> SpreadBps().measure([(99.5, 1.0)], [(100.5, 1.0)])
        100.0
    """

    @property
    def name(self) -> str:
        """Canonical name."""
        return "book.spread_bps"

    def measure(self, bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
        """Return the spread of these levels, or None."""
        if not bids or not asks:
            return None
        bid, ask = bids[0][0], asks[0][0]
        total = bid + ask
        return 20_000.0 * ((ask - bid) / total) if 0 < total < inf else None


DEPTH = Parameter("depth", REFILL, 1, REFILL, "levels a side")

KINDS = (
    BookKind(
        name="book.imbalance",
        meaning="(bid size - ask size) / (bid size + ask size) over the best levels",
        parameters=(DEPTH,),
        outputs=(Output("", "-1 to 1", -1.0, 1.0, shown="bars"),),
        make=VolumeImbalance,
        notes="1 when only bids weigh, -1 when only asks do. No value when a side is empty.",
    ),
    BookKind(
        name="book.count_imbalance",
        meaning="the same with the number of levels in the band that both sides fill",
        parameters=(DEPTH,),
        outputs=(Output("", "-1 to 1", -1.0, 1.0, shown="bars"),),
        make=CountImbalance,
        notes="""The best `depth` levels of each side reach some distance from the mid
price; the shorter reach of the two is the band, and only levels inside it count, those on its
edge included. A side whose orders stand closer together weighs more, whatever their size. No
value when a side is empty.""",
    ),
    BookKind(
        name="book.spread_bps",
        meaning="best ask less best bid",
        outputs=(Output("", "basis points of the mid price"),),
        make=SpreadBps,
        notes="A basis point is a hundredth of a per cent. No value when a side is empty.",
    ),
)
