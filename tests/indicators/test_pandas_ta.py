"""pandas-ta-classic's functions bar by bar, against the same functions over the whole."""

import math
import pickle

import numpy as np
import pytest

from indicators.catalogue import find_kind
from indicators.contract import BarIndicator
from indicators.kinds import BarKind
from indicators.libraries import names
from indicators.made_up_bars import standing_still
from indicators.names import IndicatorName, IndicatorNameError, create_for_bars, parse, usage
from indicators.pandas_ta_functions import (
    describe,
    frame_of,
    function_names,
    output_names,
    rows_kept,
)
from indicators.pandas_ta_indicator import PandasTaIndicator
from tests.indicators.flow_bars import Column
from tests.indicators.library_bars import bars_of, walk_columns

COLUMNS = walk_columns(3, 640)
BARS = bars_of(COLUMNS)
QUICK = set(names("pta")[::8])
"""The functions that are measured with every run: each takes a twelfth of a second."""
EVERY = [
    pytest.param(each, marks=[] if each in QUICK else pytest.mark.slow) for each in names("pta")
]
ROLLED = [
    "cci(14)",
    "supertrend(7,3)",
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in ("rsi(14)", "macd(12,26,9)", "qqe", "ichimoku", "dpo(20)")
    ),
]


def whole(name: IndicatorName) -> Column:
    """What the function says of all bars at once: a row for each, a column for each output."""
    function = describe(name.kind.removeprefix("pta."))
    assert function is not None
    numbers = [each for each in name.arguments if not isinstance(each, IndicatorName)]
    found = function.over(frame_of(COLUMNS), numbers)
    assert found is not None
    told: Column = found.to_numpy(float)
    return told


def assert_told(indicator: BarIndicator, theirs: Column, number: int, tolerance: float) -> None:
    """Hold what is said of a bar against the row of it, by the value or by its usual size."""
    for value, column in zip(indicator.values, theirs.T, strict=True):
        expected = float(column[number])
        if math.isnan(expected):
            assert value is None
        else:
            usual = tolerance * float(np.nanmean(np.abs(column)))
            assert value == pytest.approx(expected, rel=tolerance, abs=usual)


@pytest.mark.parametrize("name", EVERY)
def test_every_function_agrees_with_the_whole_from_its_first_value(name: str) -> None:
    """It is pickled once on the way, and corrected once."""
    kind = find_kind(name)
    assert kind is not None
    parsed = parse(usage(kind))
    theirs = whole(parsed)
    indicator = create_for_bars(parsed)
    first = indicator.warm_up - 1
    for number, bar in enumerate(BARS[: first + 4]):
        if number == first + 1:
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
        if number == first + 2:
            indicator.update(BARS[0])
            indicator.revise(bar)
        else:
            indicator.update(bar)
        assert indicator.count == number + 1
        if number < first:
            assert set(indicator.values) == {None}
        else:
            assert_told(indicator, theirs, number, 1e-9)
    assert any(value is not None for value in indicator.values)


@pytest.mark.parametrize("name", ROLLED)
def test_on_a_rolling_frame_it_agrees_with_the_whole(name: str) -> None:
    parsed = parse(f"pta.{name}")
    theirs = whole(parsed)
    indicator = create_for_bars(parsed)
    numbers = tuple(each for each in parsed.arguments if not isinstance(each, IndicatorName))
    rows = rows_kept(parsed.kind.removeprefix("pta."), numbers)
    for number, bar in enumerate(BARS[: rows + 40]):
        indicator.update(bar)
        if number >= rows:
            assert_told(indicator, theirs, number, 1e-5)


@pytest.mark.parametrize("name", ["supertrend(3,2)", "rsi(4)", "hl2"])
def test_pickling_and_corrections_change_nothing(name: str) -> None:
    right = create_for_bars(f"pta.{name}")
    other = create_for_bars(f"pta.{name}")
    for number, bar in enumerate(BARS[:40]):
        right.update(bar)
        other.update(BARS[-1 - number])
        if number % 7 == 3:
            other = pickle.loads(pickle.dumps(other))  # noqa: S301
        other.revise(bar)
        assert other.values == right.values
        assert other.count == right.count == number + 1


@pytest.mark.parametrize("name", names("pta"))
def test_every_function_says_what_it_takes_and_when_it_begins(name: str) -> None:
    kind = find_kind(name)
    assert isinstance(kind, BarKind)
    assert parse(usage(kind)).text == usage(kind)
    assert kind.meaning
    assert len({each.name for each in kind.outputs}) == len(kind.outputs)


@pytest.mark.parametrize("name", EVERY)
def test_what_a_function_wants_is_measured(name: str) -> None:
    kind = find_kind(name)
    assert kind is not None
    indicator = create_for_bars(usage(kind))
    assert isinstance(indicator, PandasTaIndicator)
    assert 1 <= indicator.warm_up <= 300
    assert indicator.settled >= indicator.warm_up


@pytest.mark.parametrize("name", function_names())
def test_a_frame_of_one_bar_or_of_one_price_is_no_error(name: str) -> None:
    function = describe(name)
    assert function is not None
    defaults = [each.default for each in function.settings]
    for length in (1, 40):
        told = function.last(frame_of(standing_still(length)), defaults)
        assert len(told) == len(function.outputs)


def test_a_bar_that_is_no_number_is_refused_and_changes_nothing() -> None:
    indicator = create_for_bars("pta.hl2")
    columns = walk_columns(1, 2)
    columns["volume"][1] = math.nan
    good, bad = bars_of(columns)
    with pytest.raises(ValueError, match="no bar to correct"):
        indicator.revise(good)
    indicator.update(good)
    before = pickle.dumps(indicator)
    for verb in (indicator.update, indicator.revise):
        with pytest.raises(ValueError, match="finite"):
            verb(bad)
    assert pickle.dumps(indicator) == before


@pytest.mark.parametrize(
    ("written", "message", "offset"),
    [
        ("pta.supertrnd", "no indicator 'pta.supertrnd'; did you mean 'pta.supertrend'?", 0),
        ("pta.ma(3)", "no indicator 'pta.ma': it wants more than the bars of one series", 0),
        (
            "pta.obv",
            "no indicator 'pta.obv': it counts from the first bar, which a rolling frame forgets",
            0,
        ),
        (
            "pta.hma(10, lengths=3)",
            "'pta.hma' has no parameter 'lengths'; did you mean 'length'? (write 'pta.hma(10)')",
            12,
        ),
        ("pta.supertrend(0)", "pta.supertrend: length 0: expected 1 to 1000", 15),
    ],
)
def test_a_wrong_name_is_told_with_its_place(written: str, message: str, offset: int) -> None:
    with pytest.raises(IndicatorNameError) as caught:
        parse(written)
    assert (caught.value.message, caught.value.offset) == (message, offset)


def test_outputs_are_columns_without_their_numbers() -> None:
    assert output_names(["BBL_5_2.0", "BBP_5_2.0"]) == ("bbl", "bbp")
    assert output_names(["QQE_14_5_4.236", "QQE_14_5_4.236_RSIMA"]) == ("qqe", "qqe_rsima")
    assert output_names(["MMAR_10", "MMAR_15"]) == ("mmar_10", "mmar_15")
    assert parse("pta.supertrend.supertd").text == "pta.supertrend(7,3).supertd"


def test_nothing_looks_ahead() -> None:
    """A value at a bar is the same whether or not later bars are known."""
    for name in ("dpo", "ichimoku", "supertrend", "fisher", "psar", "td_seq"):
        function = describe(name)
        assert function is not None
        defaults = [each.default for each in function.settings]
        whole = function.over(frame_of(COLUMNS), defaults)
        part = function.last(frame_of(COLUMNS).iloc[:600], defaults)
        assert whole is not None
        np.testing.assert_allclose(whole.to_numpy(float)[599], part, rtol=1e-9)
