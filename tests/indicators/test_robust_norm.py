"""The robust norm against the median of the standard library, over any numbers."""

from fractions import Fraction
from math import pi, sqrt
from statistics import NormalDist, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.robust_norm import FROM_MEDIAN_DEVIATION, MOST, RobustNorm

VALUES = st.lists(
    st.one_of(st.integers(0, 5).map(float), st.floats(-1e9, 1e9)), min_size=1, max_size=60
)


@given(values=VALUES, size=st.integers(1, 25), score=st.floats(-1e9, 1e9))
def test_it_is_its_definition_over_the_last_values(
    values: list[float], size: int, score: float
) -> None:
    norm = RobustNorm(size)
    for number, value in enumerate(values, start=1):
        norm.add(value)
        window = [Fraction(each) for each in values[max(0, number - size) : number]]
        middle = median(window)
        apart = [abs(each - middle) for each in window]
        deviation = float(median(apart)) / NormalDist().inv_cdf(0.75)
        if deviation == 0:
            deviation = float(sum(apart) / len(apart)) * sqrt(pi / 2)
        largest = float(max(map(abs, window)))
        assert norm.median == pytest.approx(float(middle), rel=1e-15, abs=1e-15 * largest)
        assert norm.deviation == pytest.approx(deviation, rel=1e-9, abs=1e-14 * largest)
        if deviation > 1e-3 * largest:
            expected = (score - float(middle)) / deviation
            assert norm.score(score) == pytest.approx(max(-MOST, min(MOST, expected)), rel=1e-6)


def test_the_scale_makes_it_the_standard_deviation_of_a_normal_distribution() -> None:
    assert pytest.approx(1 / NormalDist().inv_cdf(0.75), rel=1e-15) == FROM_MEDIAN_DEVIATION


def test_a_value_among_equal_ones_scores_nothing_and_another_one_the_most() -> None:
    norm = RobustNorm(5)
    for _ in range(5):
        norm.add(2.0)
    assert [norm.score(value) for value in (2.0, 2.1, 1.9)] == [0.0, MOST, -MOST]


def test_where_most_values_are_equal_the_others_still_make_a_norm() -> None:
    norm = RobustNorm(10)
    for value in [0.0] * 7 + [1.0, 2.0, 3.0]:
        norm.add(value)
    assert norm.score(3.0) == pytest.approx(3.0 / (0.6 * sqrt(pi / 2)))


def test_a_score_that_no_number_can_hold_is_the_most() -> None:
    norm = RobustNorm(3)
    for value in (1e-300, 2e-300, 3e-300):
        norm.add(value)
    assert (norm.score(1e299), norm.score(-1e299)) == (MOST, -MOST)
