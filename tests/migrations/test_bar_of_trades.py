"""A bar is held to trades as `BarBuilder` makes it of them."""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import BarBuilder
from market.events import Bar
from market.intervals import SECOND, Interval
from migrations.bar_of_trades import StoredTrade, Values, unlike

MICROSECOND = 1000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Drawn: TypeAlias = tuple[int, float, float, str, int]
SIDES = {"buy": True, "sell": False, "unknown": None}


def trade(
    at_us: int, price: float, size: float = 1.0, side: str = "buy", lag_us: int = 0
) -> StoredTrade:
    time = EPOCH + timedelta(microseconds=at_us)
    return StoredTrade(time, time + timedelta(microseconds=lag_us), price, size, side)


def values(bar: Bar) -> Values:
    return Values(
        bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.notional, bar.vwap,
        bar.count,
    )  # fmt: skip


def built(trades: list[StoredTrade]) -> Bar:
    """Return our own bar of trades in the order in which they came."""
    builder = BarBuilder("binance:BTC-USDT", Interval.parse("1m"))
    builder.resume(0)
    for each in trades:
        at = (each.time - EPOCH) // timedelta(microseconds=1) * MICROSECOND
        assert builder.add(at, each.price, each.size, SIDES[each.side]) == []
    [bar] = builder.advance(120 * SECOND)
    return bar


# Few moments and few prices: many trades of one moment, and of one arrival.
MOMENTS = st.integers(0, 5).map(lambda n: n * 10_000_000 - (n == 5))
AMOUNTS = st.floats(1e-8, 1e6, allow_subnormal=False)


def some(amounts: st.SearchStrategy[float]) -> st.SearchStrategy[list[Drawn]]:
    return st.lists(
        st.tuples(MOMENTS, amounts, amounts, st.sampled_from(sorted(SIDES)), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    )


SOME = some(AMOUNTS)
LARGE = some(st.floats(1.0, 1e6))
"""A millionth more is more than what venues round to."""


def in_order_of_arrival(drawn: list[Drawn]) -> list[StoredTrade]:
    made = [trade(at, price, size, side, lag * 1000) for at, price, size, side, lag in drawn]
    return sorted(made, key=lambda each: each.received_at)


@given(SOME, st.randoms(use_true_random=False))
def test_what_we_made_of_trades_is_right_whatever_order_they_are_read_in(
    drawn: list[Drawn], random: object
) -> None:
    trades = in_order_of_arrival(drawn)
    bar = values(built(trades))
    random.shuffle(trades)  # type: ignore[attr-defined]
    assert unlike(bar, trades) == []


@given(
    LARGE, st.sampled_from([field for field in Values.__struct_fields__ if field != "count"]),
    st.sampled_from([1.000001, 0.99]),
)  # fmt: skip
def test_any_number_that_is_changed_is_told_and_no_other(
    drawn: list[Drawn], column: str, factor: float
) -> None:
    trades = in_order_of_arrival(drawn)
    bar = values(built(trades))
    right = getattr(bar, column)
    wrong = msgspec.structs.replace(bar, **{column: right * factor})
    told = {each.column: (each.bar, each.trades) for each in unlike(wrong, trades)}
    prices = {each.price for each in trades}
    if not right or (column in {"open", "close"} and right * factor in prices):
        return
    assert set(told) == {column}
    assert told[column][0] == right * factor
    if column not in {"open", "close"}:  # of one moment and arrival, any trade may be the one
        assert told[column][1] == pytest.approx(right, rel=1e-9)


def test_of_one_moment_the_first_to_come_opens_and_the_last_closes() -> None:
    swept = [trade(0, 1.0, lag_us=5), trade(0, 2.0, lag_us=6), trade(0, 3.0, lag_us=7)]
    bar = values(built(swept))
    assert (bar.open, bar.close) == (1.0, 3.0)
    assert unlike(bar, swept) == []
    turned = msgspec.structs.replace(bar, open=3.0, close=2.0)
    assert {each.column: each.trades for each in unlike(turned, swept)} == {
        "open": 1.0,
        "close": 3.0,
    }


def test_of_one_message_any_trade_may_be_the_one() -> None:
    swept = [trade(0, price, lag_us=5) for price in (1.0, 2.0, 3.0)]
    bar = values(built(swept))
    assert unlike(msgspec.structs.replace(bar, open=2.0), swept) == []
    assert [each.column for each in unlike(msgspec.structs.replace(bar, open=4.0), swept)] == [
        "open"
    ]


@pytest.mark.parametrize("lag_s", [61, -3])
def test_a_trade_that_may_have_been_left_out_is_tried_both_ways(lag_s: int) -> None:
    timely = [trade(0, 1.0), trade(1, 2.0)]
    doubtful = trade(2, 9.0, lag_us=lag_s * 1_000_000)
    for seen in (timely, [*timely, doubtful]):
        assert unlike(values(built(seen)), [*timely, doubtful]) == []
    missing = values(built([timely[0], doubtful]))
    assert "count" in {each.column for each in unlike(missing, [*timely, doubtful])}
    assert unlike(None, [doubtful]) == []


def test_sums_of_a_venues_candle_are_known_to_the_eighth_decimal() -> None:
    trades = [trade(1, 0.0531086253124, 0.8802), trade(2, 0.05312, 0.12345)]
    bar = values(built(trades))
    notional = round(bar.notional, 8)
    assert notional != bar.notional
    candle = msgspec.structs.replace(bar, notional=notional, vwap=notional / bar.volume)
    assert unlike(candle, trades) == []
    wrong = msgspec.structs.replace(candle, notional=notional + 2e-8)
    assert [each.column for each in unlike(wrong, trades)] == ["notional"]


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_of_two_trades_that_came_late_the_later_may_be_the_only_one_left_out(kept: int) -> None:
    timely = [trade(1, 10.0), trade(2, 11.0)]
    late = [trade(3, 12.0, lag_us=61_000_000), trade(4, 13.0, lag_us=70_000_000)]
    bar = values(built(timely + late[:kept]))
    assert unlike(bar, timely + late) == []
    assert unlike(bar, late + timely) == []
    assert unlike(values(built([*timely, late[1]])), timely + late), "the sooner one alone is lost"


def test_a_bar_without_trades_and_trades_without_a_bar_are_told() -> None:
    trades = [trade(0, 1.0), trade(1, 2.0)]
    bar = values(built(trades))
    assert [(each.column, each.bar, each.trades) for each in unlike(bar, [])] == [("trades", 2, 0)]
    assert [(each.column, each.trades) for each in unlike(None, trades)] == [("bar", 2)]
    flat = Values(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0)
    assert unlike(flat, []) == []
    assert unlike(None, []) == []
