"""Names: what is accepted, what it becomes, and what a person is told otherwise."""

import doctest
import importlib
import pkgutil
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import indicators
from indicators.catalogue import ALIASES, KINDS
from indicators.kinds import SeriesParameter
from indicators.names import (
    DEEPEST,
    LONGEST_NAME,
    IndicatorNameError,
    canonical,
    create_for_bars,
    create_for_book,
    create_series,
    parse,
    usage,
)

MODULES = sorted(each.name for each in pkgutil.iter_modules(indicators.__path__))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("rsi", "rsi(14)"),
        ("rsi()", "rsi(14)"),
        ("rsi(14)", "rsi(14)"),
        ("  rsi ( 7 ) ", "rsi(7)"),
        ("rsi(period=7)", "rsi(7)"),
        ("ema", "ema(20)"),
        ("ema(+50)", "ema(50)"),
        ("book.imbalance", "book.imbalance(10)"),
        ("book.imbalance(depth=5)", "book.imbalance(5)"),
        ("book.count_imbalance(3)", "book.count_imbalance(3)"),
        ("book.spread_bps", "book.spread_bps"),
        ("book.spread_bps()", "book.spread_bps"),
        ("crosses", "crosses(close,ema(20))"),
        ("crosses(rsi,30)", "crosses(rsi(14),30)"),
        ("crosses ( rsi ( 7 ) ,\n other = ema )", "crosses(rsi(7),ema(20))"),
        ("crosses(other=rsi(period=7),series=volume)", "crosses(volume,rsi(7))"),
        ("crosses(close,+30.50)", "crosses(close,30.5)"),
        ("crosses(close,-.0)", "crosses(close,0)"),
        ("crosses(zone.oversold,0)", "crosses(zone(rsi(14),30,70).oversold,0)"),
        ("zone", "zone(rsi(14),30,70)"),
        ("zone(high=80).overbought", "zone(rsi(14),30,80).overbought"),
        ("zone(close,-2.5,1e3).oversold", "zone(close,-2.5,1000).oversold"),
        ("zero_cross(ema)", "zero_cross(ema(20))"),
        ("peak(close,wing=2)", "peak(close,2)"),
        ("divergence.signal", "divergence(rsi(14),3,60).signal"),
        ("divergence(peak(rsi),5).bars_1", "divergence(peak(rsi(14),1),5,60).bars_1"),
        ("band_touch(1,2,low=close)", "band_touch(1,2,close,high)"),
    ],
)
def test_a_name_has_one_canonical_form(written: str, name: str) -> None:
    assert canonical(written) == name
    assert canonical(name) == name
    assert parse(written).text == name


@pytest.mark.parametrize(
    ("written", "message", "offset"),
    [
        ("rsii(14)", "no indicator 'rsii'; did you mean 'rsi'?", 0),
        ("RSI(14)", "no indicator 'RSI'; did you mean 'rsi'?", 0),
        ("zzz", "no indicator 'zzz'", 0),
        ("book.imbalence(3)", "no indicator 'book.imbalence'; did you mean 'book.imbalance'?", 0),
        (
            "rsi(perod=3)",
            "'rsi' has no parameter 'perod'; did you mean 'period'? (write 'rsi(14)')",
            4,
        ),
        ("rsi(1)", "rsi: period 1: expected 2 to 100000", 4),
        ("rsi(1.5)", "rsi: period '1.5': expected a whole number, 2 to 100000", 4),
        ("rsi(9, 9)", "too many numbers: write 'rsi(14)' or leave them out", 7),
        ("rsi(period=9,period=9)", "rsi: 'period' is given twice", 13),
        ("rsi(,)", "rsi: period '': expected a whole number, 2 to 100000", 4),
        ("book.imbalance(11)", "book.imbalance: depth 11: expected 1 to 10", 15),
        ("rsi(14).line", "'rsi' has one value: leave out '.line'", 7),
        ("rsi.line", "'rsi' has one value: leave out '.line'", 3),
        (
            "rsi(14",
            "'rsi(14' is not an indicator: write a name and numbers, as in 'rsi(14)'",
            0,
        ),
        (
            "close",
            "'close' is a value of the bar, not an indicator: name one, as in 'rsi(14)'",
            0,
        ),
        ("close(3)", "'close' is a value of the bar, not an indicator: it takes no numbers", 0),
    ],
)
def test_a_wrong_name_is_told_with_its_place(written: str, message: str, offset: int) -> None:
    with pytest.raises(IndicatorNameError) as caught:
        parse(written)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(
    ("written", "message", "place"),
    [
        ("crosses(rsii,30)", "no indicator 'rsii'; did you mean 'rsi'?", "rsii,"),
        ("crosses(clos,30)", "no indicator 'clos'; did you mean 'close'?", "clos,"),
        (
            "crosses(close(3),30)",
            "'close' is a value of the bar, not an indicator: it takes no numbers",
            "close(3)",
        ),
        ("crosses( rsi( 1),30)", "rsi: period 1: expected 2 to 100000", "1),"),
        ("crosses(close, other = ema(9, 1))", "too many numbers: write 'ema(20)'", "1))"),
        ("crosses(other=emaa)", "no indicator 'emaa'; did you mean 'ema'?", "emaa"),
        ("crosses(30,rsi)", "crosses: series '30': expected a series", "30,"),
        ("crosses(series=30)", "crosses: series '30': expected a series", "30)"),
        ("crosses(rsi,1e400)", "crosses: other '1e400': too large", "1e400"),
        ("crosses(close,)", "'' is not an indicator", ")"),
        ("crosses((rsi),30)", "'(rsi)' is not an indicator", "(rsi)"),
        ("crosses(rsi(14)),30)", "'crosses(rsi(14)),30)' is not an indicator", "crosses"),
        ("crosses(rsi(14,30)", "'crosses(rsi(14,30)' is not an indicator", "crosses"),
        ("crosses(rsi,30,1)", "too many numbers: write 'crosses(close,ema(20))'", "1)"),
        (
            "crosses(zone,0)",
            "'zone(rsi(14),30,70)' has several values: say which, as in 'zone(rsi(14),30",
            "zone,",
        ),
        ("crosses( zone.oversol,0)", "'zone' has no output 'oversol'; did you mean", ".oversol"),
        ("crosses(rsi(14).line,0)", "'rsi' has one value: leave out '.line'", ".line"),
        (
            "crosses(close, book.imbalance)",
            "'book.imbalance(10)' is computed from the book: a series is of bars",
            "book.imbalance)",
        ),
        ("zone(rsi,70,30)", "zone: low 70, high 30: expected low below high", "(rsi"),
        ("zone(low=70)", "zone: low 70, high 70: expected low below high", "(low"),
        (
            "crosses(zone(rsi,70,30).oversold,0)",
            "zone: low 70, high 30: expected low below high",
            "(rsi",
        ),
        ("divergence(rsi,5,5)", "divergence: wing 5, span 5: expected a span above", "(rsi"),
        ("zero_cross(5)", "zero_cross: series '5': expected a series", "5)"),
    ],
)
def test_what_is_wrong_inside_a_name_is_told_with_its_place_in_the_whole(
    written: str, message: str, place: str
) -> None:
    with pytest.raises(IndicatorNameError) as caught:
        parse(written)
    assert caught.value.message.startswith(message)
    assert caught.value.offset == written.index(place)


def nested(innermost: str, depth: int) -> str:
    return "zero_cross(" * depth + innermost + ")" * depth


def test_names_stand_in_names_down_to_a_depth() -> None:
    deepest = nested("rsi(14)", DEEPEST)
    assert canonical(deepest) == deepest
    assert create_for_bars(deepest).name == deepest
    with pytest.raises(IndicatorNameError, match=f"names nested deeper than {DEEPEST}") as caught:
        parse(nested("rsi(14)", DEEPEST + 1))
    assert caught.value.offset == len("zero_cross(") * (DEEPEST + 1)


def test_a_default_that_would_stand_too_deep_is_refused() -> None:
    assert canonical(canonical(nested("crosses", DEEPEST - 1)))
    with pytest.raises(IndicatorNameError, match=f"names nested deeper than {DEEPEST}") as caught:
        parse(nested("crosses", DEEPEST))
    assert caught.value.offset == len(nested("crosses", DEEPEST)) - DEEPEST


def test_values_of_the_bar_stand_at_any_depth() -> None:
    deepest = nested("close", DEEPEST + 1)
    assert canonical(deepest) == deepest


def test_a_name_that_its_defaults_make_too_long_is_refused() -> None:
    short = "band_touch(" + ",".join(["crosses(band_touch.lower,zone.oversold)"] * 4) + ")"
    assert len(short) < LONGEST_NAME
    with pytest.raises(IndicatorNameError, match="with its defaults a name of more than 300"):
        parse(short)


@given(number=st.floats(-1e299, 1e299))
def test_a_number_as_a_series_keeps_its_value(number: float) -> None:
    name = parse(f"crosses(close,{number!r})")
    assert name.arguments[1] == number
    assert parse(name.text) == name


SERIES = st.recursive(
    st.sampled_from(["close", "high", "volume", "count", "rsi(14)", "ema(3)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.one_of(inner, st.sampled_from(["30", "-2.5", "0"]))).map(
            lambda drawn: f"crosses({drawn[0]},{drawn[1]})"
        ),
        inner.map(lambda series: f"zero_cross({series})"),
        st.tuples(inner, st.integers(-9, 9), st.sampled_from(["oversold", "overbought"])).map(
            lambda drawn: f"zone({drawn[0]},{drawn[1]},{drawn[1] + 1}).{drawn[2]}"
        ),
        inner.map(lambda series: f"divergence({series},2,9).signal"),
    ),
    max_leaves=4,
)


@given(series=SERIES, spaces=st.lists(st.sampled_from(["", " ", "\n"]), min_size=1, max_size=5))
def test_a_nested_name_is_its_own_canonical_form_however_it_is_spaced(
    series: str, spaces: list[str]
) -> None:
    name = f"crosses({series},5)"
    try:
        parsed = parse(name)
    except IndicatorNameError as error:
        assert "deeper than" in error.message  # noqa: PT017 (it need not be raised)
        return
    assert parsed.text == name
    pieces = re.split(r"([(),])", name)
    spaced = "".join(piece + spaces[at % len(spaces)] for at, piece in enumerate(pieces))
    assert parse(spaced.replace(" .", ".").replace("\n.", ".")) == parsed
    built = create_for_bars(parsed)
    assert built.name == name
    assert built.warm_up >= 2


@given(text=st.text(alphabet="crosezn(),.= 14_-", max_size=40))
def test_any_text_is_a_name_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        parsed = parse(f"crosses({text})")
    except IndicatorNameError as error:
        assert 0 <= error.offset <= len(text) + 9  # noqa: PT017 (it need not be raised)
    else:
        assert parse(parsed.text) == parsed


def test_a_name_knows_the_values_of_a_bar_that_it_reads_through_its_series() -> None:
    assert parse("crosses(rsi,volume)").inputs == {"close", "volume"}
    assert parse("divergence(zero_cross(volume),3).signal").inputs == {"high", "low", "volume"}
    assert parse("crosses(close,30)").reads == "bar"


def test_a_series_is_one_value_of_one_indicator() -> None:
    series = create_series(" zone( high=80 ).overbought ")
    assert (series.name, series.place) == ("zone(rsi(14),30,80).overbought", 1)
    assert series.inputs == ("close",)
    assert create_series("volume").name == "volume"
    with pytest.raises(IndicatorNameError, match="say which"):
        create_series("zone")
    with pytest.raises(IndicatorNameError, match="a series is of bars"):
        create_series("book.imbalance")


def test_bars_and_books_are_not_mixed_up() -> None:
    with pytest.raises(IndicatorNameError, match="computed from the book"):
        create_for_bars("book.imbalance")
    with pytest.raises(IndicatorNameError, match="computed from bars"):
        create_for_book("rsi")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_has_defaults_within_its_limits_and_words_for_people(name: str) -> None:
    kind = KINDS[name]
    assert canonical(usage(kind)) == usage(kind)
    assert kind.meaning
    for parameter in kind.parameters:
        assert parameter.meaning
        if not isinstance(parameter, SeriesParameter):
            assert parameter.least <= parameter.default <= parameter.most
    assert kind.outputs
    assert all(output.unit for output in kind.outputs)
    assert len({output.name for output in kind.outputs}) == len(kind.outputs)


def test_no_name_means_two_things() -> None:
    assert not set(ALIASES) & set(KINDS)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_documentation_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"indicators.{module}")).failed == 0
