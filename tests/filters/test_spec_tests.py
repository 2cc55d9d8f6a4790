"""The tests that specs bring along: runs of values, computed indicators, what is told."""

import numpy as np
import pytest
import talib

from filters.spec_reader import read_specs
from filters.spec_tests import Outcome, run_test, run_tests, series_of
from filters.specs import SpecTest

SPEC = """
version: 1
filters:
  - id: x
    source: {stream: %s, symbols: ["*-USDT"]%s}
    when: %s
    tests:
      - %s
"""

RIGHT = "{given: {rsi: [29]}, fires: [1]}"


def outcome(when: str, test: str, *, stream: str = "bar") -> Outcome:
    interval = ", interval: 15m" if stream == "bar" else ""
    (spec,) = read_specs([("x.yaml", SPEC % (stream, interval, when, test))])
    (found,) = run_tests(spec)
    return found


def test_given_values_are_taken_as_they_are() -> None:
    found = outcome("rsi < 30", "{given: {rsi: [35, 29, null, 40, 20]}, fires: [2, 5]}")
    assert found.is_right
    assert found.values[2] == {"rsi(14)": None}


def test_a_wrong_expectation_is_told() -> None:
    found = outcome("rsi < 30", "{name: low, given: {rsi: [35, 29]}, fires: []}")
    assert (found.is_right, found.test, found.fired) == (False, "low", (2,))


def test_runs_are_written_out() -> None:
    test = '{given: {close: [1, "5 x 2", "10..40 x 4"]}, fires: [6]}'
    found = outcome("close >= 30", test)
    assert [values["close"] for values in found.values] == [1, 5, 5, 10, 20, 30, 40]
    assert found.is_right


def test_an_indicator_that_is_not_given_is_the_one_of_the_bars() -> None:
    test = '{given: {close: ["100..120 x 21", "119..90 x 30"], volume: 3}, fires: []}'
    found = outcome("rsi(14) < 0.5 and volume > 5 and atr(14) > 0", test)
    close = np.concatenate([np.linspace(100, 120, 21), np.linspace(119, 90, 30)])
    before = np.concatenate([close[:1], close[:-1]])
    rsi = talib.RSI(close, 14)
    atr = talib.ATR(np.maximum(close, before), np.minimum(close, before), close, 14)
    for at, values in enumerate(found.values):
        assert values["rsi(14)"] == (None if at < 14 else pytest.approx(rsi[at]))
        assert values["atr(14)"] == (None if at < 14 else pytest.approx(atr[at]))
        assert values["volume"] == 3.0


def test_what_makes_no_bar_fails_with_its_moment_and_the_reason() -> None:
    (spec,) = read_specs([("x.yaml", SPEC % ("bar", ", interval: 15m", "rsi < 30", RIGHT))])
    given: dict[str, tuple[float | None, ...]] = {"close": (1.0, 2.0, 1e301, 3.0)}
    found = run_test(spec, SpecTest(given=given, step=1), name="huge")
    assert not found.is_right
    assert found.problem == "moment 3: an indicator got 1e+301: expected a finite number"
    assert len(found.values) == 2


def test_the_largest_values_and_the_longest_steps_are_run_to_the_end() -> None:
    test = "{given: {close: [1e15, -1e15, 1e15], volume: 1e15}, every: 30d, fires: []}"
    found = outcome(
        "obv > 1e40 or vwap > 1e40 or volume_ratio > 900000000 or notional > 1e40", test
    )
    assert found.is_right


def test_time_passes_between_two_moments() -> None:
    test = "{given: {mid: [5, 6, 6, 6, 6]}, every: 10s, fires: [5]}"
    (spec,) = read_specs([("x.yaml", SPEC % ("book", "", "mid > 5", test) + "    for: 30s\n")])
    assert [each.is_right for each in run_tests(spec)] == [True]


def test_other_bars_are_given_by_name() -> None:
    test = '{given: {close: [1, 2], "close@BTC-USDT@1h": [5, 1]}, fires: [2]}'
    assert outcome("close > close@BTC-USDT@1h", test).is_right


@pytest.mark.parametrize(
    ("symbols", "venues", "series"),
    [
        ('["*-USDT"]', "[bybit]", "bybit:BTC-USDT"),
        ('["*"]', "[htx]", "htx:BTC-USDT"),
        ("[ETH-BTC]", "[binance, htx]", "binance:ETH-BTC"),
    ],
)
def test_a_test_runs_over_a_series_that_fits(symbols: str, venues: str, series: str) -> None:
    source = f"{{stream: book, symbols: {symbols}, venues: {venues}}}"
    text = f"version: 1\nfilters: [{{id: x, when: mid > 1, source: {source}}}]"
    (spec,) = read_specs([("x.yaml", text)])
    assert series_of(spec) == series
    assert spec.source.matches(series)
