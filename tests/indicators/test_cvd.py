"""CVD against exact arithmetic, and at the end of the numbers."""

from fractions import Fraction

import pytest

from indicators.contract import LARGEST
from indicators.cvd import CVD
from tests.drawn_examples import examples
from tests.indicators.flow_bars import WALKS, make_bar, random_bars, told


@WALKS
@examples(20)
def test_it_is_bought_less_sold_in_exact_arithmetic(
    seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, length, price, volatility)
    total, traded = Fraction(0), Fraction(0)
    for bar, value in zip(bars, told(CVD(), bars), strict=True):
        bought, volume = Fraction(bar.buy_volume), Fraction(bar.volume)
        total += bought - (volume - bought)
        traded += volume
        assert value is not None
        assert abs(Fraction(value) - total) <= traded * Fraction(1, 10**13)


def test_a_venue_that_tells_no_sides_and_a_bar_without_volume_change_nothing() -> None:
    bars = [
        make_bar(0, volume=3.0, buy_volume=3.0),
        make_bar(1, volume=0.7),
        make_bar(2, volume=0.0),
    ]
    assert told(CVD(), bars) == [3.0] * 3


@pytest.mark.parametrize(("bought", "end"), [(9e299, LARGEST), (0.0, -LARGEST)])
def test_a_total_beyond_the_largest_number_stays_there(bought: float, end: float) -> None:
    huge = [make_bar(number, volume=9e299, buy_volume=bought, notional=0.0) for number in range(4)]
    assert told(CVD(), huge)[-1] == end
