"""What the benchmark of filters compares says the same."""

from bench.filters import (
    CONDITION,
    CrossingByHand,
    CrossingCompiled,
    by_hand,
    moments,
    rows,
)
from filters.compile import compile_condition


def test_the_function_by_hand_says_what_the_compiled_one_does() -> None:
    compiled = compile_condition(CONDITION, "bar")
    given = moments(3_000)
    said = [by_hand(values) for values in given]
    assert said == [compiled.evaluate(values) for values in given]
    assert {None, True, False} == set(said)


def test_the_crossing_by_hand_says_what_the_compiled_one_does() -> None:
    by_hand_, compiled = CrossingByHand(), CrossingCompiled()
    given = [(f"series {number % 3}", values) for number, values in enumerate(moments(3_000))]
    said = [by_hand_(*each) for each in given]
    assert said == [compiled(*each) for each in given]
    assert {None, True, False} == set(said)


def test_every_row_can_be_measured() -> None:
    assert all(row() > 0 for row in rows().values())
