"""RSI and EMA against TA-Lib's batch functions, from the first value they give."""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from indicators.ema import EMA
from indicators.example_bar import example_bar
from indicators.rsi import RSI
from tests.drawn_examples import examples

PERIODS = [2, 3, 14, 50]
CAPTURES = os.environ.get("CANDLEWAX_CAPTURES", "")


def random_walk(seed: int, length: int, price: float, volatility: float) -> list[float]:
    steps = np.random.default_rng(seed).normal(0.0, volatility, length)
    closes: list[float] = (price * np.exp(np.cumsum(steps))).tolist()
    return closes


def told(rsi: RSI, close: float) -> float | None:
    rsi.update(example_bar(close))
    return rsi.value


def assert_equal_from_the_first_value(
    ours: list[float | None], theirs: list[float], scale: float
) -> None:
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if math.isnan(b):
            assert a is None, f"bar {number}: TA-Lib has no value yet"
        else:
            assert a is not None, f"bar {number}: TA-Lib has a value"
            assert abs(a - b) <= 1e-9 * scale, f"bar {number}"


WALKS = given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 400),
    price=st.sampled_from([0.00042, 1.0, 64_000.0]),
    volatility=st.sampled_from([1e-4, 1e-3, 0.05]),
)


@pytest.mark.parametrize("period", PERIODS)
@WALKS
@examples(15)
def test_rsi_equals_talib(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    closes = random_walk(seed, length, price, volatility)
    rsi = RSI(period)
    theirs = talib.RSI(np.array(closes), period).tolist()
    assert_equal_from_the_first_value([told(rsi, close) for close in closes], theirs, 100.0)


@pytest.mark.parametrize("period", PERIODS)
@WALKS
@examples(15)
def test_ema_equals_talib(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    closes = random_walk(seed, length, price, volatility)
    ema = EMA(period)
    theirs = talib.EMA(np.array(closes), period).tolist()
    assert_equal_from_the_first_value([ema.add(close) for close in closes], theirs, max(closes))


def test_rsi_of_a_flat_market_is_50_where_talib_says_0() -> None:
    rsi = RSI(14)
    assert [told(rsi, 5.0) for _ in range(20)][-1] == 50.0
    assert talib.RSI(np.full(20, 5.0), 14)[-1] == 0.0


def test_rsi_of_a_market_that_only_rises_is_100_and_only_falls_is_0() -> None:
    rising, falling = RSI(14), RSI(14)
    for step in range(30):
        told(rising, 100.0 + step)
        told(falling, 100.0 - step)
    assert (rising.value, falling.value) == (100.0, 0.0)


@pytest.mark.parametrize("make", [RSI, EMA])
def test_a_period_below_two_is_refused(make: Callable[[int], object]) -> None:
    with pytest.raises(ValueError, match="expected 2 or more"):
        make(1)


@pytest.fixture
def lean() -> list[dict[str, str]]:
    path = Path(CAPTURES) / "indicators" / "lean" / "spy_with_indicators.txt"
    if not CAPTURES or not path.exists():
        pytest.skip("CANDLEWAX_CAPTURES does not name a folder with indicators/lean")
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_rsi_equals_the_series_of_lean(lean: list[dict[str, str]]) -> None:
    rsi = RSI(14)
    compared = 0
    for row in lean:
        value = told(rsi, float(row["Close"]))
        if row["RSI 14 Wilder"]:
            assert value == pytest.approx(float(row["RSI 14 Wilder"]), abs=1e-5)
            compared += 1
        else:
            assert value is None
    assert compared == len(lean) - 14


def test_ema_equals_the_series_of_lean(lean: list[dict[str, str]]) -> None:
    ema = EMA(14)
    compared = 0
    for row in lean:
        value = ema.add(float(row["Close"]))
        if row["EMA14"]:  # the file rounds closes and averages to two digits
            assert value == pytest.approx(float(row["EMA14"]), abs=0.01)
            compared += 1
        else:
            assert value is None
    assert compared == len(lean) - 13
