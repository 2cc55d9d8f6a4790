"""The sliding sum against exact arithmetic, with corrections and with huge values."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.sliding_sum import SlidingSum

STEPS = st.lists(st.tuples(st.floats(-1e9, 1e9), st.booleans()), max_size=120)


@given(size=st.integers(1, 20), steps=STEPS)
def test_it_is_the_sum_of_the_last_values_in_exact_arithmetic(
    size: int, steps: list[tuple[float, bool]]
) -> None:
    window = SlidingSum(size)
    kept: list[float] = []
    for value, is_correction in steps:
        if is_correction and kept:
            kept[-1] = value
            window.replace(value)
        else:
            kept.append(value)
            window.add(value)
        last = [Fraction(each) for each in kept[-size:]]
        assert window.count == len(last)
        within = float(sum(map(abs, last))) * size * 2e-16
        assert window.total == pytest.approx(float(sum(last)), rel=1e-15, abs=within)


def test_a_sum_that_is_exact_stays_exact_for_as_long_as_one_likes() -> None:
    window = SlidingSum(7)
    values = [float(number * number % 1009) for number in range(50_000)]
    for number, value in enumerate(values, start=1):
        window.add(value + 0.5)
        if number % 997 == 0:
            assert window.total == sum(values[number - 7 : number]) + 3.5


def test_a_huge_value_that_has_left_leaves_no_trace() -> None:
    window = SlidingSum(3)
    for value in (0.1, 1e299, 0.2, 0.3, 0.5):
        window.add(value)
    assert window.total == pytest.approx(1.0, rel=1e-15)


def test_an_empty_sum_is_nothing() -> None:
    assert SlidingSum(3).total == 0.0
