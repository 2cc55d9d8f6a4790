"""Peaks and troughs: against their definition over whole lists, and cases one can read."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.names import create_for_bars
from indicators.peak import Peak
from indicators.series import Constant, Series
from tests.indicators.small_bars import SMALL, Scripted, run, told_of


def turned(closes: list[int], wing: int) -> int:
    """By the words, of the last of these closes."""
    if len(closes) > 1 and closes[-1] == closes[-2]:
        return 0
    steps = [close for close, _ in groupby(closes)]
    top, sides = steps[-wing - 1 : -wing], steps[-2 * wing - 1 : -wing - 1] + steps[-wing:]
    if len(sides) < 2 * wing or not top:
        return 0
    if top[0] > 0 and all(each < top[0] for each in sides):
        return 1
    return -1 if top[0] < 0 and all(each > top[0] for each in sides) else 0


@given(closes=SMALL, wing=st.integers(1, 3))
def test_it_tells_the_turns_of_the_definition(closes: list[int], wing: int) -> None:
    found = told_of(f"peak(close,{wing})", closes)
    for at, value in enumerate(found):
        assert value == (turned(closes[: at + 1], wing) if at >= 2 * wing else None)


@given(closes=SMALL)
def test_without_flat_tops_it_is_three_values_in_a_row(closes: list[int]) -> None:
    steps = [close for close, _ in groupby(closes)]
    found = told_of("peak(close)", steps)
    for at in range(2, len(steps)):
        left, top, right = steps[at - 2 : at + 1]
        expected = (top > 0 and left < top > right) - (top < 0 and left > top < right)
        assert found[at] == expected


@given(closes=SMALL)
def test_a_trough_is_a_peak_upside_down(closes: list[int]) -> None:
    upright = told_of("peak(close,2)", closes)
    turned_over = told_of("peak(close,2)", [-close for close in closes])
    assert turned_over == [None if each is None else -each for each in upright]


@pytest.mark.parametrize(
    ("closes", "events"),
    [
        ([1, 2, 1], [None, None, 1]),
        ([1, 2, 2, 2, 1, 0], [None, None, 0, 0, 1, 0]),
        ([1, 2, 2, 3, 3, 3], [None, None, 0, 0, 0, 0]),
        ([3, 2, 2, 1], [None, None, 0, 0]),
        ([-1, 0, -1, 1, -2, 1], [None, None, 0, -1, 1, -1]),
        ([-3, -2, -3, -2], [None, None, 0, -1]),
        ([2, 2, 1], [None, None, 0]),
    ],
    ids=["peak", "flat top", "a step up", "a step down", "at zero", "below zero", "no left side"],
)
def test_what_is_a_peak_and_what_is_none(closes: list[int], events: list[int | None]) -> None:
    assert told_of("peak(close)", closes) == events


def test_a_value_that_is_not_known_is_no_step() -> None:
    scripted = Series("scripted", Scripted([1.0, None, 2.0, None, 1.0]))
    assert run(Peak(scripted), 5) == [(None,), (None,), (0.0,), (0.0,), (1.0,)]


def test_it_warms_up_when_both_its_wings_can_be_there() -> None:
    assert create_for_bars("peak(rsi(14),4)").warm_up == 15 + 8


def test_a_wing_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        Peak(Series("1", Constant(1.0)), 0)
