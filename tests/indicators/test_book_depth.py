"""Size within a band, against a count in exact arithmetic over the whole book."""

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.book_depth import AskDepth, BidDepth
from indicators.liquidity import RestingDepth
from indicators.names import IndicatorNameError, create_for_depth, parse


def depth(bids: dict[float, float], asks: dict[float, float]) -> RestingDepth:
    mid = (max(bids) + min(asks)) / 2 if bids and asks else None
    return RestingDepth(bids, asks, mid, None, None)


@given(
    best=st.integers(100_000, 1_000_000),
    spread=st.integers(1, 100),
    down=st.dictionaries(st.integers(0, 5000), st.integers(1, 10**6), max_size=40),
    up=st.dictionaries(st.integers(0, 5000), st.integers(1, 10**6), max_size=40),
    bps=st.sampled_from([1, 2.5, 10, 50, 100, 400]),
)
def test_it_is_its_definition_in_exact_arithmetic(
    best: int, spread: int, down: dict[int, int], up: dict[int, int], bps: float
) -> None:
    down.setdefault(0, 1)
    up.setdefault(0, 1)
    bids = {best - step: size for step, size in down.items()}
    asks = {best + spread + step: size for step, size in up.items()}
    mid = Fraction(2 * best + spread, 2)
    band = mid * Fraction(bps) / 10_000
    book = depth(
        {price / 100: float(size) for price, size in bids.items()},
        {price / 100: float(size) for price, size in asks.items()},
    )
    bid = sum(size for price, size in bids.items() if price >= mid - band)
    ask = sum(size for price, size in asks.items() if price <= mid + band)
    assert BidDepth(bps).measure(book) == bid
    assert AskDepth(bps).measure(book) == ask


@given(
    sizes=st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=30),
    data=st.data(),
)
def test_the_order_of_levels_makes_no_difference(sizes: list[float], data: st.DataObject) -> None:
    levels = [(100.0 - place / 1000, size) for place, size in enumerate(sizes)]
    other = data.draw(st.permutations(levels))
    asks = {100.1: 1.0}
    measure = BidDepth(100).measure
    assert measure(depth(dict(levels), asks)) == measure(depth(dict(other), asks))


def test_a_band_without_levels_is_zero_and_an_empty_side_is_none() -> None:
    wide = depth({90.0: 1.0}, {110.0: 1.0})
    assert (BidDepth(10).measure(wide), AskDepth(10).measure(wide)) == (0.0, 0.0)
    for empty in (depth({}, {110.0: 1.0}), depth({90.0: 1.0}, {})):
        assert BidDepth(10).measure(empty) is None
        assert AskDepth(10).measure(empty) is None


def test_sizes_that_add_up_to_infinity_give_no_value() -> None:
    huge = {100.0 - step / 100: 1.7e308 for step in range(3)}
    assert BidDepth(10).measure(depth(huge, {100.01: 1.0})) is None


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("book.bid_depth", "book.bid_depth(10)"),
        ("book.ask_depth(2.50)", "book.ask_depth(2.5)"),
        ("book.bid_depth(bps=25)", "book.bid_depth(25)"),
    ],
)
def test_its_parameter_need_not_be_whole(written: str, name: str) -> None:
    assert parse(written).text == name
    indicator = create_for_depth(written)
    assert indicator.name == name
    assert pickle.loads(pickle.dumps(indicator)) == indicator  # noqa: S301
    with pytest.raises(IndicatorNameError, match="expected"):
        parse("book.bid_depth(0)")
