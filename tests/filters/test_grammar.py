"""The short form: what it means, and that printing and reading are each other's inverse."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import compile as compile_module
from filters import fields, grammar, templates
from filters.grammar import GrammarError, parse, print_tree
from tests.filters.conditions import TREES


@given(tree=TREES)
def test_reading_what_was_printed_gives_the_same_tree(tree: grammar.Tree) -> None:
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
    ],
)
def test_the_short_form_has_a_canonical_text(written: str, canonical: str) -> None:
    assert print_tree(parse(written, "bar")) == canonical
    assert print_tree(parse(canonical, "bar")) == canonical


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


PIECES = ["rsi", "(14)", "close", "<", "<=", "30", "-", ".5", "and", "or", "not", "(", ")", " "]


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
