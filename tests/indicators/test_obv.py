"""OBV against TA-Lib and Lean, and at the end of the numbers."""

import csv
from pathlib import Path

import pytest
import talib

from indicators.contract import LARGEST
from indicators.obv import OBV
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    CAPTURES,
    REAL,
    WALKS,
    Column,
    assert_equal,
    column,
    make_bar,
    random_bars,
    real_bars,
    told,
)


def assert_equals_talib(ours: list[float | None], close: Column, volume: Column) -> None:
    assert_equal(ours, talib.OBV(close, volume), volume, 1)


@WALKS
@examples(20)
def test_it_equals_talib(seed: int, length: int, price: float, volatility: float) -> None:
    bars = random_bars(seed, length, price, volatility)
    assert_equals_talib(told(OBV(), bars), column(bars, "close"), column(bars, "volume"))


@pytest.mark.parametrize("day", REAL)
def test_it_equals_talib_on_real_bars(day: str) -> None:
    bars = real_bars(day)
    assert_equals_talib(told(OBV(), bars), column(bars, "close"), column(bars, "volume"))


def test_it_goes_the_way_of_leans_series() -> None:
    path = Path(CAPTURES) / "indicators" / "lean" / "spy_with_indicators.txt"
    if not CAPTURES or not path.exists():
        pytest.skip("CANDLEWAX_CAPTURES does not name a folder with indicators/lean")
    with path.open(newline="") as lines:
        rows = [(float(row["Close"]), row["OBV"]) for row in csv.DictReader(lines)]
    # The file has no volumes: they are what its series moved by. Which way is ours to find.
    obv = OBV()
    obv.add(rows[0][0], 0.0)
    level, compared = 0.0, 0
    for close, text in rows[1:]:
        volume = abs(float(text) - level)
        level = float(text)
        assert obv.add(close, volume) == level
        compared += 1
    assert compared == len(rows) - 1 > 400


def test_bars_that_close_where_the_last_did_or_have_no_volume_change_nothing() -> None:
    bars = [make_bar(0), make_bar(1), make_bar(2, 200.0, volume=0.0), make_bar(3, 200.0)]
    assert told(OBV(), bars) == [1.0] * 4


@pytest.mark.parametrize("sign", [1, -1])
def test_a_total_beyond_the_largest_number_stays_there(sign: int) -> None:
    bars = [
        make_bar(number, 100.0 + sign * number, volume=9e299, notional=0.0) for number in range(4)
    ]
    assert told(OBV(), bars)[-1] == sign * LARGEST
