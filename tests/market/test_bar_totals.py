"""What whole bars have accumulated together, held against all their trades at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from market.bar_totals import accumulator_of, total_of
from market.bars import GRACE, BarBuilder
from market.events import Bar
from market.intervals import SECOND, Interval

TRADES = st.lists(
    st.tuples(
        st.integers(0, 20 * SECOND - 1), st.integers(1, 99), st.integers(1, 9), st.booleans()
    ),
    min_size=1,
    max_size=40,
).map(sorted)


def built(trades: list[tuple[int, int, int, bool]], interval: str) -> list[Bar]:
    builder = BarBuilder("binance:BTC-USDT", Interval.parse(interval))
    bars = [
        bar
        for ts, price, size, is_buy in trades
        for bar in builder.add(ts, float(price), float(size), is_buy)
    ]
    return [*bars, *builder.advance(20 * SECOND + GRACE)]


@given(trades=TRADES)
def test_all_bars_together_are_the_bar_of_all_trades(
    trades: list[tuple[int, int, int, bool]],
) -> None:
    whole = accumulator_of(built(trades, "20s")[0])
    total = total_of(built(trades, "1s"), times=(0, 20 * SECOND))
    for name in ("start", "end", "open", "high", "low", "close", "volume", "buy_volume"):
        assert getattr(total, name) == getattr(whole, name), name
    assert (total.notional, total.count) == (whole.notional, whole.count)


def test_a_bar_is_of_the_times_that_are_told_else_of_its_interval() -> None:
    (bar,) = built([(SECOND, 5, 1, True)], "20s")
    told = accumulator_of(bar, times=(7, 9))
    assert (told.first_ts, told.last_ts) == (7, 9)
    alone = accumulator_of(bar)
    assert (alone.first_ts, alone.last_ts) == (0, 20 * SECOND - 1)


@pytest.mark.parametrize(("counts", "expected"), [((1, 1), 2), ((1, 0), 0)])
def test_a_count_that_one_does_not_tell_is_not_known(
    counts: tuple[int, int], expected: int
) -> None:
    bars = built([(0, 5, 1, True), (SECOND, 6, 1, True)], "1s")
    told = [replace(bar, count=count) for bar, count in zip(bars, counts, strict=True)]
    assert total_of(told).count == expected
