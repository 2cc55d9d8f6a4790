"""EMA at the ends of its formula; `test_classic.py` holds it against TA-Lib and Lean."""

import pytest

from indicators.ema import EMA
from tests.indicators.flow_bars import make_bar, told


def test_a_flat_market_gives_its_price() -> None:
    values = told(EMA(3), [make_bar(number, 0.1) for number in range(30)])
    assert values[:2] == [None, None]
    assert values[2:] == pytest.approx([0.1] * 28, rel=1e-15)


def test_a_period_below_two_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 or more"):
        EMA(1)
