"""The microprice against exact arithmetic and its relation to the other numbers of a book."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.book_imbalance import SpreadBps, VolumeImbalance
from indicators.microprice import Microprice

TICKS = st.integers(1, 10**9)
SIZES = st.integers(1, 10**9)


@given(bid=TICKS, spread=st.integers(1, 10**6), bid_size=SIZES, ask_size=SIZES)
def test_it_is_its_definition_in_exact_arithmetic(
    bid: int, spread: int, bid_size: int, ask_size: int
) -> None:
    ask = bid + spread
    exact = Fraction(bid * ask_size + ask * bid_size, bid_size + ask_size)
    value = Microprice().measure([(float(bid), float(bid_size))], [(float(ask), float(ask_size))])
    assert value is not None
    assert value == pytest.approx(float(exact), rel=1e-14)
    assert bid <= value <= ask


@given(bid=TICKS, spread=st.integers(1, 10**6), bid_size=SIZES, ask_size=SIZES)
def test_it_is_half_a_spread_from_the_mid_times_the_imbalance(
    bid: int, spread: int, bid_size: int, ask_size: int
) -> None:
    bids, asks = [(float(bid), float(bid_size))], [(float(bid + spread), float(ask_size))]
    value = Microprice().measure(bids, asks)
    spread_bps = SpreadBps().measure(bids, asks)
    imbalance = VolumeImbalance(1).measure(bids, asks)
    assert value is not None
    assert spread_bps is not None
    assert imbalance is not None
    mid = bid + spread / 2
    assert value - mid == pytest.approx(mid * spread_bps / 20_000 * imbalance, abs=1e-6 * spread)


def test_only_the_best_levels_count() -> None:
    bids, asks = [(99.0, 1.0), (98.0, 50.0)], [(101.0, 1.0), (102.0, 9.0)]
    assert Microprice().measure(bids, asks) == 100.0


def test_there_is_none_where_a_side_is_empty_or_sizes_are_beyond_numbers() -> None:
    assert Microprice().measure([], [(101.0, 1.0)]) is None
    assert Microprice().measure([(99.0, 1.0)], []) is None
    assert Microprice().measure([(99.0, 1.7e308)], [(101.0, 1.7e308)]) is None
