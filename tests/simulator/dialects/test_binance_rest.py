import json

import pytest

from simulator.dialects.binance_rest import BinanceRest
from simulator.listings import choose
from simulator.market_model import MarketModel

SECOND = 1_000_000_000
START = 1_700_000_060 * SECOND  # a minute began 20 s earlier


def rest(weight: int = 6000) -> tuple[BinanceRest, MarketModel]:
    model = MarketModel(choose(["BTC-USDT", "ETH-BTC", "XMR-USDT"]), seed=1, start=START)
    return BinanceRest(model, weight_per_minute=weight), model


def test_the_list_of_instruments_tells_ticks_steps_and_who_is_halted() -> None:
    answer = rest()[0].requested("/api/v3/exchangeInfo", START)
    content = json.loads(answer.body)
    assert answer.status == 200
    assert set(content) == {
        "timezone",
        "serverTime",
        "rateLimits",
        "exchangeFilters",
        "symbols",
    }
    symbols = {symbol["symbol"]: symbol for symbol in content["symbols"]}
    assert {name: symbol["status"] for name, symbol in symbols.items()} == {
        "BTCUSDT": "TRADING",
        "ETHBTC": "TRADING",
        "XMRUSDT": "BREAK",
    }
    filters = {found["filterType"]: found for found in symbols["ETHBTC"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00001000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00010000"
    assert (symbols["ETHBTC"]["baseAsset"], symbols["ETHBTC"]["quoteAsset"]) == ("ETH", "BTC")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("symbol=ETHBTC", ["ETHBTC"]),
        ("symbols=%5B%22ETHBTC%22,%22BTCUSDT%22%5D", ["ETHBTC", "BTCUSDT"]),
    ],
)
def test_the_list_may_be_asked_for_some_symbols(query: str, names: list[str]) -> None:
    answer = rest()[0].requested(f"/api/v3/exchangeInfo?{query}", START)
    assert [symbol["symbol"] for symbol in json.loads(answer.body)["symbols"]] == names


def test_depth_gives_the_best_levels_of_the_true_book() -> None:
    interface, model = rest()
    content = json.loads(interface.requested("/api/v3/depth?symbol=BTCUSDT&limit=3", START).body)
    book = model.book("BTC-USDT")
    assert content["lastUpdateId"] == book.update_id
    assert [(float(p), float(s)) for p, s in content["bids"]] == book.bids[:3]
    assert [(float(p), float(s)) for p, s in content["asks"]] == book.asks[:3]
    whole = json.loads(interface.requested("/api/v3/depth?symbol=BTCUSDT&limit=9999", START).body)
    assert len(whole["bids"]) == len(book.bids)
    usual = json.loads(interface.requested("/api/v3/depth?symbol=BTCUSDT", START).body)
    assert len(usual["asks"]) == 100


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/api/v3/depth?symbol=NOPE", -1121),
        ("/api/v3/depth?symbol=btcusdt", -1121),
        ("/api/v3/depth", -1102),
        ("/api/v3/depth?symbol=BTCUSDT&limit=many", -1100),
        ("/api/v3/depth?symbol=BTCUSDT&limit=0", -1100),
        ("/api/v3/exchangeInfo?symbol=NOPE", -1121),
        ("/api/v3/exchangeInfo?symbols=NOPE", -1100),
    ],
)
def test_a_wrong_question_gets_400_and_a_code(target: str, code: int) -> None:
    answer = rest()[0].requested(target, START)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code


def test_ping_time_and_an_unknown_path() -> None:
    interface, _ = rest()
    assert json.loads(interface.requested("/api/v3/ping", START).body) == {}
    time = json.loads(interface.requested("/api/v3/time", START).body)
    assert time == {"serverTime": START // 1_000_000}
    assert interface.requested("/api/v3/nothing", START).status == 404


@pytest.mark.parametrize(
    ("limit", "weight"), [(1, 5), (100, 5), (101, 25), (1000, 50), (5000, 250)]
)
def test_a_deeper_book_weighs_more(limit: int, weight: int) -> None:
    answer = rest()[0].requested(f"/api/v3/depth?symbol=BTCUSDT&limit={limit}", START)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_too_much_weight_gets_429_until_the_minute_is_over() -> None:
    interface, _ = rest(weight=500)
    target = "/api/v3/depth?symbol=BTCUSDT&limit=5000"
    assert [interface.requested(target, START).status for _ in range(3)] == [200, 200, 429]
    refused = interface.requested(target, START)
    assert json.loads(refused.body)["code"] == -1003
    wait = int(refused.headers["Retry-After"])
    assert wait == 40
    assert interface.requested(target, START + (wait - 1) * SECOND).status == 429
    assert interface.requested(target, START + wait * SECOND).status == 200
