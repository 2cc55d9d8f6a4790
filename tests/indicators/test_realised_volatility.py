"""Realised volatility against decimals of forty digits, and over markets with holes."""

from decimal import Context, Decimal
from itertools import pairwise
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indicators.realised_volatility import RealisedVolatility, log_return
from tests.drawn_examples import examples
from tests.indicators.flow_bars import (
    DAY,
    MINUTE,
    WALKS,
    assert_forgets,
    assert_settles,
    make_bar,
    random_bars,
    told,
)

FORTY = Context(prec=40)
A_YEAR_OF_MINUTES = 365 * 1440


@pytest.mark.parametrize("period", [1, 2, 60])
@WALKS
@examples(10)
def test_both_values_are_their_definition(
    period: int, seed: int, length: int, price: float, volatility: float
) -> None:
    bars = random_bars(seed, min(length, 100), price, volatility)
    logs = [FORTY.ln(Decimal(bar.close)) for bar in bars]
    squares = [FORTY.power(FORTY.subtract(b, a), 2) for a, b in pairwise(logs)]
    window, annual = (told(RealisedVolatility(period), bars, place) for place in (0, 1))
    for number in range(len(bars)):
        if number < period:
            assert window[number] is annual[number] is None
            continue
        expected = FORTY.sqrt(sum(squares[number - period : number], Decimal(0)))
        assert window[number] == pytest.approx(float(expected), rel=1e-9)
        scaled = float(expected) * sqrt(A_YEAR_OF_MINUTES / period)
        assert annual[number] == pytest.approx(scaled, rel=1e-9)


@given(past=st.floats(1e-9, 1e9), move=st.one_of(st.floats(1e-9, 1e-3), st.floats(1e-3, 1e6)))
def test_a_log_return_keeps_its_digits_however_small_or_large_the_move(
    past: float, move: float
) -> None:
    price = past * (1 + move)
    exact = FORTY.subtract(FORTY.ln(Decimal(price)), FORTY.ln(Decimal(past)))
    assert log_return(past, price) == pytest.approx(float(exact), rel=1e-13)


def test_the_annual_value_goes_by_the_time_between_closes_and_not_by_their_number() -> None:
    closes = [100.0, 101.0, 100.5, 102.0]
    every_minute = RealisedVolatility(3)
    with_holes = RealisedVolatility(3)
    for number, close in enumerate(closes):
        every_minute.update(make_bar(number, close))
        with_holes.update(make_bar(4 * number, close))
    assert every_minute.values[0] == with_holes.values[0]
    assert every_minute.values[1] is not None
    assert with_holes.values[1] == pytest.approx(every_minute.values[1] / 2)


def test_a_flat_market_has_none() -> None:
    flat = [make_bar(number) for number in range(6)]
    assert told(RealisedVolatility(3), flat)[3:] == [0.0] * 3
    assert told(RealisedVolatility(3), flat, 1)[3:] == [0.0] * 3


def test_a_jump_is_its_own_logarithm_until_it_has_left() -> None:
    bars = [make_bar(0), *(make_bar(number, 1e9) for number in range(1, 5))]
    assert told(RealisedVolatility(2), bars)[2:] == [pytest.approx(log(1e7)), 0.0, 0.0]


@pytest.mark.parametrize("price", [0.0, -5.0])
def test_a_price_that_has_no_logarithm_counts_as_no_move(price: float) -> None:
    bars = [make_bar(0), make_bar(1, price), make_bar(2), make_bar(3)]
    assert told(RealisedVolatility(2), bars)[2:] == [0.0, 0.0]


def test_bars_that_took_no_time_have_a_finite_annual_value() -> None:
    bars = [replace(make_bar(number, 100.0 + number), end=5) for number in range(4)]
    assert told(RealisedVolatility(2), bars, 1)[3] == pytest.approx(
        sqrt(log(102 / 101) ** 2 + log(103 / 102) ** 2) * sqrt(365 * DAY)
    )


def test_a_correction_may_change_the_close_and_the_time() -> None:
    volatility = RealisedVolatility(1)
    volatility.update(make_bar(0))
    volatility.update(make_bar(1, 500.0))
    volatility.revise(replace(make_bar(1, 110.0), end=make_bar(1).end + MINUTE))
    value = log(1.1)
    assert volatility.values == pytest.approx((value, value * sqrt(A_YEAR_OF_MINUTES / 2)))


def test_it_settles_when_it_says() -> None:
    assert_settles(lambda: RealisedVolatility(60), places=2)


def test_a_huge_price_leaves_no_trace() -> None:
    huge = make_bar(1, 1e299, notional=0.0)
    assert_forgets(lambda: RealisedVolatility(20), huge, window=20, places=2)


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        RealisedVolatility(0)
