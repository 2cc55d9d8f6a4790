"""Crossings: against their definition over whole lists, and cases one can read."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.crosses import Crosses
from indicators.names import create_for_bars
from indicators.series import Constant, Series
from tests.indicators.small_bars import SMALL, Scripted, bar, run, told, told_of


def crossed(series: Sequence[float], other: Sequence[float], at: int) -> int:
    """By the words: on this side now, and on the other one when last on a side at all."""
    differences = [a - b for a, b in zip(series, other, strict=True)]
    now = differences[at]
    sides = [each for each in differences[:at] if each != 0]
    if not sides or now == 0:
        return 0
    if now > 0 > sides[-1]:
        return 1
    return -1 if now < 0 < sides[-1] else 0


@given(drawn=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=40))
def test_it_tells_the_crossings_of_the_definition(drawn: list[tuple[int, int]]) -> None:
    closes, opens = [a for a, _ in drawn], [b for _, b in drawn]
    found = told("crosses(close,open)", [bar(a, other=b) for a, b in drawn])
    for at, (value,) in enumerate(found):
        assert value == (crossed(closes, opens, at) if at else None)


@given(closes=SMALL)
def test_crossings_alternate(closes: list[int]) -> None:
    events = [value for value in told_of("crosses(close,0)", closes) if value]
    assert all(a == -b for a, b in pairwise(events))


@given(drawn=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=40))
def test_the_two_series_see_the_same_crossing_from_either_side(
    drawn: list[tuple[int, int]],
) -> None:
    bars = [bar(a, other=b) for a, b in drawn]
    one, two = told("crosses(close,open)", bars), told("crosses(open,close)", bars)
    for (a,), (b,) in zip(one[1:], two[1:], strict=True):
        assert a is not None
        assert b is not None
        assert a == -b


@pytest.mark.parametrize(
    ("closes", "events"),
    [
        ([29, 31, 32, 29], [None, 1, 0, -1]),
        ([29, 30, 29, 30, 31], [None, 0, 0, 0, 1]),
        ([31, 30, 30, 31, 30, 29], [None, 0, 0, 0, 0, -1]),
        ([30, 30, 31, 29], [None, 0, 0, -1]),
        ([30, 29, 30, 31], [None, 0, 0, 1]),
        ([31, 31, 31], [None, 0, 0]),
    ],
    ids=["through", "touched, then crossed", "rested", "begins on it", "left below", "never"],
)
def test_an_equal_value_is_on_no_side(closes: list[int], events: list[int | None]) -> None:
    assert told_of("crosses(close,30)", closes) == events


def test_it_warms_up_and_settles_a_bar_after_the_slower_series() -> None:
    crosses = create_for_bars("crosses(rsi(5),ema(30))")
    slow = create_for_bars("ema(30)")
    assert slow.settled is not None
    assert crosses.warm_up == 31
    assert crosses.settled == max(slow.settled, create_for_bars("rsi(5)").settled or 0) + 1


def test_it_never_settles_where_a_series_never_does() -> None:
    scripted = Series("scripted", Scripted([], settled=None))
    assert Crosses(scripted, Series("0", Constant(0.0))).settled is None


def test_a_value_that_is_not_known_changes_nothing() -> None:
    scripted = Series("scripted", Scripted([None, -1.0, None, 1.0, None, 2.0, None, -1.0]))
    found = run(Crosses(scripted, Series("0", Constant(0.0))), 8)
    assert found == [(None,), (0.0,), (0.0,), (1.0,), (0.0,), (0.0,), (0.0,), (-1.0,)]
