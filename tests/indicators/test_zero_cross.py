"""Changes of sign: against their definition, and against crossings of zero."""

from itertools import pairwise

from hypothesis import given

from indicators.names import create_for_bars
from tests.indicators.small_bars import SMALL, told_of


@given(closes=SMALL)
def test_it_tells_each_change_of_sign_with_zero_left_out(closes: list[int]) -> None:
    signs = [(at, 1 if close > 0 else -1) for at, close in enumerate(closes) if close]
    changes = {at: sign for (_, before), (at, sign) in pairwise(signs) if sign != before}
    found = told_of("zero_cross(close)", closes)
    assert found == [changes.get(at, 0) if at else None for at in range(len(closes))]


@given(closes=SMALL)
def test_it_is_the_crossing_of_zero(closes: list[int]) -> None:
    assert told_of("zero_cross(close)", closes) == told_of("crosses(close,0)", closes)


def test_it_warms_up_a_bar_after_its_series() -> None:
    assert create_for_bars("zero_cross(rsi(14))").warm_up == 16
