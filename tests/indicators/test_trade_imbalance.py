"""The imbalance of the trade flow against exact arithmetic, and where nothing traded."""

from fractions import Fraction

import pytest

from indicators.trade_imbalance import TradeImbalance
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    WALKS,
    assert_forgets,
    assert_settles,
    make_bar,
    random_bars,
    told,
)


@pytest.mark.parametrize("period", [1, 2, 20])
@WALKS
@examples(20)
def test_it_is_its_definition_in_exact_arithmetic(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, length, price, volatility)
    for number, value in enumerate(told(TradeImbalance(period), bars)):
        window = bars[max(0, number - period + 1) : number + 1]
        if len(window) < period:
            assert value is None
            continue
        volume = sum(Fraction(bar.volume) for bar in window)
        bought = sum(Fraction(bar.buy_volume) for bar in window)
        expected = (bought - (volume - bought)) / volume if volume else Fraction(0)
        assert value == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(("share", "value"), [(0.0, -1.0), (0.5, 0.0), (1.0, 1.0)])
def test_a_flow_of_one_side_is_whole_and_of_unknown_sides_is_none(
    share: float, value: float
) -> None:
    bars = [make_bar(number, volume=0.3, buy_volume=0.3 * share) for number in range(5)]
    assert told(TradeImbalance(3), bars)[2:] == [value] * 3


def test_without_trades_neither_side_presses() -> None:
    assert told(TradeImbalance(2), [make_bar(number, volume=0.0) for number in range(3)])[1:] == [
        0.0,
        0.0,
    ]


def test_it_settles_when_it_says() -> None:
    assert_settles(lambda: TradeImbalance(20))


def test_a_huge_trade_leaves_no_trace() -> None:
    huge = make_bar(1, volume=1e299, buy_volume=1e299, notional=0.0)
    assert_forgets(lambda: TradeImbalance(20), huge, window=20)


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        TradeImbalance(0)
