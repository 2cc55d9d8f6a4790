"""VWAP against TA-Lib, pandas-ta-classic and exact arithmetic, and when it may speak at all."""

from fractions import Fraction

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indicators.vwap import VWAP
from market.events import Bar
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    DAY,
    MIDNIGHT,
    MINUTE,
    REAL,
    assert_equal,
    column,
    make_bar,
    random_bars,
    real_bars,
    told,
)

pd = pytest.importorskip("pandas")
pta = pytest.importorskip("pandas_ta_classic")


def assert_equals_pandas_ta(bars: list[Bar] | tuple[Bar, ...]) -> None:
    frame = pd.DataFrame(
        {field: column(bars, field) for field in ("high", "low", "close", "volume")},
        index=pd.to_datetime([bar.start for bar in bars], unit="ns"),  # UTC; a zone only warns
    )
    theirs = pta.vwap(frame.high, frame.low, frame.close, frame.volume, anchor="D").to_numpy()
    nothing_yet = np.isnan(theirs)  # 0/0 there, the close here
    expected = np.where(nothing_yet, column(bars, "close"), theirs)
    assert nothing_yet.sum() < len(bars) / 10
    assert_equal(told(VWAP(), bars), expected, column(bars, "high"), 1)


@pytest.mark.parametrize("price", [0.00042, 1.0, 64_000.0])
def test_within_a_day_it_equals_talib_which_knows_no_days(price: float) -> None:
    bars = [replace(bar, volume=bar.volume + 0.01) for bar in random_bars(1, 1440, price)]
    bars = [
        replace(bar, notional=(bar.high + bar.low + bar.close) / 3 * bar.volume) for bar in bars
    ]
    columns = [column(bars, field) for field in ("high", "low", "close", "volume")]
    assert_equal(told(VWAP(), bars), talib.VWAP(*columns), columns[0], 1)


@pytest.mark.parametrize("price", [0.00042, 1.0, 64_000.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_pandas_ta_classic_over_days(seed: int, price: float) -> None:
    bars = random_bars(seed, 600, price)
    hours = [
        replace(bar, start=MIDNIGHT + number * DAY // 96, end=MIDNIGHT + (number + 1) * DAY // 96)
        for number, bar in enumerate(bars)
    ]
    assert_equals_pandas_ta(hours)


@pytest.mark.parametrize("day", REAL)
def test_it_equals_pandas_ta_classic_on_a_real_day(day: str) -> None:
    bars = real_bars(day)
    if bars[0].start % DAY:  # without a bar at midnight only a bar of the day before helps
        bars = (make_bar(-1, bars[0].open), *bars)
    assert_equals_pandas_ta(bars)


@given(seed=st.integers(0, 2**32 - 1), first=st.integers(-40, 0))
@examples(20)
def test_it_is_its_definition_in_exact_arithmetic(seed: int, first: int) -> None:
    bars = random_bars(seed, 120, first=first)
    told_values = told(VWAP(), bars)
    assert told_values[:-first] == [None] * -first
    notional = volume = Fraction(0)
    for bar, value in zip(bars[-first:], told_values[-first:], strict=True):
        notional += Fraction(bar.notional)
        volume += Fraction(bar.volume)
        expected = float(notional / volume) if volume else bar.close
        assert value == pytest.approx(expected, rel=1e-12)


@given(
    start=st.integers(1, 1439),
    length=st.sampled_from([1, 5, 60, 240]),
)
def test_the_warm_up_says_from_the_first_bar_on_when_the_next_day_begins(
    start: int, length: int
) -> None:
    start -= start % length
    vwap = VWAP()
    expected = None
    for number in range(start, 1440 + length, length):
        bar = replace(
            make_bar(number), end=MIDNIGHT + (number + length) * MINUTE, partial=number == start
        )
        vwap.update(bar)
        expected = expected or vwap.warm_up
        assert vwap.warm_up == expected
        assert (vwap.value is not None) == (vwap.count >= expected)
    assert vwap.count == expected == vwap.settled


def test_bars_that_never_came_do_not_keep_it_silent_on_the_next_day() -> None:
    assert told(VWAP(), [make_bar(1430), make_bar(1437), make_bar(1443, 50.0)])[2] == 50.0


def test_while_bars_fail_to_come_the_warm_up_goes_by_their_pace() -> None:
    vwap = VWAP()
    for number in (1200, 1209, 1218, 1229):  # four bars in thirty minutes: 7.5 minutes a bar
        vwap.update(make_bar(number))
    assert vwap.warm_up == 4 + 28 + 1


def test_a_first_bar_of_the_day_begun_in_its_middle_does_not_count_as_the_beginning() -> None:
    vwap = VWAP()
    vwap.update(replace(make_bar(0), partial=True))
    assert vwap.value is None
    assert vwap.warm_up == 1441


@pytest.mark.parametrize("length", [DAY, 7 * DAY])
def test_a_bar_of_a_day_or_more_is_a_day_of_its_own(length: int) -> None:
    bars = [
        replace(make_bar(0, price), start=number * length, end=(number + 1) * length)
        for number, price in enumerate((100.0, 200.0, 300.0))
    ]
    assert told(VWAP(), bars) == [100.0, 200.0, 300.0]


def test_bars_of_no_length_have_a_warm_up_all_the_same() -> None:
    vwap = VWAP()
    vwap.update(replace(make_bar(3), end=make_bar(3).start))
    assert vwap.warm_up > vwap.count


def test_a_flat_price_is_itself_whatever_the_sizes() -> None:
    bars = [make_bar(number, 0.3, volume=0.1 * number) for number in range(50)]
    assert told(VWAP(), bars) == [0.3] * 50


def test_until_something_trades_it_is_the_close() -> None:
    bars = [make_bar(0, 5.0, volume=0.0), make_bar(1, 6.0, volume=0.0), make_bar(2, 7.0)]
    assert told(VWAP(), bars) == [5.0, 6.0, 7.0]


def test_a_huge_trade_leaves_no_trace_in_the_next_day() -> None:
    huge = make_bar(0, 1e140, volume=1e150, notional=1e290)
    assert told(VWAP(), [huge, make_bar(1440, 3.0), make_bar(1441, 3.0)])[1:] == [3.0, 3.0]


def test_a_correction_of_a_days_first_bar_is_as_if_only_it_had_come() -> None:
    vwap = VWAP()
    for bar in (make_bar(1438), make_bar(1439, 90.0), make_bar(1440, 10.0)):
        vwap.update(bar)
    vwap.revise(make_bar(1440, 20.0, volume=5.0))
    assert vwap.value == 20.0
    assert (vwap.count, vwap.warm_up) == (3, 3)
