"""The short form: what it means, and that printing and reading are each other's inverse."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import compile as compile_module
from filters import fields, grammar, templates
from filters.grammar import parse
from filters.relations import GrammarError
from filters.trees import Tree, print_tree
from tests.filters.conditions import TREES


@given(tree=TREES)
def test_reading_what_was_printed_gives_the_same_tree(tree: Tree) -> None:
    text = print_tree(tree)
    try:
        again = parse(text, "bar")
    except GrammarError as error:
        assert "more than" in error.message or "nested" in error.message  # noqa: PT017 (it need not be raised)
        return
    assert again == tree
    assert print_tree(again) == text


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("rsi<30", "rsi(14) < 30"),
        ("  30 >\n rsi ( 14 ) ", "rsi(14) < 30"),
        ("20 < rsi <= 30", "rsi(14) > 20 and rsi(14) <= 30"),
        ("low < close < high", "low < close and close < high"),
        ("close > ema(20)", "close > ema(20)"),
        ("change_bps <-2.50", "change_bps < -2.5"),
        ("change_bps > +1e1", "change_bps > 10"),
        ("volume>1_000", "volume > 1000"),
        ("close > .5 and not not volume > 5.", "close > 0.5 and volume > 5"),
        (
            "close > 1 or volume > 2 and count > 3",
            "close > 1 or (volume > 2 and count > 3)",
        ),
        ("not close > 1 and volume > 2", "not (close > 1) and volume > 2"),
        ("not (close > 1 and volume > 2)", "not (close > 1 and volume > 2)"),
        ("(close > 1 and volume > 2) and count > 3", "close > 1 and volume > 2 and count > 3"),
        ("((close > 1))", "close > 1"),
        ("book.imbalance > -0.0", "book.imbalance(10) > 0"),
        ("crosses(rsi,30) > 0", "crosses(rsi(14),30) > 0"),
        ("crosses ( rsi ( 7 ) , other = 30 )==1", "crosses(rsi(7),30) == 1"),
        ("0 < zone(rsi(7)).oversold", "zone(rsi(7),30,70).oversold > 0"),
        (
            "(crosses > 0 and not (zero_cross(zone.overbought) < 0))",
            "crosses(close,ema(20)) > 0 and not (zero_cross(zone(rsi(14),30,70).overbought) < 0)",
        ),
        (
            "divergence.signal == 1 and divergence.price_2 < ema",
            "divergence(rsi(14),3,60).signal == 1 and divergence(rsi(14),3,60).price_2 < ema(20)",
        ),
        ("close > crosses(low,-2.5)", "close > crosses(low,-2.5)"),
    ],
)
def test_the_short_form_has_a_canonical_text(written: str, canonical: str) -> None:
    assert print_tree(parse(written, "bar")) == canonical
    assert print_tree(parse(canonical, "bar")) == canonical


@pytest.mark.parametrize(
    ("written", "message", "place"),
    [
        ("close > 1 and crosses(rsii(14), 30) > 0", "no indicator 'rsii'", "rsii"),
        ("close > 1 and crosses( rsi( 1 ), 30) > 0", "rsi: period 1: expected", "1 ), 30"),
        ("close > 1 and crosses  (rsi(1), 30) > 0", "rsi: period 1: expected", "1), 30"),
        ("crosses(30, rsi) > 0", "crosses: series '30': expected a series", "30,"),
        ("crosses(rsi, zone) > 0", "'zone(rsi(14),30,70)' has several values", "zone"),
        ("crosses(rsi, zone(ema).oversol) > 0", "'zone' has no output 'oversol'", ".oversol)"),
        ("not zone(rsi,70,30).oversold > 0", "zone: low 70, high 30: expected", "(rsi"),
        ("zone > 0", "'zone(rsi(14),30,70)' has several values: say which", "zone"),
        ("(crosses(rsi(14), 30 > 0)", "'30 > 0' is not an indicator", "30 > 0"),
        ("1 < crosses(rsi(14), 30", "'(' is never closed", "(rsi"),
        ("crosses(rsi(14)), 30) > 0", "expected a comparison after 'crosses(rsi(14))'", ", 30"),
        ("crosses(rsi, 30) > 1", "'crosses(rsi(14),30)' lies between -1 and 1", "1"),
    ],
)
def test_what_is_wrong_inside_a_name_is_told_with_its_place_in_the_condition(
    written: str, message: str, place: str
) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(written, "bar")
    assert caught.value.message.startswith(message)
    assert caught.value.offset == written.rindex(place)


def test_a_book_condition_takes_no_series_of_bars() -> None:
    with pytest.raises(
        GrammarError, match=r"crosses\(rsi\(14\),30\)' is computed from bars"
    ) as caught:
        parse("spread_bps > 1 and crosses(rsi,30) > 0", "book")
    assert caught.value.offset == len("spread_bps > 1 and ")


@pytest.mark.parametrize("written", ["imbalance(11) > 0", "mid > 1 and imbalance  ( 11) > 0"])
def test_a_wrong_number_of_a_short_name_is_told_with_its_place(written: str) -> None:
    with pytest.raises(GrammarError, match="depth 11: expected 1 to 10") as caught:
        parse(written, "book")
    assert caught.value.offset == written.index("11")


def test_book_conditions_have_short_names_for_the_books_indicators() -> None:
    written = "imbalance > 0.2 and spread_bps < 5 and imbalance(5) > 0.1 and best_bid > 1"
    assert print_tree(parse(written, "book")) == (
        "book.imbalance(10) > 0.2 and book.spread_bps < 5 and book.imbalance(5) > 0.1"
        " and best_bid > 1"
    )


@given(text=st.text(max_size=60), stream=st.sampled_from(fields.STREAMS))
def test_any_text_is_a_condition_or_refused_with_a_place_in_it(
    text: str, stream: fields.Stream
) -> None:
    try:
        parse(text, stream)
    except GrammarError as error:
        assert 0 <= error.offset <= len(text)  # noqa: PT017 (it need not be raised)


PIECES = [
    "rsi",
    "(14)",
    "crosses(",
    ",",
    "close",
    "<",
    "<=",
    "30",
    "-",
    ".5",
    "and",
    "or",
    "not",
    "(",
    ")",
    " ",
]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=20))
def test_any_row_of_words_is_a_condition_or_refused_with_a_place_in_it(pieces: list[str]) -> None:
    text = " ".join(pieces)
    try:
        tree = parse(text, "bar")
    except GrammarError as error:
        assert 0 <= error.offset <= len(text)  # noqa: PT017 (it need not be raised)
    else:
        assert parse(print_tree(tree), "bar") == tree


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("rsi > 99.9", True),
        ("rsi >= 100", True),
        ("rsi == 100", True),
        ("rsi > 100", False),
        ("rsi < 0", False),
        ("rsi <= 0", True),
        ("rsi <= 100", False),
        ("rsi != 101", False),
        ("rsi == 101", False),
        ("book.imbalance < -1", False),
        ("book.imbalance > -1", True),
        ("volume > 0", True),
        ("volume < 0", False),
        ("change_bps < -500", True),
    ],
)
def test_a_comparison_that_has_only_one_answer_is_refused(written: str, fits: bool) -> None:
    if fits:
        parse(written, "bar")
    else:
        with pytest.raises(GrammarError, match="true"):
            parse(written, "bar")


@pytest.mark.parametrize("stream", fields.STREAMS)
def test_every_field_can_be_named(stream: fields.Stream) -> None:
    for name in fields.names(stream):
        assert fields.resolve(name, stream) == name
        assert print_tree(parse(f"{name} > 0.5", stream)) == f"{name} > 0.5"


@pytest.mark.parametrize("module", [grammar, compile_module, fields, templates])
def test_the_examples_in_the_documentation_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]  # parametrized modules
