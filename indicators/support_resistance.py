"""The nearest prices at which much size has rested for a while, and how far away they are."""

from collections.abc import Sequence

import msgspec

from indicators.contract import Depth
from indicators.kinds import DepthKind, Output, Parameter
from indicators.liquidity import (
    HALF_LIFE_S,
    LEAST_AGE_S,
    REACH_BPS,
    SIGNIFICANT,
    STAYS,
    WIDTH_BPS,
)
from market.events import Level

FARTHEST_RANK = 5


class Support(msgspec.Struct, frozen=True):
    """Price of the n-th nearest wall of bids, as `indicators.liquidity` finds them.

    Args:
        rank: 1 for the nearest, 2 for the next one below it, and so on.

    Warm-up: one half-life of live book.
    Output: quote currency, the price of a level that is there; None when there are fewer walls.

    Example:
        >>> Support(1).name
        'support(1)'
    """

    rank: int

    @property
    def name(self) -> str:
        """Canonical name, `"support(1)"`."""
        return f"support({self.rank})"

    def measure(self, depth: Depth) -> float | None:
        """Return the price, or None."""
        return _price(depth.supports, self.rank)


class Resistance(msgspec.Struct, frozen=True):
    """Price of the n-th nearest wall of asks; as `Support` in all else.

    Example:
        >>> Resistance(2).name
        'resistance(2)'
    """

    rank: int

    @property
    def name(self) -> str:
        """Canonical name, `"resistance(1)"`."""
        return f"resistance({self.rank})"

    def measure(self, depth: Depth) -> float | None:
        """Return the price, or None."""
        return _price(depth.resistances, self.rank)


class SupportDistanceBps(msgspec.Struct, frozen=True):
    """How far `support(rank)` is below the mid price, in basis points of the mid price.

    Output: above 0; None when there is no such support.

    Example:
        >>> SupportDistanceBps(1).name
        'support_distance_bps(1)'
    """

    rank: int

    @property
    def name(self) -> str:
        """Canonical name, `"support_distance_bps(1)"`."""
        return f"support_distance_bps({self.rank})"

    def measure(self, depth: Depth) -> float | None:
        """Return the distance, or None."""
        return _distance(depth.supports, self.rank, depth.mid)


class ResistanceDistanceBps(msgspec.Struct, frozen=True):
    """How far `resistance(rank)` is above the mid price, in basis points of the mid price.

    Output: above 0; None when there is no such resistance.

    Example:
        >>> ResistanceDistanceBps(1).name
        'resistance_distance_bps(1)'
    """

    rank: int

    @property
    def name(self) -> str:
        """Canonical name, `"resistance_distance_bps(1)"`."""
        return f"resistance_distance_bps({self.rank})"

    def measure(self, depth: Depth) -> float | None:
        """Return the distance, or None."""
        return _distance(depth.resistances, self.rank, depth.mid)


def _price(walls: Sequence[Level] | None, rank: int) -> float | None:
    return walls[rank - 1][0] if walls is not None and len(walls) >= rank else None


def _distance(walls: Sequence[Level] | None, rank: int, mid: float | None) -> float | None:
    price = _price(walls, rank)
    if price is None or mid is None:
        return None
    return 10_000.0 * (abs(mid - price) / mid)


_RANK = Parameter("rank", 1, 1, FARTHEST_RANK, "1 for the nearest")
_NOTES = f"""A wall is a stretch of prices, {WIDTH_BPS:g} basis points wide on a grid that does not
move with the market, where at least {SIGNIFICANT:g} times the usual size rests; it ends below
{STAYS:g} times, so that it does not flicker. Usual is the median of that side's stretches within
{REACH_BPS:g} basis points of its best price, or the median of the nearest ones where that is more.
What rests is never more than what is there: it falls with it at once, and grows towards it with a
half-life of {HALF_LIFE_S} s of live book. So a wall that was pulled or traded is gone with the
next sample, a second later, and one that has not been there for {LEAST_AGE_S} s without a break is
none yet. Stretches that touch are one wall; its price is that of the largest level in it. No value
in the first {HALF_LIFE_S} s of a live book, nor when there is no such wall."""

KINDS = (
    DepthKind(
        name="support",
        meaning="price of the n-th nearest wall of bids, from size that has rested over time",
        parameters=(_RANK,),
        outputs=(Output("", "quote currency", 0.0, is_rare=True, shown="price"),),
        make=Support,
        notes=_NOTES,
    ),
    DepthKind(
        name="resistance",
        meaning="price of the n-th nearest wall of asks, from size that has rested over time",
        parameters=(_RANK,),
        outputs=(Output("", "quote currency", 0.0, is_rare=True, shown="price"),),
        make=Resistance,
        notes="The same as `support`, above the mid price.",
    ),
    DepthKind(
        name="support_distance_bps",
        meaning="how far `support` is below the mid price",
        parameters=(_RANK,),
        outputs=(Output("", "basis points of the mid price", 0.0, is_rare=True),),
        make=SupportDistanceBps,
        notes="No value when there is no such support.",
    ),
    DepthKind(
        name="resistance_distance_bps",
        meaning="how far `resistance` is above the mid price",
        parameters=(_RANK,),
        outputs=(Output("", "basis points of the mid price", 0.0, is_rare=True),),
        make=ResistanceDistanceBps,
        notes="No value when there is no such resistance.",
    ),
)
