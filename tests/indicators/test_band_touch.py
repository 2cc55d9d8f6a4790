"""Touches of a band: against their definition over whole lists, and cases one can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.band_touch import BandTouch
from indicators.names import create_for_bars
from indicators.series import Constant, Series
from market.events import Bar
from tests.indicators.small_bars import Scripted, bar, run, told

NAME = "band_touch(open,close,low,high)"
ROWS = st.lists(st.tuples(*[st.integers(-3, 3)] * 4), max_size=40)


def bars(rows: list[tuple[int, int, int, int]]) -> list[Bar]:
    """Rows of lower edge, upper edge, low and high."""
    return [bar(upper, other=lower, low=low, high=high) for lower, upper, low, high in rows]


@given(rows=ROWS)
def test_it_tells_the_first_bar_of_each_stay(rows: list[tuple[int, int, int, int]]) -> None:
    below = [low <= lower for lower, _, low, _ in rows]
    above = [high >= upper for _, upper, _, high in rows]
    for at, values in enumerate(told(NAME, bars(rows))):
        if at:
            assert values == (
                below[at] and not below[at - 1],
                above[at] and not above[at - 1],
            )
        else:
            assert values == (None, None)


@pytest.mark.parametrize(
    ("highs", "events"),
    [
        ([4, 5, 6, 5, 4], [None, 1, 0, 0, 0]),
        ([4, 5, 4, 5, 4, 7], [None, 1, 0, 1, 0, 1]),
        ([5, 5, 4, 5], [None, 0, 0, 1]),
    ],
    ids=["a stay counts once", "every stay counts", "its beginning was not seen"],
)
def test_each_stay_at_an_edge_counts_once(highs: list[int], events: list[int | None]) -> None:
    found = told("band_touch(0,5)", [bar(1, low=1, high=high) for high in highs])
    assert [upper for _, upper in found] == events
    mirrored = told("band_touch(-5,0)", [bar(-1, low=-high, high=-1) for high in highs])
    assert [lower for lower, _ in mirrored] == events


def test_a_bar_may_reach_both_edges() -> None:
    found = told("band_touch(0,5)", [bar(1, low=1, high=1), bar(1, low=-1, high=6)])
    assert found[-1] == (1.0, 1.0)


def test_closes_may_be_asked_instead_of_wicks() -> None:
    wick = [bar(1, low=1, high=1), bar(1, low=-9, high=9)]
    assert told("band_touch(0,5,close,close)", wick)[-1] == (0.0, 0.0)


def test_the_edges_move_with_their_series() -> None:
    # The mean of three closes comes down to a high that stays where it is.
    found = told("band_touch(-9,ema(3))", [bar(close, high=4, low=1) for close in (9, 6, 6, 1, 0)])
    assert [upper for _, upper in found] == [None, None, None, 1.0, 0.0]


def test_a_bar_at_which_an_edge_is_not_known_neither_begins_nor_ends_a_stay() -> None:
    edge = Series("scripted", Scripted([None, 5.0, 1.0, None, 1.0, 5.0, None, 1.0]))
    low, price = Series("-9", Constant(-9.0)), Series("2", Constant(2.0))
    found = run(BandTouch(low, edge, price, price), 8)
    assert [upper for _, upper in found] == [None, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_it_warms_up_a_bar_after_the_slowest_series() -> None:
    assert create_for_bars("band_touch(ema(30),ema(5),low,rsi(50))").warm_up == 52
