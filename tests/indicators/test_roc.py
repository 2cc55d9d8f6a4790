"""ROC against TA-Lib, and in markets that one can compute by hand."""

import numpy as np
import pytest
import talib

from indicators.contract import LARGEST
from indicators.roc import roc
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    REAL,
    WALKS,
    assert_equal,
    assert_forgets,
    assert_settles,
    column,
    make_bar,
    random_bars,
    real_bars,
    told,
)

PERIODS = [1, 2, 10, 50]


@pytest.mark.parametrize("period", PERIODS)
@WALKS
@examples(20)
def test_it_equals_talib(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, length, price, volatility)
    close = column(bars, "close")
    assert_equal(told(roc(period), bars), talib.ROC(close, period), close, period)


@pytest.mark.parametrize("day", REAL)
@pytest.mark.parametrize("period", PERIODS)
def test_it_equals_talib_on_real_bars(day: str, period: int) -> None:
    bars = real_bars(day)
    close = column(bars, "close")
    assert_equal(told(roc(period), bars), talib.ROC(close, period), close, period)


def test_a_flat_market_has_not_moved() -> None:
    assert told(roc(3), [make_bar(number) for number in range(6)])[3:] == [0.0] * 3


def test_it_settles_when_it_says() -> None:
    assert_settles(lambda: roc(10))


def test_a_huge_price_leaves_no_trace() -> None:
    assert_forgets(lambda: roc(10), make_bar(1, 1e299, notional=0.0), window=10)


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        roc(0)


def test_a_move_from_zero_is_no_per_cent_as_in_talib() -> None:
    closes = [0.0, 5.0, 10.0]
    rate = roc(1)
    assert [rate.add(close) for close in closes] == [None, 0.0, 100.0]
    assert talib.ROC(np.array(closes), 1)[1:].tolist() == [0.0, 100.0]


def test_a_rate_that_no_number_can_hold_is_told_as_the_largest() -> None:
    rate = roc(1)
    rate.add(1e-300)
    assert rate.add(1e299) == LARGEST
