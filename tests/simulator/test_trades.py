"""The simulated market's trades of the past make its candles of the past."""

import pytest

from simulator.candle import Candle
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import Print

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_700_000_007 * SECOND + 123


def facts(candle: Candle) -> tuple[int, ...]:
    return (
        *(candle.start, candle.open, candle.high, candle.low, candle.close),
        *(candle.volume, candle.worth, candle.count),
    )


@pytest.mark.parametrize("symbol", ["BTC-USDT", "LTC-BTC"])
def test_trades_of_the_past_make_its_candles(symbol: str) -> None:
    model = MarketModel(choose([symbol]), seed=2, start=START)
    first = START - START % MINUTE - 30 * MINUTE
    made: dict[int, Candle] = {}
    for trade in model.trades(symbol).between(first, START):
        second = trade.ts - trade.ts % SECOND
        candle = made.get(second)
        if candle is None:
            candle = made[second] = Candle(
                start=second, open=trade.price, high=trade.price, low=trade.price
            )
        candle.add(trade.price, trade.size, buyer_took=trade.buyer_took)
    told = model.candles(symbol, "1s", first, START, START)
    told = [candle for candle in told if candle.start < START - SECOND]
    assert [facts(made[candle.start]) for candle in told] == [facts(candle) for candle in told]


def test_ids_grow_with_time_over_the_opening_whatever_part_is_asked_for() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=2, start=START)
    own = [one for one in model.advance(START + 20 * SECOND) if isinstance(one, Print)]
    log = model.trades("BTC-USDT")
    every = list(log.between(START - 10 * MINUTE, START + MINUTE))
    ids = [trade.trade_id for trade in every]
    assert ids == sorted(set(ids))
    assert every[-len(own) :] == own
    for place in (0, 7, len(every) - len(own) - 1, len(every) - 3):
        assert list(log.from_id(ids[place])) == every[place:]
        assert next(log.between(every[place].ts, START + MINUTE)) == every[place]
    assert log.newest(len(own) + 40, START + 20 * SECOND) == every[-len(own) - 40 :]
    assert log.newest(5, own[9].ts) == own[5:10]


def test_a_market_that_opens_later_has_ids_above_its_past() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=2, start=START)
    model.postpone(START + MINUTE)
    model.skip(START + MINUTE)
    own = [one for one in model.advance(START + 2 * MINUTE) if isinstance(one, Print)]
    before = list(model.trades("BTC-USDT").between(START, START + MINUTE - SECOND))
    assert before
    assert before[-1].trade_id < own[0].trade_id
