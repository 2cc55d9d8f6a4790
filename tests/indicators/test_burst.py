"""Bursts that were put there are found, also right after another one."""

import random
from statistics import median

import pytest

from indicators.burst import Burst
from tests.indicators.flow_bars import (
    assert_forgets,
    assert_settles,
    make_bar,
    random_bars,
    told,
)


def calm(seed: int, length: int) -> list[tuple[float, float]]:
    source = random.Random(seed)
    volumes = [source.expovariate(1.0) for _ in range(length)]
    return [(volume, volume * source.uniform(0.3, 0.7)) for volume in volumes]


@pytest.mark.parametrize("place", [0, 1])
def test_it_is_a_robust_score_against_the_bars_before(place: int) -> None:
    bars = random_bars(seed=3, length=200)
    series = [(bar.volume, bar.buy_volume - (bar.volume - bar.buy_volume))[place] for bar in bars]
    for number, value in enumerate(told(Burst(15), bars, place)):
        if number < 15:
            assert value is None
            continue
        before = series[number - 15 : number]
        middle = median(before)
        deviation = median(abs(each - middle) for each in before) * 1.4826022185056018
        assert value == pytest.approx((series[number] - middle) / deviation, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_burst_is_seen_and_a_second_one_right_after_too(seed: int, share: float) -> None:
    burst = Burst(60)
    for volume, bought in calm(seed, 300):
        burst.add(volume, bought)
    first_scores: list[float] = []
    for _ in range(3):
        burst.add(50.0, 50.0 * share)
        volume_score, direction_score = burst.values
        assert volume_score is not None
        assert direction_score is not None
        assert volume_score > 40
        assert (direction_score > 40) if share else (direction_score < -40)
        first_scores.append(volume_score)
    # By mean and deviation the third one would score 5 only: the two before it are in its norm.
    assert min(first_scores) > 0.7 * max(first_scores)


def test_volume_without_a_side_is_a_burst_without_a_direction() -> None:
    burst = Burst(10)
    for number in range(10):
        burst.add(1.0 + number % 3, 0.5 * (1.0 + number % 3))
    burst.add(100.0, 50.0)
    volume_score, direction_score = burst.values
    assert volume_score is not None
    assert volume_score > 20
    assert direction_score == 0.0


def test_a_market_without_trades_is_as_usual_and_its_first_trade_is_not() -> None:
    bars = [make_bar(number, volume=0.0) for number in range(12)]
    sold = make_bar(12, volume=1.0, buy_volume=0.0)
    assert told(Burst(10), [*bars, sold])[10:] == [0.0, 0.0, 1000.0]
    assert told(Burst(10), [*bars, sold], 1)[10:] == [0.0, 0.0, -1000.0]


def test_it_settles_when_it_says() -> None:
    assert_settles(lambda: Burst(60), places=2)


def test_a_huge_bar_leaves_no_trace() -> None:
    huge = make_bar(1, volume=1e299, buy_volume=1e299, notional=0.0)
    assert_forgets(lambda: Burst(20), huge, window=20, places=2)


def test_a_period_below_ten_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 10 or more"):
        Burst(9)
