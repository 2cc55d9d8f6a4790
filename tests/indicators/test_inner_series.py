"""Series inside an indicator: all of them take a bar, or none does."""

import math
import pickle

import pytest

from indicators.names import create_for_bars
from tests.indicators.small_bars import bar


@pytest.mark.parametrize(
    "name",
    ["crosses(close,open)", "crosses(ema(3),zero_cross(open))", "band_touch(close,1,low,open)"],
)
def test_a_bar_that_one_series_refuses_is_taken_by_none(name: str) -> None:
    indicator = create_for_bars(name)
    for close in range(8):
        indicator.update(bar(close, other=4.0))
    before = pickle.dumps(indicator)
    for take in (indicator.update, indicator.revise):
        with pytest.raises(ValueError, match="finite"):
            take(bar(1.0, other=math.nan))
        assert pickle.dumps(indicator) == before


def test_a_number_that_nobody_reads_is_nobodys_business() -> None:
    indicator = create_for_bars("crosses(close,ema(3))")
    indicator.update(bar(1.0, other=math.inf))
    assert indicator.count == 1
