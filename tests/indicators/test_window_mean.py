"""The mean of a window against exact arithmetic."""

import pickle
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indicators.window_mean import SHORT, mean_over

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([1e12, -1e12, 1e299, 64_000.01]))
LENGTHS = st.integers(1, 3 * SHORT)


@given(length=LENGTHS, values=st.lists(VALUES, min_size=1, max_size=80))
def test_it_is_the_mean_of_what_is_in_the_window(length: int, values: list[float]) -> None:
    mean = mean_over(length)
    for count, value in enumerate(values, start=1):
        told = mean.add(value)
        if count >= length:
            window = values[count - length : count]
            error = abs(Fraction(told) - sum(map(Fraction, window), Fraction(0)) / length)
            assert error <= Fraction(1e-14) * Fraction(max(map(abs, window)))


@given(length=st.integers(1, 200), value=st.floats(-1e299, 1e299), before=st.floats(-1e299, 1e299))
@example(length=5, value=1.7398682279389752e16, before=0.0)
def test_equal_values_have_exactly_their_own_mean(length: int, value: float, before: float) -> None:
    mean = mean_over(length)
    told = [mean.add(each) for each in [before] * (length // 2) + [value] * length]
    assert told[-1] == value


@given(
    length=LENGTHS,
    values=st.lists(VALUES, min_size=1, max_size=60),
    wrong=VALUES,
    cut=st.integers(0, 60),
)
def test_a_value_taken_back_leaves_no_trace(
    length: int, values: list[float], wrong: float, cut: int
) -> None:
    corrected, plain = mean_over(length), mean_over(length)
    for count, value in enumerate(values, start=1):
        corrected.add(wrong)
        if count == cut:
            corrected = pickle.loads(pickle.dumps(corrected))  # noqa: S301
        corrected.take_back()
        told, expected = corrected.add(value), plain.add(value)
        assert count < length or told == expected


@pytest.mark.parametrize("length", [2, SHORT, SHORT + 1, 50])
def test_a_huge_value_leaves_no_trace_once_it_is_out(length: int) -> None:
    for huge_at in range(2 * length):
        mean = mean_over(length)
        told = [
            mean.add(1e15 if at == huge_at else 1.0 + at % 2) for at in range(huge_at + length + 1)
        ]
        window = [1.0 + at % 2 for at in range(huge_at + 1, huge_at + length + 1)]
        assert told[-1] == pytest.approx(sum(window) / length, rel=1e-15)
