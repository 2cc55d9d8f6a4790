"""RSI where its formula is at its ends; `test_classic.py` holds it against TA-Lib and Lean."""

import numpy as np
import pytest
import talib

from indicators.rsi import RSI
from tests.indicators.flow_bars import make_bar, told


def last(closes: list[float]) -> float | None:
    return told(RSI(14), [make_bar(number, close) for number, close in enumerate(closes)])[-1]


def test_a_flat_market_is_50_where_talib_says_0() -> None:
    assert last([5.0] * 20) == 50.0
    assert talib.RSI(np.full(20, 5.0), 14)[-1] == 0.0


def test_a_market_that_only_rises_is_100_and_one_that_only_falls_is_0() -> None:
    assert last([100.0 + step for step in range(30)]) == 100.0
    assert last([100.0 - step for step in range(30)]) == 0.0


def test_a_period_below_two_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 or more"):
        RSI(1)
