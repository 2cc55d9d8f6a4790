"""Compiled conditions against a plain evaluator of the same trees."""

import ast
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.compile import Clause, check_nodes, compile_condition, compile_tree
from filters.trees import Tree
from tests.drawn_examples import examples
from tests.filters.conditions import TREES, VALUES, names_of, truth


@given(tree=TREES, values=VALUES, data=st.data())
@examples(75)
def test_a_compiled_condition_says_what_the_plain_evaluator_says(
    tree: Tree, values: Mapping[str, float | None], data: st.DataObject
) -> None:
    condition = compile_tree(tree)
    count = len(condition.remembering)
    remembered = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    assert set(condition.fields) == names_of(tree)
    assert condition.evaluate(values, *remembered) is truth(tree, values, remembered)


def test_a_missing_value_is_unknown_even_where_the_rest_would_decide() -> None:
    condition = compile_condition("close > 1 or rsi < 30", "bar")
    assert condition.evaluate({"close": 5.0, "rsi(14)": 50.0}) is True
    assert condition.evaluate({"close": 5.0, "rsi(14)": None}) is None
    assert condition.evaluate({"close": 5.0}) is None


def test_zero_is_a_value() -> None:
    condition = compile_condition("book.imbalance <= 0", "book")
    assert condition.evaluate({"book.imbalance(10)": 0.0}) is True


def test_the_clauses_are_told_in_order() -> None:
    condition = compile_condition("20 < rsi < 30 or not close > ema(20)", "bar")
    assert condition.clauses == (
        Clause("rsi(14) > 20", "rsi(14)", ">", 20.0),
        Clause("rsi(14) < 30", "rsi(14)", "<", 30.0),
        Clause("close > ema(20)", "close", ">", "ema(20)"),
    )
    assert condition.fields == ("rsi(14)", "close", "ema(20)")


@pytest.mark.parametrize(
    "code",
    [
        "lambda values: values.pop('a')",
        "lambda values: __import__('os')",
        "lambda values: v1 + 1",
        "lambda values: [v1]",
        "lambda values: v1[0]",
        "lambda values: b'x'",
        "lambda values: f'{v1}'",
    ],
)
def test_the_second_look_refuses_what_conditions_are_not_made_of(code: str) -> None:
    with pytest.raises(ValueError, match="a condition may not"):
        check_nodes(ast.parse(code, mode="eval"))
