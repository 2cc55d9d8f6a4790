"""The imbalances against their definition, and on books one can count by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.book_imbalance import CountImbalance, SpreadBps, VolumeImbalance
from market.events import Level


def side(start: int, steps: list[int], sign: int) -> list[tuple[int, float]]:
    ticks = []
    for step in steps:
        start += sign * step
        ticks.append((start, float(step)))
    return ticks


def as_levels(ticks: list[tuple[int, float]]) -> list[Level]:
    return [(float(f"{tick / 100:.2f}"), size) for tick, size in ticks]


BOOKS = st.tuples(
    st.integers(1_000, 10_000_000),
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
)


@given(book=BOOKS, depth=st.integers(1, 10))
def test_count_imbalance_is_its_definition_in_exact_arithmetic(
    book: tuple[int, list[int], list[int]], depth: int
) -> None:
    start, down, up = book
    bids, asks = side(start, down, -1), side(start, up, +1)
    best, worst = bids[:depth], asks[:depth]
    mid = Fraction(best[0][0] + worst[0][0], 2)
    band = min(mid - best[-1][0], worst[-1][0] - mid)
    inside_bids = sum(mid - tick <= band for tick, _ in best)
    inside_asks = sum(tick - mid <= band for tick, _ in worst)
    expected = (inside_bids - inside_asks) / (inside_bids + inside_asks)
    assert CountImbalance(depth).measure(as_levels(bids), as_levels(asks)) == expected


@given(book=BOOKS, depth=st.integers(1, 10))
def test_volume_imbalance_is_its_definition(
    book: tuple[int, list[int], list[int]], depth: int
) -> None:
    start, down, up = book
    bids, asks = side(start, down, -1), side(start, up, +1)
    bid, ask = sum(down[:depth]), sum(up[:depth])
    value = VolumeImbalance(depth).measure(as_levels(bids), as_levels(asks))
    assert value == pytest.approx((bid - ask) / (bid + ask))


def test_equal_sides_are_balanced() -> None:
    bids, asks = [(99.9, 2.0), (99.8, 2.0)], [(100.0, 2.0), (100.1, 2.0)]
    assert VolumeImbalance(10).measure(bids, asks) == 0.0
    assert CountImbalance(10).measure(bids, asks) == 0.0


def test_the_imbalances_change_their_sign_with_the_sides() -> None:
    bids = [(99.0, 5.0), (98.0, 1.0), (97.0, 1.0)]
    asks = [(101.0, 1.0), (104.0, 1.0), (109.0, 1.0)]
    mirrored_bids = [(200 - price, size) for price, size in asks]
    mirrored_asks = [(200 - price, size) for price, size in bids]
    for indicator in (VolumeImbalance(3), CountImbalance(3)):
        value = indicator.measure(bids, asks)
        assert value is not None
        assert value > 0
        assert indicator.measure(mirrored_bids, mirrored_asks) == -value


def test_sizes_that_add_up_to_infinity_give_no_value() -> None:
    huge = [(100.0 + step, 1.7e308) for step in range(3)]
    assert VolumeImbalance(3).measure(huge, huge) is None


def test_the_spread_of_a_cent_on_a_hundred_is_a_basis_point() -> None:
    assert SpreadBps().measure([(99.995, 1.0)], [(100.005, 1.0)]) == pytest.approx(1.0)
    assert SpreadBps().measure([], [(100.0, 1.0)]) is None
