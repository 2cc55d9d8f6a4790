"""Names: what is accepted, what it becomes, and what a person is told otherwise."""

import doctest
import importlib
import pkgutil

import pytest

import indicators
from indicators.catalogue import ALIASES, KINDS
from indicators.kinds import SeriesParameter
from indicators.names import (
    IndicatorNameError,
    canonical,
    create_for_bars,
    create_for_book,
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
    ],
)
def test_a_wrong_name_is_told_with_its_place(written: str, message: str, offset: int) -> None:
    with pytest.raises(IndicatorNameError) as caught:
        parse(written)
    assert (caught.value.message, caught.value.offset) == (message, offset)


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
