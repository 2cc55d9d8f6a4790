"""How much is bid and asked close to the price: sizes of a whole book, not of its best levels."""

from collections.abc import Mapping
from math import fsum

import msgspec

from indicators.book_imbalance import ROUNDING
from indicators.contract import Depth
from indicators.kinds import DepthKind, Output, Parameter
from indicators.series import number_text


class BidDepth(msgspec.Struct, frozen=True):
    """Size of all bids that are at most `bps` basis points below the mid price.

    Args:
        bps: width of the band in basis points (1/100 %) of the mid price, above 0.

    Output: base currency, 0 or more; 0 when the best bid is farther away than that; None when a
    side is empty. What the venue does not show is not counted.
    Edge: a level exactly on the band's edge counts, rounding allowed for. The sum is rounded once,
    so that the order of the levels makes no difference.

    Example:
        >>> from indicators.liquidity import LiquidityMap
        >>> depth = LiquidityMap().sample({99.9: 2.0, 99.0: 5.0}, {100.1: 1.0}, ts=0)
        >>> BidDepth(10.0).measure(depth), BidDepth(100.0).measure(depth)
        (2.0, 7.0)
    """

    bps: float

    @property
    def name(self) -> str:
        """Canonical name, `"book.bid_depth(10)"`."""
        return f"book.bid_depth({number_text(self.bps)})"

    def measure(self, depth: Depth) -> float | None:
        """Return the size, or None."""
        mid = depth.mid
        if mid is None:
            return None
        edge = mid * (1.0 - self.bps / 10_000.0 - ROUNDING)
        return _total(depth.bids, edge, mid)


class AskDepth(msgspec.Struct, frozen=True):
    """Size of all asks that are at most `bps` basis points above the mid price.

    As `BidDepth` in all else.

    Example:
        >>> from indicators.liquidity import LiquidityMap
        >>> depth = LiquidityMap().sample({99.9: 2.0}, {100.1: 1.0, 103.0: 4.0}, ts=0)
        >>> AskDepth(10.0).measure(depth)
        1.0
    """

    bps: float

    @property
    def name(self) -> str:
        """Canonical name, `"book.ask_depth(10)"`."""
        return f"book.ask_depth({number_text(self.bps)})"

    def measure(self, depth: Depth) -> float | None:
        """Return the size, or None."""
        mid = depth.mid
        if mid is None:
            return None
        edge = mid * (1.0 + self.bps / 10_000.0 + ROUNDING)
        return _total(depth.asks, mid, edge)


def _total(levels: Mapping[float, float], low: float, high: float) -> float | None:
    """Return the size from one price to another; None when it is no number any more."""
    try:
        return fsum(size for price, size in levels.items() if low <= price <= high)
    except OverflowError:
        return None


_BPS = Parameter("bps", 10, 0.01, 5000, "basis points from the mid price", whole=False)
_NOTES = """Counted over the whole book that the venue shows, sampled once a second, up to and with
the edge of the band. 0 when the best level is farther away; no value when a side is empty."""

KINDS = (
    DepthKind(
        name="book.bid_depth",
        meaning="size bid within so many basis points of the mid price",
        parameters=(_BPS,),
        outputs=(Output("", "base currency", 0.0),),
        make=BidDepth,
        notes=_NOTES,
    ),
    DepthKind(
        name="book.ask_depth",
        meaning="size asked within so many basis points of the mid price",
        parameters=(_BPS,),
        outputs=(Output("", "base currency", 0.0),),
        make=AskDepth,
        notes=_NOTES,
    ),
)
