"""TA-Lib's functions bar by bar, against the same functions over the whole."""

import math
import pickle

import pytest

from indicators import talib_kinds
from indicators.catalogue import find_kind
from indicators.contract import BarIndicator
from indicators.kinds import BarKind, Parameter
from indicators.libraries import names
from indicators.names import IndicatorNameError, create_for_bars, parse, usage
from indicators.talib_functions import (
    AGREEMENT,
    Function,
    describe,
    function_names,
    kept_bars,
    memory,
    own_spelling,
)
from indicators.talib_indicator import TalibIndicator
from market.events import Bar
from tests.indicators.library_bars import bars_of, walk_columns

NAMES = names("talib")
COLUMNS = walk_columns(7, 260)
BARS = bars_of(COLUMNS)
LONG = walk_columns(11, 6000)
LONG_BARS = bars_of(LONG)
RESUMED = ["adx", "cmo", "ema", "macd", "rsi", "sar", "supertrend", "tsi", "ht_sine", "kama"]
TOTALS = ["ad", "cumsum", "nvi", "obv", "pvi", "pvt", "vwap", "wad"]


def kind_of(name: str) -> BarKind:
    kind = find_kind(name)
    assert isinstance(kind, BarKind)
    return kind


def function_of(name: str) -> tuple[Function, tuple[float, ...]]:
    function = describe(name.removeprefix("talib.").upper())
    return function, tuple(each.default for each in function.settings)


def in_turn(indicator: BarIndicator, bars: list[Bar]) -> list[tuple[float | None, ...]]:
    told = []
    for bar in bars:
        indicator.update(bar)
        told.append(indicator.values)
    return told


@pytest.mark.parametrize("name", NAMES)
def test_bar_by_bar_is_the_whole_to_the_last_bit(name: str) -> None:
    function, arguments = function_of(name)
    whole = function.over([COLUMNS[field] for field in function.inputs], arguments)
    indicator = create_for_bars(name)
    for number, told in enumerate(in_turn(indicator, BARS)):
        for value, column in zip(told, whole, strict=True):
            if number < indicator.warm_up - 1 or not math.isfinite(column[number]):
                assert value is None
            else:
                assert value == column[number]


@pytest.mark.parametrize("name", NAMES)
def test_every_function_says_what_it_takes_and_keeps_its_limits(name: str) -> None:
    kind = kind_of(name)
    assert parse(usage(kind)).text == usage(kind)
    assert kind.meaning
    assert kind.outputs
    assert len({each.name for each in kind.parameters}) == len(kind.parameters)
    for place, parameter in enumerate(kind.parameters):
        assert isinstance(parameter, Parameter)
        defaults = [each.default for each in kind.parameters]
        for edge in (parameter.least, parameter.most):
            given = [*defaults[:place], edge, *defaults[place + 1 :]]
            assert describe(name[6:].upper()).look_back([float(x) for x in given]) >= 0


@pytest.mark.parametrize("name", NAMES)
def test_a_correction_is_as_if_only_the_right_bar_had_come(name: str) -> None:
    right = create_for_bars(name)
    wrong = create_for_bars(name)
    for number, bar in enumerate(BARS[:180]):
        right.update(bar)
        wrong.update(BARS[-1 - number])
        wrong.revise(BARS[number - 3])
        wrong.revise(bar)
    assert right.values == wrong.values


@pytest.mark.parametrize("name", RESUMED)
def test_opened_again_on_what_is_kept_it_agrees_within_the_promise(name: str) -> None:
    function, arguments = function_of(name)
    whole = function.over([LONG[field] for field in function.inputs], arguments)
    scales = [abs(column[-3000:]).mean() for column in whole]
    kept = kept_bars(function.name, arguments)
    for cut in range(max(kept, 3000), 6000, 250):
        indicator = TalibIndicator(function.name, *arguments)
        in_turn(indicator, LONG_BARS[cut - kept : cut])
        for value, column, scale in zip(indicator.values, whole, scales, strict=True):
            assert value is not None
            assert abs(value - column[cut - 1]) <= AGREEMENT * max(abs(column[cut - 1]), scale)


@pytest.mark.parametrize("name", ["adx", "rsi", "stoch", *TOTALS])
def test_a_run_pickled_often_ends_as_one_never_pickled(name: str) -> None:
    indicator = create_for_bars(f"talib.{name}")
    told = []
    for number, bar in enumerate(LONG_BARS[:2000]):
        if number % 301 == 150:
            before = indicator.values
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
            assert indicator.values == before
            if number % 2:
                indicator.revise(LONG_BARS[number - 1])
        indicator.update(bar)
        told.append(indicator.values)
    right = in_turn(create_for_bars(f"talib.{name}"), LONG_BARS[:2000])
    largest = max(abs(each) for row in right for each in row if each is not None)
    for ours, theirs in zip(told, right, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a == b or (a is not None and b is not None and abs(a - b) <= 1e-9 * largest)


def test_what_a_pickle_holds_is_bounded() -> None:
    indicator = create_for_bars("talib.adx(14)")
    in_turn(indicator, LONG_BARS[:2000])
    size = len(pickle.dumps(indicator))
    in_turn(indicator, LONG_BARS[2000:4001])
    assert abs(len(pickle.dumps(indicator)) - size) <= 4
    assert size < 12_000


@pytest.mark.parametrize(
    ("written", "message", "offset"),
    [
        ("talib.adxx(14)", "no indicator 'talib.adxx'; did you mean 'talib.adx'?", 0),
        ("talib.ADX", "no indicator 'talib.ADX'; did you mean 'talib.adx'?", 0),
        ("talib.mavp", "no indicator 'talib.mavp': it wants a period for every bar", 0),
        (
            "talib.maxindex(5)",
            "no indicator 'talib.maxindex': it gives a place in an array, which a stream is not",
            0,
        ),
        ("talib.adx(1)", "talib.adx: period 1: expected 2 to 100000", 10),
        (
            "talib.adx(perod=3)",
            "'talib.adx' has no parameter 'perod'; did you mean 'period'? (write 'talib.adx(14)')",
            10,
        ),
        ("talib.t3(5,1.5)", "talib.t3: vfactor 1.5: expected 0 to 1", 11),
        (
            "talib.macd.line",
            "'talib.macd' has no output 'line' (it has macd, macdsignal, macdhist)",
            10,
        ),
    ],
)
def test_a_wrong_name_is_told_with_its_place(written: str, message: str, offset: int) -> None:
    with pytest.raises(IndicatorNameError) as caught:
        parse(written)
    assert (caught.value.message, caught.value.offset) == (message, offset)


def test_names_have_every_parameter_and_any_output() -> None:
    assert parse("talib.macd.macdhist").text == "talib.macd(12,26,9).macdhist"
    assert parse("talib.bbands(matype=1)").text == "talib.bbands(20,2,2,1)"
    assert parse("talib.mama(0.4)").text == "talib.mama(0.4,0.05)"
    assert parse("talib.adx").inputs == {"high", "low", "close"}


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        ("timeperiod", "period"),
        ("timeperiod2", "period2"),
        ("slowperiod", "slow_period"),
        ("roc1period", "roc1_period"),
        ("fastk_period", "fastk_period"),
        ("signalmatype", "signal_matype"),
        ("accelerationinitlong", "acceleration_init_long"),
        ("accelerationshort", "acceleration_short"),
        ("acceleration", "acceleration"),
        ("maximum", "maximum"),
        ("offsetonreverse", "offset_on_reverse"),
        ("nbdevdn", "nbdev_dn"),
    ],
)
def test_parameters_keep_their_names_with_the_words_set_apart(own: str, ours: str) -> None:
    assert own_spelling(own) == ours


def test_the_averages_are_told_by_their_numbers() -> None:
    (parameter,) = [each for each in kind_of("talib.ma").parameters if each.name == "matype"]
    assert "0 SMA, 1 EMA, 2 WMA" in parameter.meaning
    assert sorted(talib_kinds.AVERAGES) == list(range(14))


def test_numbers_that_are_refused_make_no_indicator() -> None:
    with pytest.raises(ValueError, match="TA-Lib refuses these numbers"):
        TalibIndicator("RSI", 1)


def test_all_of_the_library_is_there_but_what_wants_no_bars() -> None:
    assert len(NAMES) > 190
    assert set(function_names()) >= {"ADX", "CDLDOJI", "OBV", "SUPERTREND"}
    assert find_kind("talib.") is None
    assert find_kind("talib.nothing") is None


def test_settled_is_measured_and_never_for_a_total() -> None:
    assert create_for_bars("talib.sma(30)").settled == 30
    assert 80 <= (create_for_bars("talib.ema(30)").settled or 0) <= 180
    assert create_for_bars("talib.obv").settled is None
    assert memory("ADX", (14,), 1e-9) is not None
