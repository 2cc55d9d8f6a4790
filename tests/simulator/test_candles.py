"""The simulated market's candles: its own trades, and a past that one can believe in."""

from itertools import pairwise

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from market.intervals import Interval
from simulator.candle import Candle, joined
from simulator.candles import CandleBook
from simulator.listings import Listing, choose
from simulator.market_model import MarketModel
from simulator.true_book import Print
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 1_700_000_033 * SECOND + 123_456_789
"""33 seconds and more after a full minute."""
SYMBOLS = ("BTC-USDT", "ETH-BTC", "LTC-BTC", "XMR-USDT")


def model(seed: int = 1, start: int = START, past_until: int | None = None) -> MarketModel:
    return MarketModel(choose(SYMBOLS), seed=seed, start=start, past_until=past_until)


def grouped(candles: list[Candle], interval: str) -> list[Candle]:
    """Join candles without the code that the book joins them with."""
    span = Interval.parse(interval)
    groups: dict[int, list[Candle]] = {}
    for candle in candles:
        groups.setdefault(span.start_of(candle.start), []).append(candle)
    return [
        Candle(
            start=start,
            open=parts[0].open,
            high=max(part.high for part in parts),
            low=min(part.low for part in parts),
            close=parts[-1].close,
            volume=sum(part.volume for part in parts),
            bought=sum(part.bought for part in parts),
            worth=sum(part.worth for part in parts),
            bought_worth=sum(part.bought_worth for part in parts),
            count=sum(part.count for part in parts),
        )
        for start, parts in groups.items()
    ]


@pytest.fixture(scope="module")
def lived() -> tuple[MarketModel, list[Print], int]:
    """A market that has run for two and a half minutes, and its trades."""
    market = model()
    until = START + 150 * SECOND
    trades = [one for one in market.advance(until) if isinstance(one, Print)]
    return market, trades, until


@pytest.mark.parametrize("interval", ["1s", "1m", "5m"])
def test_candles_since_the_opening_are_those_of_the_trades(
    lived: tuple[MarketModel, list[Print], int], interval: str
) -> None:
    market, trades, now = lived
    first = Interval.parse("1s").start_of(START) + SECOND
    made: dict[int, Candle] = {}
    for trade in trades:
        if trade.symbol == "BTC-USDT" and trade.ts >= first:
            second = trade.ts - trade.ts % SECOND
            if second not in made:
                made[second] = Candle(
                    start=second, open=trade.price, high=trade.price, low=trade.price
                )
            made[second].add(trade.price, trade.size, buyer_took=trade.buyer_took)
    told = market.candles("BTC-USDT", interval, START, now + 1, now)
    whole = {one.start: one for one in grouped(list(made.values()), interval) if one.start >= first}
    assert len(whole) >= (1 if interval == "5m" else 2)
    for candle in told:
        if candle.start >= first:
            assert candle == whole[candle.start]
    assert {one.start for one in told} >= set(whole)


@pytest.mark.parametrize("symbol", SYMBOLS[:3])
def test_larger_candles_are_made_of_the_smaller_ones(
    lived: tuple[MarketModel, list[Print], int], symbol: str
) -> None:
    market, _, now = lived
    first = Interval.parse("1h").start_of(START - 5400 * SECOND)
    seconds = market.candles(symbol, "1s", first, now + 1, now)
    minutes = market.candles(symbol, "1m", first, now + 1, now)
    assert minutes == grouped(seconds, "1m")
    assert market.candles(symbol, "1h", first, now + 1, now) == grouped(minutes, "1h")
    days = Interval.parse("1w").start_of(START - 8 * DAY)
    hours = market.candles(symbol, "1h", days, now + 1, now)
    assert market.candles(symbol, "1d", days, now + 1, now) == grouped(hours, "1d")
    assert market.candles(symbol, "1w", days, now + 1, now) == grouped(hours, "1w")


@examples(15)
@given(
    cuts=st.lists(st.integers(0, 3 * 3600), max_size=4),
    interval=st.sampled_from(["1s", "1m", "15m"]),
    is_flat=st.booleans(),
)
def test_pages_give_what_one_answer_gives(cuts: list[int], interval: str, is_flat: bool) -> None:
    market = model()
    begins = START - 3 * 3600 * SECOND
    edges = sorted({begins, START, *(begins + cut * SECOND for cut in cuts)})
    whole = market.candles("LTC-BTC", interval, begins, START, START, is_flat=is_flat)
    paged = [
        candle
        for first, last in pairwise(edges)
        for candle in market.candles("LTC-BTC", interval, first, last, START, is_flat=is_flat)
    ]
    assert paged == whole


def test_the_past_is_the_same_every_time_and_another_with_another_seed() -> None:
    def hours(market: MarketModel, symbol: str = "BTC-USDT") -> list[Candle]:
        return market.candles(symbol, "1h", START - 20 * DAY, START, START)

    assert hours(model()) == hours(model())
    assert hours(model()) != hours(model(seed=2))
    assert len(hours(model())) == 480


def test_two_markets_that_open_at_different_times_can_share_a_past() -> None:
    early, late = model(), model(start=START + 90 * SECOND, past_until=START)
    early.postpone(START + 90 * SECOND)
    now = START + 90 * SECOND
    for symbol in SYMBOLS:
        for interval in ("1s", "1m", "1d"):
            told = early.candles(symbol, interval, now - 400 * SECOND, now, now)
            assert told == late.candles(symbol, interval, now - 400 * SECOND, now, now)
    seconds = late.candles("BTC-USDT", "1s", START - 5 * SECOND, now, now)
    assert len(seconds) == 94


@pytest.mark.parametrize("symbol", ["BTC-USDT", "ETH-BTC"])
def test_the_past_joins_the_market_without_a_jump(symbol: str) -> None:
    market = model()
    listing: Listing = choose([symbol])[0]
    noise = max(2.0, 0.00004 * listing.price)
    past = market.candles(symbol, "1s", START - 120 * SECOND, START, START)
    assert len(past) == 119  # the opening second is the market's own
    assert past[-1].start + SECOND == START - START % SECOND
    assert all(abs(one.close - listing.price) < 6 * noise for one in past)
    market.advance(START + 60 * SECOND)
    live = market.candles(symbol, "1s", START, START + 60 * SECOND, START + 60 * SECOND)
    mean = sum(one.close for one in past[-30:]) / 30
    assert abs(mean - sum(one.close for one in live[:30]) / 30) < 2 * noise
    assert 0.3 < sum(one.volume for one in past[-60:]) / sum(one.volume for one in live) < 3


@pytest.mark.parametrize("symbol", SYMBOLS[:3])
def test_a_past_candle_is_possible(symbol: str) -> None:
    market = model()
    for interval, ago in (("1s", 3600 * SECOND), ("1m", 2 * DAY), ("1d", 100 * DAY)):
        candles = market.candles(symbol, interval, START - ago, START, START)
        assert candles
        for one in candles:
            assert 0 < one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
            assert one.low * one.volume <= one.worth <= one.high * one.volume
            assert 0 <= one.bought <= one.volume
            assert one.low * one.bought <= one.bought_worth <= one.high * one.bought
            assert 1 <= one.count <= one.volume
        assert [one.start for one in candles] == sorted({one.start for one in candles})


@pytest.mark.parametrize("seed", range(4))
def test_the_past_is_calm_near_its_end(seed: int) -> None:
    """No alert of the demo (RSI below 15, of one-second bars) may come from the past."""
    market = model(seed=seed)
    for symbol in ("BTC-USDT", "ETH-BTC"):
        for interval in ("1s", "1m", "1h"):
            length = Interval.parse(interval).length
            told = market.candles(symbol, interval, START - 500 * length, START, START)
            closes = np.array([float(one.close) for one in told])
            rsi = talib.RSI(closes, 14)[-120:]
            assert 20 < rsi.min() < 50 < rsi.max() < 80, (symbol, interval)


def test_what_nobody_trades_has_no_past_and_a_listing_has_a_first_day() -> None:
    market = model()
    assert market.candles("XMR-USDT", "1d", 0, START, START) == []
    days = market.candles("BTC-USDT", "1d", 0, START, START)
    assert len(days) in {400, 401}
    assert days[0].start > START - 402 * DAY


def test_a_flat_candle_stands_where_nothing_traded() -> None:
    market = model()
    begins = Interval.parse("1m").start_of(START - 600 * SECOND)
    flat = market.candles("LTC-BTC", "1s", begins, START, START, is_flat=True)
    assert [one.start for one in flat] == list(range(begins, START, SECOND))
    traded = {one.start: one for one in market.candles("LTC-BTC", "1s", begins, START, START)}
    assert 0 < len(traded) < 60
    for before, one in pairwise(flat):
        if one.start in traded:
            assert one == traded[one.start]
        else:
            assert (one.open, one.high, one.low, one.close) == (before.close,) * 4
            assert (one.volume, one.count, one.worth) == (0, 0, 0)


def test_nothing_later_than_now_is_told() -> None:
    market = model()
    market.advance(START + 30 * SECOND)
    now = START + 30 * SECOND
    told = market.candles("BTC-USDT", "1s", START, START + DAY, now, is_flat=True)
    assert told[-1].start == now - now % SECOND
    assert market.candles("BTC-USDT", "1m", now + MINUTE, now + DAY, now) == []


def test_memory_is_bounded() -> None:
    listing = choose(["BTC-USDT"])[0]
    book = CandleBook(listing, seed=1, start=START, rate=1.0, fades=START)
    for number in range(20_000):
        book.add(START + number * SECOND, 6_400_000, 5, buyer_took=True)
    now = START + 20_000 * SECOND
    seconds = book.candles(Interval.parse("1s"), START, now, now)
    assert len(seconds) == 7201  # the last one is not over
    assert seconds[-1].start == now - now % SECOND - SECOND
    minutes = book.candles(Interval.parse("1m"), START + MINUTE, now, now)
    assert sum(one.count for one in minutes) > 19_900


def test_one_candle_alone_takes_its_groups_start() -> None:
    candle = Candle(start=120, open=1, high=2, low=1, close=2, volume=3, count=1)
    assert joined(100, None, candle).start == 100
    assert candle.start == 120
