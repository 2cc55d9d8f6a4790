"""The volume ratio against TA-Lib and exact arithmetic, and where nothing traded."""

from fractions import Fraction

import numpy as np
import pytest
import talib

from indicators.volume_ratio import MOST, VolumeRatio
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    REAL,
    WALKS,
    assert_equal,
    assert_forgets,
    assert_settles,
    column,
    make_bar,
    random_bars,
    real_bars,
    told,
)


@pytest.mark.parametrize("period", [1, 2, 20])
@WALKS
@examples(20)
def test_it_is_its_definition_in_exact_arithmetic(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, length, price, volatility)
    for number, value in enumerate(told(VolumeRatio(period), bars)):
        before = [Fraction(bar.volume) for bar in bars[max(0, number - period) : number]]
        if len(before) < period:
            assert value is None
        elif sum(before) == 0:
            assert value == (MOST if bars[number].volume else 1.0)
        else:
            expected = Fraction(bars[number].volume) / (sum(before) / period)
            assert value == pytest.approx(float(min(expected, Fraction(MOST))), rel=1e-12)


@pytest.mark.parametrize("day", REAL)
def test_it_equals_talibs_relative_volume_on_real_bars(day: str) -> None:
    bars = real_bars(day)
    theirs = talib.RVOL(column(bars, "volume"), 20)
    assert_equal(told(VolumeRatio(20), bars), theirs, np.ones(len(bars)), 20)


def test_after_silence_more_silence_is_usual_and_any_volume_is_the_most() -> None:
    volumes = [0.0, 0.0, 0.0, 1e-9, 1e-9, 0.0]
    ratio = VolumeRatio(2)
    assert [ratio.add(volume) for volume in volumes] == [None, None, 1.0, MOST, 2.0, 0.0]


def test_it_settles_when_it_says() -> None:
    assert_settles(lambda: VolumeRatio(20))


def test_a_huge_volume_leaves_no_trace() -> None:
    huge = make_bar(1, volume=1e299, notional=0.0)
    assert_forgets(lambda: VolumeRatio(20), huge, window=20)


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        VolumeRatio(0)
