"""With how much of the past an indicator is begun, held against what it then lacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.beginning import TOTAL_OVER, begun_with, whole_after
from indicators.names import create_for_bars
from tests.indicators.flow_bars import random_bars


@pytest.mark.parametrize("name", ["rsi(14)", "ema(300)", "bollinger(20,2)", "divergence(rsi,3,60)"])
def test_what_settles_is_begun_with_the_bars_until_then(name: str) -> None:
    made = create_for_bars(name)
    assert begun_with(made) == whole_after(made) == made.settled


@pytest.mark.parametrize("name", ["obv", "cvd", "talib.ad()", "crosses(obv,sma(20))"])
def test_a_total_is_begun_with_a_fixed_number_of_bars(name: str) -> None:
    assert begun_with(create_for_bars(name)) == TOTAL_OVER


@pytest.mark.parametrize("name", ["crosses(obv,sma(1000))", "crosses(ema(700),obv)"])
def test_what_looks_at_a_total_is_begun_with_no_less_than_its_first_value_takes(name: str) -> None:
    made = create_for_bars(name)
    assert begun_with(made) == made.warm_up > TOTAL_OVER


@given(seed=st.integers(0, 2**32 - 1), start=st.integers(1, 60))
def test_a_divergence_of_a_total_misses_no_pivot_once_it_is_whole(seed: int, start: int) -> None:
    name = "divergence(obv,2,12)"
    bars = random_bars(seed, 140)
    early, late = create_for_bars(name), create_for_bars(name)
    for number, bar in enumerate(bars):
        early.update(bar)
        if number >= start:
            late.update(bar)
        if number - start + 1 >= whole_after(late):
            # Its values are of a total that began elsewhere; which pivots they are is the same.
            assert late.values[:3] == early.values[:3]
            assert late.values[5:] == early.values[5:]
