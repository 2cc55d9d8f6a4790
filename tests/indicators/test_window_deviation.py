"""Mean and deviation of a window against exact arithmetic."""

import math
import pickle
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from indicators.window_deviation import WindowDeviation

LENGTHS = st.integers(1, 30)
VALUES = st.one_of(
    st.floats(1.0, 1e6), st.sampled_from([1e12, 64_000.0]), st.floats(64_000.0, 64_000.01)
)


@given(length=LENGTHS, values=st.lists(VALUES, min_size=1, max_size=80))
def test_both_are_those_of_what_is_in_the_window(length: int, values: list[float]) -> None:
    moments = WindowDeviation(length)
    for count, value in enumerate(values, start=1):
        mean, deviation = moments.add(value)
        if count < length:
            continue
        window = [Fraction(each) for each in values[count - length : count]]
        exact = sum(window, Fraction(0)) / length
        variance = sum(((each - exact) ** 2 for each in window), Fraction(0)) / length
        largest = float(max(window))
        assert abs(Fraction(mean) - exact) <= Fraction(1e-14 * largest)
        # Ten digits of it, or what a rounding of the price itself makes.
        assert abs(deviation - math.sqrt(variance)) <= 1e-10 * math.sqrt(variance) + 1e-15 * largest


@given(length=st.integers(1, 100), value=st.floats(-1e299, 1e299))
def test_equal_values_do_not_deviate_at_all(length: int, value: float) -> None:
    moments = WindowDeviation(length)
    told = [moments.add(each) for each in [1e12] * (length // 2) + [value] * length]
    assert told[-1] == (value, 0.0)


@given(
    length=st.integers(2, 30),
    values=st.lists(st.sampled_from([1e299, -1e299, 1e154, 1.0]), min_size=30, max_size=80),
)
def test_a_square_too_large_for_a_float_does_no_harm(length: int, values: list[float]) -> None:
    moments = WindowDeviation(length)
    for count, value in enumerate(values, start=1):
        _, deviation = moments.add(value)
        if count >= length:
            window = [int(each) for each in values[count - length : count]]  # exactly
            squares = length * sum(each * each for each in window) - sum(window) ** 2
            variance = Fraction(squares, length * length * 10**598)
            assert math.isclose(
                deviation, math.sqrt(variance) * 1e299, rel_tol=1e-9, abs_tol=1e-12 * 1e150
            )


@given(
    length=LENGTHS,
    values=st.lists(VALUES, min_size=1, max_size=60),
    wrong=VALUES,
    cut=st.integers(0, 60),
)
def test_a_value_taken_back_leaves_no_trace(
    length: int, values: list[float], wrong: float, cut: int
) -> None:
    corrected, plain = WindowDeviation(length), WindowDeviation(length)
    for count, value in enumerate(values, start=1):
        corrected.add(wrong)
        if count == cut:
            corrected = pickle.loads(pickle.dumps(corrected))  # noqa: S301
        corrected.take_back()
        told, expected = corrected.add(value), plain.add(value)
        assert count < length or told == expected
