"""The map of resting size: its grid, its memory, and what makes no difference to it."""

import math
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.liquidity import (
    HALF_LIFE_S,
    LEAST_AGE_S,
    REACH_BPS,
    WARM_UP,
    WIDTH_BPS,
    LiquidityMap,
    RestingDepth,
)
from market.intervals import SECOND
from tests.drawn_examples import examples

Side = dict[float, float]
WALL = 98.04
PLAIN = {round(100.0 - step * 0.02, 2): 1.0 for step in range(45)} | {98.0: 1.0}
"""A bid every two basis points: about one in each stretch."""
ASKS = {round(100.02 + step * 0.02, 2): 1.0 for step in range(45)}


def walled(size: float, price: float = 99.5) -> Side:
    return PLAIN | {price: size}


def keep(
    liquidity: LiquidityMap, bids: Side, first: int, last: int, asks: Side = ASKS
) -> RestingDepth:
    """Sample one book every second from `first` to `last`."""
    depth = None
    for second in range(first, last + 1):
        depth = liquidity.sample(bids, asks, second * SECOND)
    assert depth is not None
    return depth


def test_nothing_is_told_before_one_half_life_of_live_book() -> None:
    liquidity = LiquidityMap()
    depth = keep(liquidity, walled(50.0), 0, HALF_LIFE_S - 1)
    assert (depth.supports, depth.resistances, liquidity.is_warm) == (None, None, False)
    assert depth.mid == pytest.approx(100.01)
    assert (depth.bids, depth.asks) == (walled(50.0), ASKS)
    depth = keep(liquidity, walled(50.0), HALF_LIFE_S, HALF_LIFE_S)
    assert depth.supports == ((99.5, 50.0),)
    assert depth.resistances == ()


def test_a_new_wall_grows_with_the_half_life_whatever_the_steps() -> None:
    for step in (SECOND // 4, SECOND, 7 * SECOND, 30 * SECOND):
        liquidity = LiquidityMap()
        keep(liquidity, PLAIN, 0, 100)
        start = 101 * SECOND
        liquidity.sample(walled(1001.0), ASKS, start)
        ts = start
        while ts < start + 210 * SECOND:
            ts += step
            liquidity.sample(walled(1001.0), ASKS, ts)
        (wall,) = [each for each in liquidity.below.values() if each.size > 1000]
        grown = 1 - 0.5 ** ((ts - start) / WARM_UP)
        assert wall.rested == pytest.approx(1 + 1000 * grown, abs=3)


def test_a_wall_is_none_before_its_age() -> None:
    liquidity = LiquidityMap()
    keep(liquidity, PLAIN, 0, 100)
    for second in range(101, 101 + LEAST_AGE_S):
        assert keep(liquidity, walled(1e6), second, second).supports == ()
    after = keep(liquidity, walled(1e6), 101 + LEAST_AGE_S, 101 + LEAST_AGE_S)
    assert after.supports is not None
    assert [price for price, _ in after.supports] == [99.5]


def test_a_wall_that_shrinks_is_gone_at_once_and_does_not_flicker_between() -> None:
    liquidity = LiquidityMap()
    assert keep(liquidity, walled(50.0), 0, 80).supports == ((99.5, 50.0),)
    assert keep(liquidity, walled(6.0), 81, 81).supports == ((99.5, 6.0),)
    assert keep(liquidity, walled(4.0), 82, 82).supports == ()
    assert keep(liquidity, walled(50.0), 83, 83).supports == ()
    assert keep(liquidity, PLAIN, 84, 84).supports == ()


def test_the_price_is_that_of_the_largest_level_in_it() -> None:
    crowded = PLAIN | {99.511: 20.0, 99.513: 30.0, 99.515: 25.0}
    depth = keep(LiquidityMap(), crowded, 0, 60)
    assert depth.supports is not None
    ((price, size),) = depth.supports
    assert price == 99.513
    assert 75.0 <= size <= 77.0


def test_walls_that_touch_are_one_and_others_are_told_nearest_first() -> None:
    bids = PLAIN | {99.6: 30.0, 99.58: 40.0, 99.2: 60.0}
    depth = keep(LiquidityMap(), bids, 0, 60)
    assert depth.supports == ((99.58, 70.0), (99.2, 60.0))
    asks = ASKS | {100.1: 30.0, 100.6: 20.0}
    depth = keep(LiquidityMap(), PLAIN, 0, 60, asks)
    assert depth.resistances == ((100.1, 30.0), (100.6, 20.0))


def test_what_is_beyond_reach_is_not_looked_at() -> None:
    edge = 100.0 * (1 - REACH_BPS / 10_000)
    inside, outside = round(edge + 0.01, 2), round(edge - 0.01, 2)
    assert keep(LiquidityMap(), walled(99.0, inside), 0, 60).supports == ((inside, 99.0),)
    assert keep(LiquidityMap(), walled(99.0, outside), 0, 60).supports == ()


def test_a_side_of_few_levels_or_none_has_no_wall() -> None:
    few = {100.0: 1.0, 99.0: 500.0}
    depth = keep(LiquidityMap(), few, 0, 60)
    assert depth.supports == ()
    depth = keep(LiquidityMap(), {}, 0, 60, ASKS | {100.5: 90.0})
    assert (depth.mid, depth.supports, depth.resistances) == (None, (), ())


def test_a_wall_beyond_the_mid_of_a_crossed_book_is_neither() -> None:
    bids = {price + 0.5: size for price, size in walled(50.0, 100.0).items()}
    depth = keep(LiquidityMap(), bids, 0, 60)
    assert depth.mid == pytest.approx((100.5 + 100.02) / 2)
    assert depth.supports == ()


def test_a_short_break_leaves_what_is_still_there_and_does_not_count() -> None:
    liquidity = LiquidityMap()
    keep(liquidity, walled(50.0), 0, 40)
    liquidity.interrupt()
    keep(liquidity, walled(50.0), 70, 70)
    assert liquidity.live == 40 * SECOND
    assert keep(liquidity, walled(50.0), 71, 89).supports is None
    assert keep(liquidity, walled(50.0), 90, 90).supports == ((99.5, 50.0),)
    liquidity.interrupt()
    assert keep(liquidity, walled(30.0), 100, 100).supports == ((99.5, 30.0),)
    liquidity.interrupt()
    assert keep(liquidity, PLAIN, 110, 110).supports == ()


def test_a_break_as_long_as_the_warm_up_forgets_everything() -> None:
    liquidity = LiquidityMap()
    keep(liquidity, walled(50.0), 0, 100)
    liquidity.interrupt()
    depth = liquidity.sample(walled(50.0), ASKS, 100 * SECOND + WARM_UP)
    assert depth.supports is None
    fresh = LiquidityMap()
    fresh.sample(walled(50.0), ASKS, 100 * SECOND + WARM_UP)
    assert liquidity == fresh


def test_a_clock_that_goes_back_adds_nothing() -> None:
    liquidity = LiquidityMap()
    keep(liquidity, PLAIN, 0, 10)
    for _ in range(100):
        liquidity.sample(walled(50.0), ASKS, 5 * SECOND)
    assert liquidity.live == 10 * SECOND
    assert [each.rested for each in liquidity.below.values() if each.size == 50.0] == [1.0]


def test_a_price_is_always_in_the_same_stretch_and_a_stretch_is_as_wide_as_it_says() -> None:
    step = math.log1p(WIDTH_BPS / 10_000)
    for exponent in range(-8, 9):
        for edge in range(-3, 4):
            index = round(exponent * math.log(10) / step) + edge
            price = math.exp(index * step)
            for each, place in (
                (price, index),
                (math.nextafter(price, math.inf), index),
                (math.nextafter(price, 0.0), index - 1),
            ):
                liquidity = LiquidityMap()
                liquidity.sample({each: 1.0}, {}, 0)
                assert list(liquidity.below) == [place]


def test_the_state_does_not_grow_while_the_price_goes_far() -> None:
    liquidity = LiquidityMap()
    sizes = []
    for second in range(600):
        factor = 1.001**second
        bids = {price * factor: size for price, size in PLAIN.items()}
        asks = {price * factor: size for price, size in ASKS.items()}
        liquidity.sample(bids, asks, second * SECOND)
        sizes.append(len(liquidity.below) + len(liquidity.above))
    assert max(sizes) <= 2 * (REACH_BPS / WIDTH_BPS + 2)


SIDES = st.dictionaries(st.integers(0, 60), st.integers(1, 400), min_size=6, max_size=30)
MOMENTS = st.lists(
    st.tuples(st.integers(0, 40 * SECOND), st.booleans(), st.sampled_from([0, 1, 2])), max_size=25
)
BOOKS = st.tuples(SIDES, SIDES, SIDES, SIDES)


def played(
    books: tuple[dict[int, int], ...],
    moments: list[tuple[int, bool, int]],
    *,
    change: Callable[[Side], Side] = lambda side: side,
    cut: int = -1,
    extra: bool = False,
) -> tuple[LiquidityMap, list[RestingDepth]]:
    """Let moments pass, each with one of the books.

    With `extra`, a book that is the same at both ends of a time is told once more within it.
    """
    sides = [
        (
            {100.0 - step / 100: float(size) for step, size in below.items()},
            {100.01 + step / 100: float(size) for step, size in above.items()},
        )
        for below, above in (books[:2], books[2:], (books[0], books[2]))
    ]
    liquidity, told, ts = LiquidityMap(), [], 0
    last = -1
    for number, (passed, is_broken, which) in enumerate([*moments, (WARM_UP, False, 0)]):
        if number == cut:
            liquidity = pickle.loads(pickle.dumps(liquidity))  # noqa: S301
        if is_broken and passed % 5 == 0:
            liquidity.interrupt()
        elif extra and which == last:
            bids, asks = sides[which]
            liquidity.sample(change(bids), change(asks), ts + passed // 3)
        ts += passed
        last = which
        bids, asks = sides[which]
        told.append(liquidity.sample(change(bids), change(asks), ts))
    return liquidity, told


def walls(told: list[RestingDepth]) -> list[tuple[object, object]]:
    return [(depth.supports, depth.resistances) for depth in told]


@examples(20)
@given(books=BOOKS, moments=MOMENTS, data=st.data())
def test_the_order_of_levels_makes_no_difference(
    books: tuple[dict[int, int], ...], moments: list[tuple[int, bool, int]], data: st.DataObject
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))

    def shuffled(side: Side) -> Side:
        levels = list(side.items())
        chance.shuffle(levels)
        return dict(levels)

    assert walls(played(books, moments)[1]) == walls(played(books, moments, change=shuffled)[1])


@examples(20)
@given(books=BOOKS, moments=MOMENTS, power=st.integers(-30, 30))
def test_scaling_all_sizes_changes_no_price_and_scales_what_rests(
    books: tuple[dict[int, int], ...], moments: list[tuple[int, bool, int]], power: int
) -> None:
    scale = 2.0**power

    def scaled(side: Side) -> Side:
        return {price: size * scale for price, size in side.items()}

    for one, other in zip(
        played(books, moments)[1], played(books, moments, change=scaled)[1], strict=True
    ):
        assert (one.supports is None) == (other.supports is None)
        for ours, theirs in ((one.supports, other.supports), (one.resistances, other.resistances)):
            scaled_walls = [(price, size * scale) for price, size in ours or ()]
            assert list(theirs or ()) == scaled_walls


@examples(20)
@given(books=BOOKS, moments=MOMENTS, cut=st.integers(0, 25))
def test_pickling_at_any_point_changes_nothing(
    books: tuple[dict[int, int], ...], moments: list[tuple[int, bool, int]], cut: int
) -> None:
    assert played(books, moments, cut=cut) == played(books, moments)


@examples(20)
@given(books=BOOKS, moments=MOMENTS)
def test_a_time_in_which_nothing_changed_may_be_cut_anywhere(
    books: tuple[dict[int, int], ...], moments: list[tuple[int, bool, int]]
) -> None:
    one, other = played(books, moments)[0], played(books, moments, extra=True)[0]
    assert one.live == other.live
    for ours, theirs in ((one.below, other.below), (one.above, other.above)):
        assert list(ours) == list(theirs)
        for index, stretch in ours.items():
            assert stretch.size == theirs[index].size
            assert stretch.rested == pytest.approx(theirs[index].rested)


@examples(20)
@given(books=BOOKS, moments=MOMENTS)
def test_what_rests_is_there_and_a_wall_is_a_level_on_its_side(
    books: tuple[dict[int, int], ...], moments: list[tuple[int, bool, int]]
) -> None:
    liquidity, told = played(books, moments)
    for side in (liquidity.below, liquidity.above):
        for stretch in side.values():
            assert 0 <= stretch.rested <= stretch.size < math.inf
    for depth in told:
        assert depth.mid is not None
        supports, resistances = depth.supports or (), depth.resistances or ()
        assert all(price in depth.bids and price < depth.mid for price, _ in supports)
        assert all(price in depth.asks and price > depth.mid for price, _ in resistances)
        assert list(supports) == sorted(supports, reverse=True)
        assert list(resistances) == sorted(resistances)
