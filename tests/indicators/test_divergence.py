"""Divergence: against its definition over whole lists, and on charts drawn by hand."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.divergence import Divergence
from indicators.names import create_for_bars
from indicators.series import Constant, Series
from market.events import Bar
from tests.indicators.small_bars import Scripted, bar, run, told

NOTHING = (0.0, None, None, None, None, None, None)
Row = tuple[int, int, int]
"""Low, high and oscillator, which is the bar's close."""
ROWS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-2, 2)), max_size=40)


def bars(rows: Sequence[Row]) -> list[Bar]:
    return [bar(oscillator, low=low, high=high) for low, high, oscillator in rows]


def lows(prices: Sequence[float], wing: int) -> list[int]:
    """Bars of the pivot lows, by the words."""
    found = []
    for at in range(wing, len(prices) - wing):
        before, after = prices[at - wing : at], prices[at + 1 : at + 1 + wing]
        if prices[at] < min(before) and prices[at] <= min(after):
            found.append(at)
    return found


def diverged(
    prices: Sequence[float], oscillator: Sequence[float], wing: int, span: int
) -> tuple[int, int] | None:
    """The two pivot lows, when the last bar is the one by which a divergence is known."""
    found = lows(prices, wing)
    if len(found) < 2 or found[-1] != len(prices) - 1 - wing:
        return None
    first, second = found[-2:]
    further = prices[second] < prices[first]
    held = oscillator[second] > oscillator[first]
    return (first, second) if further and held and second - first <= span else None


def expected(rows: Sequence[Row], wing: int, span: int) -> tuple[float | None, ...]:
    low, high, oscillator = (list(each) for each in zip(*rows, strict=True))
    bullish = diverged(low, oscillator, wing, span)
    bearish = diverged([-each for each in high], [-each for each in oscillator], wing, span)
    if (bullish is None) == (bearish is None):
        return NOTHING
    signal, prices = (1.0, low) if bullish is not None else (-1.0, high)
    first, second = bullish or bearish or (0, 0)
    last = len(rows) - 1
    return (
        signal,
        prices[first],
        prices[second],
        oscillator[first],
        oscillator[second],
        last - first,
        last - second,
    )


@given(rows=ROWS, wing=st.integers(1, 3), more=st.integers(1, 9))
def test_it_tells_the_divergences_of_the_definition(rows: list[Row], wing: int, more: int) -> None:
    found = told(f"divergence(close,{wing},{wing + more})", bars(rows))
    for at, values in enumerate(found):
        is_warm = at + 1 >= 3 * wing + 2
        assert values == (expected(rows[: at + 1], wing, wing + more) if is_warm else (None,) * 7)


@given(rows=ROWS, wing=st.integers(1, 3))
def test_there_is_nothing_to_tell_while_it_is_warming(rows: list[Row], wing: int) -> None:
    cut = rows[: 3 * wing + 1]
    assert all(expected(cut[: at + 1], wing, 50) == NOTHING for at in range(len(cut)))


@given(rows=ROWS)
def test_a_bearish_divergence_is_a_bullish_one_upside_down(rows: list[Row]) -> None:
    upright = told("divergence(close,1,9)", bars(rows))
    turned = [(-high, -low, -oscillator) for low, high, oscillator in rows]
    for one, two in zip(upright, told("divergence(close,1,9)", bars(turned)), strict=True):
        assert [None if each is None else -each for each in two[:5]] == list(one[:5])
        assert one[5:] == two[5:]


#         a double bottom: 90 at bar 6, 88 at bar 14
BOTTOM = [99, 98, 96, 94, 92, 90, 93, 95, 96, 95, 93, 91, 90, 88, 91, 94, 96, 97]
FADING = [60, 55, 45, 35, 28, 20, 32, 44, 48, 45, 40, 36, 34, 31, 42, 50, 55, 58]
GROWING = [60, 55, 45, 35, 28, 20, 32, 44, 48, 45, 38, 30, 22, 12, 25, 35, 44, 50]


def bottom(oscillator: list[int], prices: list[int] = BOTTOM) -> list[Row]:
    return [(low, 200, each) for low, each in zip(prices, oscillator, strict=True)]


def signals(found: list[tuple[float | None, ...]]) -> dict[int, float]:
    """Bar, from 1, of each signal."""
    return {number: values[0] for number, values in enumerate(found, start=1) if values[0]}


def test_a_lower_low_that_the_oscillator_does_not_follow_is_bullish_once() -> None:
    found = told("divergence(close,3,60)", bars(bottom(FADING)))
    assert signals(found) == {17: 1.0}
    assert found[16] == (1.0, 90.0, 88.0, 20.0, 31.0, 11.0, 3.0)
    assert found[17] == NOTHING


def test_a_higher_high_that_the_oscillator_does_not_follow_is_bearish_once() -> None:
    rows = [(0, 200 - price, 100 - each) for price, _, each in bottom(FADING)]
    found = told("divergence(close,3,60)", bars(rows))
    assert signals(found) == {17: -1.0}
    assert found[16] == (-1.0, 110.0, 112.0, 80.0, 69.0, 11.0, 3.0)


def test_an_oscillator_that_follows_the_price_tells_nothing() -> None:
    assert not signals(told("divergence(close,3,60)", bars(bottom(GROWING))))


def test_a_higher_low_tells_nothing_whatever_the_oscillator_does() -> None:
    prices = [90 if price == 88 else 89 if price == 90 else price for price in BOTTOM]
    assert not signals(told("divergence(close,3,60)", bars(bottom(FADING, prices))))


@pytest.mark.parametrize(("low", "oscillator"), [(90, 31), (88, 20)])
def test_equality_tells_nothing(low: int, oscillator: int) -> None:
    rows = bottom(FADING)
    rows[12] = (92, 200, 34)  # the only bar of its neighbours that is as low as 90
    rows[13] = (low, 200, oscillator)
    assert not signals(told("divergence(close,3,60)", bars(rows)))


@pytest.mark.parametrize(("span", "is_told"), [(8, True), (7, False)])
def test_the_pivots_may_be_a_span_apart_and_no_more(span: int, is_told: bool) -> None:
    assert bool(signals(told(f"divergence(close,3,{span})", bars(bottom(FADING))))) == is_told


def test_of_equal_lows_the_first_is_the_pivot() -> None:
    rows = [(low, 200, 0) for low in (9, 5, 5, 9, 9, 4, 9)]
    rows[5] = (4, 200, 1)
    found = told("divergence(close,1,9)", bars(rows))
    assert signals(found) == {7: 1.0}
    assert found[6][5:] == (5.0, 1.0)  # bars 2 and 6


def test_only_the_pivot_before_counts() -> None:
    # 6 is lower than 7 with a higher oscillator, but between them is 5.
    rows = [(low, 200, each) for low, each in ((9, 0), (7, 1), (9, 0), (5, 0), (9, 0), (6, 2))]
    found = told("divergence(close,1,20)", bars([*rows, (9, 200, 0), (9, 200, 0)]))
    assert not signals(found)


def test_a_bar_that_tells_both_tells_neither() -> None:
    # The low pivot before is bar 2, the high one bar 4; bar 6 goes beyond both.
    rows = [(5, 5, 1), (3, 5, 0), (5, 5, 1), (5, 7, 2), (5, 5, 1), (2, 8, 1), (5, 5, 1)]
    assert told("divergence(close,1,9)", bars(rows))[-1] == NOTHING
    rows[5] = (2, 6, 1)
    assert told("divergence(close,1,9)", bars(rows))[-1][0] == 1.0
    rows[5] = (4, 8, 1)
    assert told("divergence(close,1,9)", bars(rows))[-1][0] == -1.0


def test_a_market_that_stands_still_has_no_pivots() -> None:
    assert set(told("divergence(close,1,9)", bars([(5, 5, 5)] * 30))[5:]) == {NOTHING}


def test_a_pivot_without_a_value_of_the_oscillator_tells_nothing_but_counts_as_the_one_before() -> (
    None
):
    lows_ = [9, 7, 9, 6, 9, 5, 9, 4, 9]
    script = [1.0, 1.0, 1.0, None, 1.0, 3.0, 1.0, 4.0, 1.0]
    divergence = Divergence(Series("scripted", Scripted(list(script))), 1, 9)
    found = []
    for low in lows_:
        divergence.update(bar(0.0, low=low, high=20.0))
        found.append(divergence.values)
    assert signals(found) == {9: 1.0}
    assert found[8][1:5] == (5.0, 4.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("name", "warm_up"),
    [("divergence(close,3,60)", 4 + 7), ("divergence(rsi(14),3,60)", 15 + 7)],
)
def test_it_is_warm_when_two_pivots_fit_and_settled_when_the_older_one_cannot_be_missing(
    name: str, warm_up: int
) -> None:
    divergence = create_for_bars(name)
    assert divergence.warm_up == warm_up
    inner = 4 if "close" in name else create_for_bars("rsi(14)").settled
    assert inner is not None
    assert divergence.settled == inner + 60 + 3


def test_it_never_settles_where_its_series_never_does() -> None:
    assert Divergence(Series("s", Scripted([], settled=None)), 1, 9).settled is None


@given(rows=ROWS, start=st.integers(0, 20))
def test_once_settled_it_does_not_matter_where_the_bars_began(rows: list[Row], start: int) -> None:
    name = "divergence(close,2,6)"
    settled = create_for_bars(name).settled
    assert settled is not None
    late = told(name, bars(rows[start:]))
    assert late[settled - 1 :] == told(name, bars(rows))[start:][settled - 1 :]


@pytest.mark.parametrize(("wing", "span"), [(0, 9), (3, 3), (3, 2)])
def test_what_no_two_pivots_can_meet_is_refused(wing: int, span: int) -> None:
    with pytest.raises(ValueError, match=r"divergence: wing .*expected"):
        Divergence(Series("1", Constant(1.0)), wing, span)


def test_a_constant_oscillator_never_diverges() -> None:
    divergence = Divergence(Series("1", Constant(1.0)), 1, 9)
    assert run(divergence, 20)[-1] == NOTHING
