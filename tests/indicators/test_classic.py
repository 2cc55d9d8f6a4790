"""The classic indicators against TA-Lib, pandas-ta-classic, Lean's series and exact arithmetic."""

import csv
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from indicators.names import create_for_bars, every_output, parse
from market.events import Bar
from tests.drawn_examples import examples
from tests.indicators.classic_cases import REFERENCES, awesome_oscillator
from tests.indicators.flow_bars import (
    CAPTURES,
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

NAMES = [
    "rsi(14)", "rsi(2)", "rsi(50)",
    "ema(20)", "ema(2)", "ema(50)",
    "rma(14)", "rma(2)", "rma(50)",
    "sma(2)", "sma(20)",
    "macd(12,26,9)", "macd(2,3,1)", "macd(5,8,3)",
    "ao(5,34)", "ao(2,5)",
    "stoch(14,3,3)", "stoch(5,1,1)", "stoch(12,3,5)",
    "stoch_fast(14,3)", "stoch_fast(5,1)",
]  # fmt: skip
ON_REAL_BARS = [
    "rsi(14)", "ema(20)", "sma(20)", "rma(14)", "macd(12,26,9)",
    "cci(20)", "ao(5,34)", "stoch(14,3,3)", "stoch_fast(14,3)",
]  # fmt: skip
BANDS = ["bollinger(20,2)", "bollinger(5,1.5)", "bollinger(2,3)"]
EPSILON = 2.0**-52
"""The least step of a float about 1."""
BOUNDED = ("rsi", "stoch", "stoch_fast")
WINDOWS = ["sma(20)", "cci(20)", "ao(5,34)", "stoch(14,3,3)", "stoch_fast(14,3)", *BANDS]


def numbers(name: str) -> tuple[float, ...]:
    return tuple(float(each) for each in parse(name).arguments if isinstance(each, int | float))


def scales(name: str, bars: Sequence[Bar]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The price of each bar; 1 for what lies between 0 and 100."""
    return np.ones(len(bars)) if parse(name).kind in BOUNDED else column(bars, "high")


def assert_agrees(name: str, bars: Sequence[Bar]) -> None:
    theirs = REFERENCES[parse(name).kind](bars, numbers(name))
    longest = int(max(numbers(name)))
    for place, reference in enumerate(theirs):
        ours = told(create_for_bars(name), bars, place)
        assert_equal(ours, reference, scales(name, bars), longest)


@pytest.mark.parametrize("name", NAMES)
@WALKS
@examples(15)
def test_it_equals_the_reference_from_the_first_value(
    name: str, seed: int, length: int, price: float, volatility: float
) -> None:
    assert_agrees(name, random_bars(seed, max(length, 2), price, volatility))


@pytest.mark.parametrize("name", ["ao(5,34)", "ao(2,5)"])
@WALKS
@examples(15)
def test_the_awesome_oscillator_equals_that_of_pandas_ta_classic(
    name: str, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, max(length, 2), price, volatility)
    (theirs,) = awesome_oscillator(bars, numbers(name))
    longest = int(max(numbers(name)))
    assert_equal(told(create_for_bars(name), bars), theirs, scales(name, bars), longest)


@pytest.mark.parametrize("day", REAL)
@pytest.mark.parametrize("name", ON_REAL_BARS)
def test_it_equals_the_reference_on_real_bars(name: str, day: str) -> None:
    bars = real_bars(day)
    theirs = REFERENCES[parse(name).kind](bars, numbers(name))
    has_quotient = parse(name).kind in (*BOUNDED, "cci")
    for place, reference in enumerate(theirs):
        ours = told(create_for_bars(name), bars, place)
        compared = 0
        for number, (a, b) in enumerate(zip(ours, reference.tolist(), strict=True)):
            window = bars[max(0, number - 34) : number + 1]
            if has_quotient and is_flat(window[-20:]):
                continue  # 0/0: what we say there is tested apart
            assert (a is None) == math.isnan(b)
            scale = 1.0 if parse(name).kind in BOUNDED else max(bar.high for bar in window)
            assert a is None or abs(a - b) <= 1e-9 * max(abs(b), scale), f"bar {number}"
            compared += a is not None
        assert compared > (900 if has_quotient else len(bars) - 50)


def is_flat(bars: Sequence[Bar]) -> bool:
    """Whether no price moved within any fourteen of these bars."""
    spans = (bars[at : at + 14] for at in range(max(1, len(bars) - 13)))
    return any(max(b.high for b in span) == min(b.low for b in span) for span in spans)


@pytest.mark.parametrize("name", BANDS)
@given(
    seed=st.integers(0, 2**32 - 1),
    price=st.sampled_from([0.00042, 1.0, 64_000.0]),
    volatility=st.sampled_from([1e-3, 0.05]),
)
@examples(15)
def test_bands_equal_talib_as_far_as_it_is_exact(
    name: str, seed: int, price: float, volatility: float
) -> None:
    """TA-Lib takes the difference of two squares, and loses half of its digits by it."""
    assert_bands_agree(name, random_bars(seed, 120, price, volatility))


@pytest.mark.parametrize("day", REAL)
@pytest.mark.parametrize("name", BANDS)
def test_bands_equal_talib_on_real_bars(name: str, day: str) -> None:
    assert_bands_agree(name, real_bars(day))


def assert_bands_agree(name: str, bars: Sequence[Bar]) -> None:
    theirs = REFERENCES["bollinger"](bars, numbers(name))
    period, deviations = numbers(name)
    for place, reference in enumerate(theirs):
        ours = told(create_for_bars(name), bars, place)
        for number, (a, b) in enumerate(zip(ours, reference.tolist(), strict=True)):
            assert (a is None) == math.isnan(b)
            if a is None:
                continue
            window = bars[number - int(period) + 1 : number + 1]
            scale = max(bar.close for bar in window)
            error = 0.0 if place == 1 else deviations * talib_error(window, scale)
            assert abs(a - b) <= 1e-9 * scale + error


def talib_error(window: Sequence[Bar], scale: float) -> float:
    """How wrong the root of a variance may be that rounding has changed by 1e-14 squares."""
    mean = sum(bar.close for bar in window) / len(window)
    variance = sum((bar.close - mean) ** 2 for bar in window) / len(window)
    wrong = 1e-14 * scale * scale
    return math.sqrt(variance + wrong) - math.sqrt(max(0.0, variance - wrong))


def exact_cci(bars: Sequence[Bar], period: int) -> list[tuple[Fraction, Fraction] | None]:
    """CCI without a rounding, and what one rounding of the price makes of it; None while warming.

    The price is divided by 0.015 mean deviations: the smaller they are, the more a rounding weighs.
    """
    typical = [(Fraction(bar.high) + Fraction(bar.low) + Fraction(bar.close)) / 3 for bar in bars]
    found: list[tuple[Fraction, Fraction] | None] = [None] * (period - 1)
    for end in range(period, len(bars) + 1):
        window = typical[end - period : end]
        mean = sum(window, Fraction(0)) / period
        unit = sum((abs(each - mean) for each in window), Fraction(0)) / period * Fraction(15, 1000)
        value = (window[-1] - mean) / unit
        found.append((value, Fraction(EPSILON) * max(window) / unit * (1 + abs(value) / 100)))
    return found


@pytest.mark.parametrize("name", ["cci(20)", "cci(5)", "cci(2)"])
@given(
    seed=st.integers(0, 2**32 - 1),
    price=st.sampled_from([0.00042, 1.0, 64_000.0]),
    volatility=st.sampled_from([1e-7, 1e-4, 1e-3, 0.05]),
)
@examples(15)
def test_cci_equals_exact_arithmetic_and_talib(
    name: str, seed: int, price: float, volatility: float
) -> None:
    """Held to a few roundings; against TA-Lib to 1e-9 where its roundings are less than that."""
    bars = random_bars(seed, 60, price, volatility)
    period = int(numbers(name)[0])
    (theirs,) = REFERENCES["cci"](bars, numbers(name))
    ours = told(create_for_bars(name), bars)
    compared = 0
    for a, b, exact in zip(ours, theirs.tolist(), exact_cci(bars, period), strict=True):
        if exact is None:
            assert a is None
            assert math.isnan(b)
            continue
        assert a is not None
        value, rounding = exact
        assert abs(Fraction(a) - value) <= 4 * rounding
        bound = 1e-9 * max(abs(b), price)
        if 20 * rounding < bound:
            assert abs(a - b) <= bound
            compared += 1
    assert compared > 30 or volatility < 1e-3


@pytest.mark.parametrize("name", BANDS)
@given(seed=st.integers(0, 2**32 - 1), volatility=st.sampled_from([1e-7, 1e-4, 0.05]))
@examples(10)
def test_bands_equal_exact_arithmetic(name: str, seed: int, volatility: float) -> None:
    bars = random_bars(seed, 60, 64_000.0, volatility)
    period, deviations = int(numbers(name)[0]), Fraction(numbers(name)[1])
    bands = create_for_bars(name)
    for number, bar in enumerate(bars, start=1):
        bands.update(bar)
        if number < period:
            continue
        closes = [Fraction(each.close) for each in bars[number - period : number]]
        mean = sum(closes, Fraction(0)) / period
        variance = sum(((close - mean) ** 2 for close in closes), Fraction(0)) / period
        deviation = math.sqrt(variance)
        upper, middle, lower, width, percent_b = bands.values
        assert middle == pytest.approx(float(mean), rel=1e-12)
        assert upper == pytest.approx(float(mean) + float(deviations) * deviation, rel=1e-12)
        assert lower == pytest.approx(float(mean) - float(deviations) * deviation, rel=1e-12)
        spread = 2 * float(deviations) * deviation
        assert width == pytest.approx(spread / float(mean), rel=1e-6, abs=1e-15)
        if spread > 0:
            place = (float(closes[-1] - mean) + spread / 2) / spread
            # A close and a band are known to some units in their last place, however near they are.
            known = 4 * math.ulp(bar.close) / spread
            assert percent_b == pytest.approx(place, rel=1e-6, abs=1e-6 + known)


@pytest.mark.parametrize("name", ["rma(14)", "rma(2)", "rma(50)"])
@WALKS
@examples(15)
def test_wilders_average_is_its_definition(
    name: str, seed: int, length: int, price: float, volatility: float
) -> None:
    period = int(numbers(name)[0])
    bars = random_bars(seed, length, price, volatility)
    average: float | None = None
    for number, (ours, bar) in enumerate(
        zip(told(create_for_bars(name), bars), bars, strict=True), start=1
    ):
        if number == period:
            average = math.fsum(each.close for each in bars[:period]) / period
        elif average is not None:
            average = (average * (period - 1) + bar.close) / period
        assert ours == (None if average is None else pytest.approx(average, rel=1e-12))


@pytest.mark.parametrize("name", ["rma(14)", "macd(12,26,9)", *WINDOWS])
def test_it_settles_when_it_says(name: str) -> None:
    made = create_for_bars(name)
    if parse(name).kind in {"macd", "ao"}:
        assert_settles_on_the_scale(name)
    else:
        assert_settles(lambda: create_for_bars(name), places=len(made.values))


@pytest.mark.parametrize("name", ["rsi(2)", "rsi(14)", "ema(2)", "ema(20)", "rma(14)"])
def test_what_decays_settles_when_it_says_on_many_walks(name: str) -> None:
    settled = create_for_bars(name).settled
    assert settled is not None
    for seed in range(60):
        volatility = (1e-4, 1e-3, 0.05)[seed % 3]
        bars = random_bars(seed, settled + 120, volatility=volatility)
        whole = told(create_for_bars(name), bars)
        for start in (1, 20, 60):
            late = told(create_for_bars(name), bars[start:])
            for a, b in zip(late[settled - 1 :], whole[start + settled - 1 :], strict=True):
                assert a == pytest.approx(b, rel=1e-4, abs=0.0), f"seed {seed}"


def assert_settles_on_the_scale(name: str) -> None:
    """For what lies around zero: within 0.01 % of how far it swings."""
    settled = create_for_bars(name).settled
    assert settled is not None
    bars = random_bars(seed=7, length=settled + 400)
    for place in range(len(create_for_bars(name).values)):
        whole = told(create_for_bars(name), bars, place)
        swing = max(abs(each) for each in whole if each is not None)
        for start in (1, 50, 333):
            late = told(create_for_bars(name), bars[start:], place)
            for a, b in zip(late[settled - 1 :], whole[start + settled - 1 :], strict=True):
                assert a == pytest.approx(b, abs=1e-4 * swing)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_huge_price_leaves_no_trace_once_it_is_out_of_the_window(name: str) -> None:
    made = create_for_bars(name)
    huge = make_bar(1, 1e12)
    window = made.warm_up
    assert_forgets(lambda: create_for_bars(name), huge, window, places=len(made.values))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sma(5)", [100.0]),
        ("rma(5)", [100.0]),
        ("macd(3,5,2)", [0.0, 0.0, 0.0]),
        ("cci(5)", [0.0]),
        ("ao(2,5)", [0.0]),
        ("stoch(5,2,2)", [50.0, 50.0]),
        ("stoch_fast(5,2)", [50.0, 50.0]),
        ("bollinger(5,2)", [100.0, 100.0, 100.0, 0.0, 0.5]),
    ],
)
def test_a_flat_market(name: str, expected: list[float]) -> None:
    made = create_for_bars(name)
    for number in range(30):
        made.update(make_bar(number, 100.0, volume=float(number % 2)))
    assert list(made.values) == pytest.approx(expected, abs=1e-12)


def test_a_flat_stochastic_of_talib_is_0() -> None:
    flat = np.full(30, 5.0)
    slow, _ = talib.STOCH(flat, flat, flat)
    assert slow[-1] == 0.0


@pytest.mark.parametrize("name", ["macd(26,12,9)", "macd(12,12,9)", "ao(34,5)", "ao(5,5)"])
def test_a_fast_average_that_is_not_the_faster_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"fast|slow"):
        parse(name)


# -- Lean --------------------------------------------------------------------------------------


@cache
def lean(file: str) -> tuple[dict[str, str], ...]:
    path = Path(CAPTURES) / "indicators" / "lean" / file
    if not CAPTURES or not path.exists():
        pytest.skip("CANDLEWAX_CAPTURES does not name a folder with indicators/lean")
    with path.open(newline="") as lines:
        return tuple(csv.DictReader(lines))


def lean_bar(number: int, row: dict[str, str]) -> Bar:
    close = float(row["Close"])
    prices = {name: float(row.get(name.title(), close)) for name in ("open", "high", "low")}
    return make_bar(number, close, **prices)


@pytest.mark.parametrize(
    ("file", "column_name", "name", "tolerance", "least"),
    [
        ("spy_ao.txt", "AO", "ao(5,34)", 1e-9, 460),
        ("spy_with_cci.txt", "Commodity Channel Index (CCI) 14", "cci(14)", 3e-3, 480),
        ("spy_with_macd.txt", "MACD", "macd(12,26,9).line", 1e-5, 183),
        ("spy_with_macd.txt", "Signal", "macd(12,26,9).signal", 1e-5, 183),
        ("spy_with_macd.txt", "Histogram", "macd(12,26,9).hist", 1e-5, 183),
        ("spy_with_stoch12k3.txt", "Stochastics 12 %K 3", "stoch(12,3,5).k", 5e-4, 480),
        ("spy_with_stoch12k3.txt", "%D 5", "stoch(12,3,5).d", 5e-4, 480),
        ("spy_with_indicators.txt", "RSI 14 Wilder", "rsi(14)", 1e-5, 480),
        ("spy_with_indicators.txt", "SMA14", "sma(14)", 0.01, 480),  # rounded to two digits
        ("spy_with_indicators.txt", "EMA14", "ema(14)", 0.01, 480),
    ],
)
def test_it_equals_the_series_of_lean(
    file: str, column_name: str, name: str, tolerance: float, least: int
) -> None:
    rows = lean(file)
    (value,) = every_output(parse(name))
    ours = told(create_for_bars(value), [lean_bar(*each) for each in enumerate(rows)], value.place)
    compared = 0
    for number, (a, row) in enumerate(zip(ours, rows, strict=True)):
        if row[column_name] and a is not None:
            assert a == pytest.approx(float(row[column_name]), abs=tolerance), f"row {number}"
            compared += 1
    assert compared >= least
