"""Any comparison of a close with an earlier one, held against the list of all closes."""

from operator import truediv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.look_back import LookBack

PRICES = st.floats(0.5, 1e6)


@given(period=st.integers(1, 8), closes=st.lists(PRICES, min_size=1, max_size=30), right=PRICES)
def test_it_compares_each_close_with_the_one_so_many_bars_ago(
    period: int, closes: list[float], right: float
) -> None:
    ours = LookBack("times", period, truediv)
    expected = [
        None if at < period else close / closes[at - period] for at, close in enumerate(closes)
    ]
    assert [ours.add(close) for close in closes] == expected
    last = len(closes) - 1
    assert ours.correct(right) == (None if last < period else right / closes[last - period])


def test_there_must_be_a_bar_to_correct_and_one_to_look_back_at() -> None:
    with pytest.raises(ValueError, match=r"times\(3\): no bar to correct"):
        LookBack("times", 3, truediv).correct(1.0)
    with pytest.raises(ValueError, match="times: period 0: expected 1 or more"):
        LookBack("times", 0, truediv)
