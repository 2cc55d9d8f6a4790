"""ATR against TA-Lib, and in markets that one can compute by hand."""

import pytest
import talib

from indicators.atr import ATR
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    REAL,
    WALKS,
    assert_equal,
    assert_settles,
    column,
    make_bar,
    random_bars,
    real_bars,
    told,
)

PERIODS = [1, 2, 14, 50]


@pytest.mark.parametrize("period", PERIODS)
@WALKS
@examples(20)
def test_it_equals_talib(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, length, price, volatility)
    high, low, close = (column(bars, field) for field in ("high", "low", "close"))
    assert_equal(told(ATR(period), bars), talib.ATR(high, low, close, period), high, period)


@pytest.mark.parametrize("day", REAL)
@pytest.mark.parametrize("period", PERIODS)
def test_it_equals_talib_on_real_bars(day: str, period: int) -> None:
    bars = real_bars(day)
    high, low, close = (column(bars, field) for field in ("high", "low", "close"))
    assert_equal(told(ATR(period), bars), talib.ATR(high, low, close, period), high, period)


def test_a_flat_market_has_no_range() -> None:
    assert told(ATR(3), [make_bar(number) for number in range(6)])[3:] == [0.0] * 3


def test_a_gap_between_two_bars_counts_whole_and_then_decays() -> None:
    bars = [
        *(make_bar(number) for number in range(4)),
        *(make_bar(number, 9e9) for number in (4, 5)),
    ]
    assert told(ATR(2), bars)[3:] == [0.0, (9e9 - 100.0) / 2, (9e9 - 100.0) / 4]


@pytest.mark.parametrize("period", PERIODS)
def test_it_settles_when_it_says(period: int) -> None:
    assert_settles(lambda: ATR(period))


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        ATR(0)
