"""Where size rests in a book over time: the walls below and above the price.

Prices are cut into stretches on a grid that depends on nothing but the price, so that it does not
jump when the market moves. A side's stretch holds so much size now, and so much of that has
rested: what has rested falls with what is there at once, and grows towards it slowly. A wall that
shows up and vanishes therefore never counts, however large it is.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from math import exp, floor, inf, log, log1p
from statistics import median

import msgspec

from market.events import Level
from market.intervals import SECOND

WIDTH_BPS = 2.0
"""Width of a stretch, in basis points of its price."""
REACH_BPS = 100.0
"""How far from its best price a side is looked at, in basis points of that price."""
HALF_LIFE_S = 60
"""Time in which half of what is new in a stretch has become resting size."""
LEAST_AGE_S = 15
"""Time that a wall must have been there without a break."""
SIGNIFICANT = 8.0
"""A wall begins where so many times the usual size rests."""
STAYS = 5.0
"""A wall ends where less than so many times the usual size rests."""
NEIGHBOURS = 4
"""Stretches to either side that say what is usual there."""
FEWEST = 6
"""A side with fewer stretches does not tell what is usual."""

WARM_UP = HALF_LIFE_S * SECOND
"""Nanoseconds of live book until walls are told, and after which a break forgets everything."""
_LEAST_AGE = LEAST_AGE_S * SECOND
_STEP = log1p(WIDTH_BPS / 10_000.0)


class RestingDepth(msgspec.Struct, frozen=True):
    """A whole book at one moment, and its walls: what `indicators.contract.Depth` asks for.

    Attributes:
        bids: all bids, price to size, in no order.
        asks: all asks, price to size, in no order.
        mid: half way between the best prices; None when a side is empty.
        supports: price and resting size of each wall below the mid, nearest first; None while
            warming.
        resistances: the same above the mid.
    """

    bids: Mapping[float, float]
    asks: Mapping[float, float]
    mid: float | None
    supports: tuple[Level, ...] | None
    resistances: tuple[Level, ...] | None


class _Seen(msgspec.Struct):
    """What one stretch holds now: its whole size, and its largest level."""

    index: int
    size: float
    price: float
    largest: float


class _Stretch(msgspec.Struct):
    """What is remembered of one stretch.

    Attributes:
        size: at the last sample.
        rested: how much of it has rested; at most `size`.
        age: ns for which it has been far above the usual; None when it is not. It stops at
            `LEAST_AGE_S`.
        is_wall: whether it was a wall at the last sample.
    """

    size: float
    rested: float
    age: int | None = None
    is_wall: bool = False


class LiquidityMap(msgspec.Struct):
    """Where size has rested in one book, from samples of it.

    Call `sample` about once a second while the book is true, and `interrupt` when it was lost.

    Of what is in a stretch at both ends of the time between two samples, that time adds its share
    with a half-life of `HALF_LIFE_S`. A stretch is a wall when at least `SIGNIFICANT` times the
    usual size rests in it and it has stood out for `LEAST_AGE_S` without a break; it stays one
    down to `STAYS` times, so that it does not flicker. Usual is the median of the side's stretches
    that hold anything, or the median of the nearest ones where that is more: books are thicker
    near the price. Walls in stretches that touch are one. Its price is that of its largest level.

    Input: whole books, prices and sizes above 0 and finite; times of our own clock, ns.
    Warm-up: `WARM_UP` ns of live book, breaks not counted. What is there at the very first sample
    is taken to have rested; what of it was not real is gone by the end of the warm-up.
    State: four numbers for each stretch within `REACH_BPS`, so some 50 a side at most.
    Edge: a time that is not later than the one before adds nothing, but the book counts. A
    stretch that comes into reach begins with nothing. After a break as long as the warm-up all is
    forgotten; a shorter one leaves what the next sample still has. What a venue does not show is
    not there: a book of few levels tells of walls only as far as it goes.

    Attributes:
        live: ns of live book so far, up to `WARM_UP`: below that it is warming.

    Example:
        >>> bids = {100.0 - step / 10: 40.0 if step == 3 else 1.0 for step in range(10)}
        >>> asks = {100.1 + step / 10: 1.0 for step in range(10)}
        >>> liquidity = LiquidityMap()
        >>> for second in range(61):
        ...     depth = liquidity.sample(bids, asks, second * 1_000_000_000)
        >>> depth.supports, depth.resistances
        (((99.7, 40.0),), ())
    """

    live: int = 0
    ts: int | None = None
    is_interrupted: bool = False
    below: dict[int, _Stretch] = {}
    above: dict[int, _Stretch] = {}

    @property
    def is_warm(self) -> bool:
        """Whether walls are told."""
        return self.live >= WARM_UP

    def interrupt(self) -> None:
        """Say that the book was lost: the time until the next sample does not count."""
        self.is_interrupted = True

    def sample(
        self, bids: Mapping[float, float], asks: Mapping[float, float], ts: int
    ) -> RestingDepth:
        """Take the whole book as it is at `ts`, and return it with its walls.

        Args:
            bids: price to size, in any order; kept by what is returned, so give copies.
            asks: the same.
            ts: ns of our clock.
        """
        passed = 0 if self.ts is None else max(0, ts - self.ts)
        if self.is_interrupted:
            if passed >= WARM_UP:
                self.live, self.ts, self.below, self.above = 0, None, {}, {}
            passed = 0
        is_first = self.ts is None
        self.is_interrupted = False
        self.ts = ts
        self.live = min(self.live + passed, WARM_UP)
        seen_below, seen_above = _cut(bids, is_bid=True), _cut(asks, is_bid=False)
        self.below = _remember(seen_below, self.below, passed, is_first=is_first)
        self.above = _remember(seen_above, self.above, passed, is_first=is_first)
        mid = _mid(bids, asks)
        if not self.is_warm:
            return RestingDepth(bids, asks, mid, None, None)
        if mid is None:
            return RestingDepth(bids, asks, mid, (), ())
        supports = (wall for wall in _walls(seen_below, self.below) if wall[0] < mid)
        resistances = (wall for wall in _walls(seen_above, self.above) if wall[0] > mid)
        return RestingDepth(bids, asks, mid, tuple(supports), tuple(resistances))


def _mid(bids: Mapping[float, float], asks: Mapping[float, float]) -> float | None:
    if not bids or not asks:
        return None
    total = max(bids) + min(asks)
    return total / 2 if 0 < total < inf else None


def _index(price: float) -> int:
    """Return the stretch of a price: the only one with `exp(n * _STEP) <= price < exp of n + 1`."""
    index = floor(log(price) / _STEP)
    while exp(index * _STEP) > price:  # the logarithm was rounded across the edge
        index -= 1
    while exp((index + 1) * _STEP) <= price:
        index += 1
    return index


def _cut(levels: Mapping[float, float], *, is_bid: bool) -> list[_Seen]:
    """Return the stretches of one side within reach that hold anything, nearest first."""
    # Sorted, the order in which levels came makes no difference to a sum.
    prices = sorted(levels)
    if not prices:
        return []
    reach = REACH_BPS / 10_000.0
    if is_bid:
        at, end = bisect_left(prices, prices[-1] * (1.0 - reach)), len(prices)
    else:
        at, end = 0, bisect_right(prices, prices[0] * (1.0 + reach))
    seen = []
    while at < end:
        index = _index(prices[at])
        after = bisect_left(prices, exp((index + 1) * _STEP), at, end)
        sizes = [levels[price] for price in prices[at:after]]
        largest = max(sizes)
        price = prices[at + sizes.index(largest)]
        seen.append(_Seen(index, sum(sizes), price, largest))
        at = after
    if is_bid:
        seen.reverse()
    return seen


def _remember(
    seen: list[_Seen], before: dict[int, _Stretch], passed: int, *, is_first: bool
) -> dict[int, _Stretch]:
    """Return what is to be remembered of these stretches, `passed` ns after the last sample."""
    kept = 0.5 ** (passed / (HALF_LIFE_S * SECOND))
    usual = median(each.size for each in seen) if len(seen) >= FEWEST else inf
    now: dict[int, _Stretch] = {}
    for place, each in enumerate(seen):
        size = each.size
        last = before.get(each.index)
        if last is None:
            last = _Stretch(size, size) if is_first else _NOTHING
        rested = last.rested
        there = min(last.size, size)  # through all the time between
        if there > rested:
            rested = there - (there - rested) * kept
        rested = min(rested, size)
        now[each.index] = stretch = _Stretch(size, rested)
        if size >= STAYS * usual:
            usual_here = max(usual, _usual_around(seen, place))
            if size >= STAYS * usual_here:
                age = 0 if last.age is None else min(last.age + passed, _LEAST_AGE)
                share = STAYS if last.is_wall else SIGNIFICANT
                stretch.age = age
                stretch.is_wall = age >= _LEAST_AGE and rested >= share * usual_here
    return now


_NOTHING = _Stretch(0.0, 0.0)


def _usual_around(seen: list[_Seen], place: int) -> float:
    """Return the median size of the nearest other stretches that hold anything."""
    nearer = seen[max(0, place - NEIGHBOURS) : place]
    farther = seen[place + 1 : place + 1 + NEIGHBOURS]
    return median(each.size for each in (*nearer, *farther))


def _walls(seen: list[_Seen], stretches: dict[int, _Stretch]) -> Iterator[Level]:
    """Yield price and resting size of the walls, nearest first; those that touch are one."""
    wall: _Seen | None = None
    for each in seen:
        stretch = stretches[each.index]
        if not stretch.is_wall:
            continue
        if wall is not None and abs(each.index - wall.index) == 1:
            size = wall.size + stretch.rested
            best = wall if wall.largest >= each.largest else each
            wall = _Seen(each.index, size, best.price, best.largest)
            continue
        if wall is not None:
            yield wall.price, wall.size
        wall = _Seen(each.index, stretch.rested, each.price, each.largest)
    if wall is not None:
        yield wall.price, wall.size
