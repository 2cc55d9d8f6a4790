"""What the benchmark of filters compares says the same."""

from bench.filters import (
    CONDITION,
    CrossingByHand,
    CrossingCompiled,
    by_hand,
    moments,
    rows,
    too_slow,
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


def test_a_condition_above_three_times_the_one_by_hand_is_told() -> None:
    assert too_slow({"compiled": 3.0, "crossing, compiled": 2.9, "engine, 1 spec": 40.0}) == []
    assert too_slow({"compiled": 3.004, "crossing, compiled": 9.5}) == [
        "compiled: 3.00 times the one by hand, 3 at most",
        "crossing, compiled: 9.50 times the one by hand, 3 at most",
    ]
