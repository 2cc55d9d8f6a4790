"""Zones: against the definition of a crossing, turned, and cases one can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.names import create_for_bars
from indicators.series import Constant, Series
from indicators.zone import Zone
from tests.indicators.small_bars import SMALL, bar, told, told_of


@given(closes=SMALL, low=st.integers(-3, 2), width=st.integers(1, 3))
def test_a_zone_is_entered_and_left_where_its_bound_is_crossed(
    closes: list[int], low: int, width: int
) -> None:
    found = told(f"zone(close,{low},{low + width})", map(bar, closes))
    fallen = told_of(f"crosses(close,{low})", closes)
    risen = told_of(f"crosses(close,{low + width})", closes)
    turned = [None if each is None else -each for each in fallen]
    assert found == list(zip(turned, risen, strict=True))


@given(closes=SMALL)
def test_a_series_is_where_its_entries_and_exits_say(closes: list[int]) -> None:
    """By the words, without crossings: count in and out, on a bound as before."""
    found = told("zone(close,-1,1)", map(bar, closes))
    first = next((close for close in closes if close != -1), None)
    is_in = first is not None and first < -1
    for at, close in enumerate(closes[1:], start=1):
        entered = found[at][0]
        if entered:
            assert is_in == (entered < 0)
            is_in = entered > 0
        if any(each != -1 for each in closes[: at + 1]) and close != -1:
            assert is_in == (close < -1)


@pytest.mark.parametrize(
    ("closes", "oversold", "overbought"),
    [
        ([50, 25, 20, 35], [None, 1, 0, -1], [None, 0, 0, 0]),
        ([50, 30, 29, 30, 31], [None, 0, 1, 0, -1], [None, 0, 0, 0, 0]),
        ([50, 70, 71, 70, 69], [None, 0, 0, 0, 0], [None, 0, 1, 0, -1]),
        ([25, 20, 40, 25], [None, 0, -1, 1], [None, 0, 0, 0]),
        ([25, 75, 25], [None, -1, 1], [None, 1, -1]),
    ],
    ids=["in and out", "on the low bound", "on the high bound", "begins inside", "one jump"],
)
def test_a_value_on_a_bound_neither_enters_nor_leaves(
    closes: list[int], oversold: list[int | None], overbought: list[int | None]
) -> None:
    found = told("zone(close,30,70)", map(bar, closes))
    assert found == list(zip(oversold, overbought, strict=True))


def test_it_warms_up_a_bar_after_its_series() -> None:
    assert create_for_bars("zone").warm_up == 16


@pytest.mark.parametrize("high", [30.0, 29.0])
def test_bounds_with_nothing_between_them_are_refused(high: float) -> None:
    with pytest.raises(ValueError, match="expected low below high"):
        Zone(Series("1", Constant(1.0)), 30.0, high)
