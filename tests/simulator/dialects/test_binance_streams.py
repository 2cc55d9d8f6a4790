import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.binance import BinanceDialect
from simulator.frames import Text
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import LevelChange, Print, TrueBookHistory
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND

DOCUMENTED = {
    "trade": '{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC",'
    '"t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}}',
    "depth": '{"stream":"bnbbtc@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,'
    '"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}',
    "snapshot": '{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],'
    '"asks":[["4.00000200","12.00000000"]]}',
}


def shape(value: object) -> object:
    """Return keys in their order, nesting and scalar types."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def simulated() -> dict[str, dict]:  # type: ignore[type-arg]
    """Return one frame of each kind that has levels on both sides."""
    model = MarketModel(choose(["BTC-USDT"]), seed=1, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@trade/btcusdt@depth@100ms", START)
    dialect.advance(model.advance(START + 5 * SECOND), START + 5 * SECOND)
    frames = [frame for _, frame in dialect.outgoing() if isinstance(frame, Text)]
    trade = next(frame for frame in frames if frame.channel == "trade")
    depth = next(
        frame
        for frame in frames
        if frame.channel == "depth" and b'"b":[]' not in frame.data and b'"a":[]' not in frame.data
    )
    snapshot = dialect.requested("/api/v3/depth?symbol=BTCUSDT&limit=1000", START)
    return {
        "trade": json.loads(trade.data),
        "depth": json.loads(depth.data),
        "snapshot": json.loads(snapshot.body),
    }


@pytest.mark.parametrize("kind", ["trade", "depth", "snapshot"])
def test_a_frame_has_the_shape_that_the_venue_documents(kind: str) -> None:
    assert shape(simulated()[kind]) == shape(json.loads(DOCUMENTED[kind]))


def test_frames_have_the_shape_and_the_digits_of_captured_ones() -> None:
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder")
    captured: dict[str, dict] = {}  # type: ignore[type-arg]
    path = Path(folder) / "binance" / "hftbacktest_spot_btcusdt_20240808.gz"
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            data = message.get("data", message)
            if data.get("e") == "trade":
                captured.setdefault("trade", message)
            elif data.get("e") == "depthUpdate" and data["b"] and data["a"]:
                captured.setdefault("depth", message)
            elif "lastUpdateId" in data:
                captured.setdefault("snapshot", message)
            if len(captured) == 3:
                break
    ours = simulated()
    assert {kind: shape(frame) for kind, frame in ours.items()} == {
        kind: shape(frame) for kind, frame in captured.items()
    }
    for frames in (ours, captured):
        numbers = [frames["trade"]["data"]["p"], frames["trade"]["data"]["q"]]
        numbers += frames["depth"]["data"]["b"][0] + frames["snapshot"]["asks"][0]
        assert {len(number.partition(".")[2]) for number in numbers} == {8}
        assert len(str(frames["trade"]["data"]["T"])) == 13


@examples(15)
@given(st.integers(0, 1000), st.lists(st.integers(1, 700), min_size=3, max_size=12))
def test_depth_messages_chain_and_rebuild_the_true_book(seed: int, steps: list[int]) -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=seed, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@depth@100ms/btcusdt@trade", START)
    history = TrueBookHistory(model.true_book("BTC-USDT"))
    snapshot = json.loads(dialect.requested("/api/v3/depth?symbol=BTCUSDT&limit=5000", START).body)
    bids, asks = dict(snapshot["bids"]), dict(snapshot["asks"])
    update_id = snapshot["lastUpdateId"]
    now, last_time = START, 0
    printed: list[Print] = []
    told: list[dict] = []  # type: ignore[type-arg]
    for step in steps:
        now += step * MILLISECOND
        changes = model.advance(now)
        dialect.advance(changes, now)
        printed += [change for change in changes if isinstance(change, Print)]
        history.record(change for change in changes if isinstance(change, LevelChange))
        for _, frame in dialect.outgoing():
            assert isinstance(frame, Text)
            data = json.loads(frame.data)["data"]
            if data["e"] == "trade":
                told.append(data)
                continue
            assert data["U"] == update_id + 1
            assert data["u"] >= data["U"]
            assert data["E"] % 100 == 0
            assert data["E"] > last_time
            last_time, update_id = data["E"], data["u"]
            for side, levels in ((bids, data["b"]), (asks, data["a"])):
                for price, size in levels:
                    side[price] = size
                    if size == "0.00000000":
                        del side[price]
            true = history.at(update_id).copy()
            assert {float(price): float(size) for price, size in bids.items()} == dict(true.bids)
            assert {float(price): float(size) for price, size in asks.items()} == dict(true.asks)
    listing = model.listings[0]
    assert [(data["t"], data["p"], data["q"], data["T"], data["m"]) for data in told] == [
        (
            trade.trade_id,
            listing.price_text(trade.price),
            listing.size_text(trade.size),
            trade.ts // MILLISECOND,
            not trade.buyer_took,
        )
        for trade in printed
    ]


def test_a_second_reader_in_mid_interval_still_bridges_its_snapshot() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=4, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@depth@100ms", START)
    middle = START + 1_050 * MILLISECOND
    dialect.advance(model.advance(middle), middle)
    dialect.outgoing()
    dialect.opened("b", "/stream?streams=btcusdt@depth@100ms", middle)
    snapshot = json.loads(dialect.requested("/api/v3/depth?symbol=BTCUSDT", middle).body)
    dialect.advance(model.advance(middle + SECOND), middle + SECOND)
    first = next(
        json.loads(frame.data)["data"]
        for conn, frame in dialect.outgoing()
        if conn == "b" and isinstance(frame, Text)
    )
    assert first["U"] <= snapshot["lastUpdateId"] + 1 <= first["u"]


def test_the_slow_stream_speaks_once_a_second() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=4, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@depth", START)
    dialect.advance(model.advance(START + 5 * SECOND), START + 5 * SECOND)
    times = [
        json.loads(frame.data)["data"]["E"]
        for _, frame in dialect.outgoing()
        if isinstance(frame, Text)
    ]
    assert times == [START // MILLISECOND + second * 1000 for second in range(1, 6)]


def test_a_falsified_book_is_crossed_and_its_chain_is_whole() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=4, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@depth@100ms", START)
    dialect.falsify_book("BTC-USDT")
    update_id = model.true_book("BTC-USDT").update_id
    false_levels = 0
    dialect.advance(model.advance(START + 2 * SECOND), START + 2 * SECOND)
    ask = model.book("BTC-USDT").asks[0][0]
    for _, frame in dialect.outgoing():
        assert isinstance(frame, Text)
        data = json.loads(frame.data)["data"]
        assert data["U"] == update_id + 1
        update_id = data["u"]
        false_levels += sum(float(price) > ask * 1.0005 for price, _ in data["b"])
    assert false_levels == 1


def test_a_falsified_time_is_that_of_one_trade() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=4, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@trade", START)
    dialect.falsify_trade_time("BTC-USDT", 3600 * SECOND)
    dialect.advance(model.advance(START + SECOND), START + SECOND)
    times = [
        json.loads(frame.data)["data"]["T"] - START // MILLISECOND
        for _, frame in dialect.outgoing()
        if isinstance(frame, Text)
    ]
    assert 3_600_000 <= times[0] <= 3_601_000
    assert max(times[1:]) <= 1000


DOCUMENTED_PARTIAL = (
    '{"stream":"bnbbtc@depth20@100ms","data":{"lastUpdateId":160,"bids":[["0.0024","10"]],'
    '"asks":[["0.0026","100"]]}}'
)


def partials(dialect: BinanceDialect) -> list[dict]:  # type: ignore[type-arg]
    return [
        json.loads(frame.data)
        for _, frame in dialect.outgoing()
        if isinstance(frame, Text) and frame.channel == "depth"
    ]


@pytest.mark.parametrize("levels", [5, 10, 20])
def test_a_partial_book_is_the_best_of_the_true_book_at_its_id(levels: int) -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=3, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", f"/stream?streams=btcusdt@depth{levels}@100ms", START)
    history = TrueBookHistory(model.true_book("BTC-USDT"))
    changes = model.advance(START + 3 * SECOND)
    history.record(change for change in changes if isinstance(change, LevelChange))
    dialect.advance(changes, START + 3 * SECOND)
    told = partials(dialect)
    assert 20 < len(told) <= 30
    for message in told:
        assert shape(message) == shape(json.loads(DOCUMENTED_PARTIAL))
        data = message["data"]
        true = history.at(data["lastUpdateId"]).copy()
        assert [(float(p), float(s)) for p, s in data["bids"]] == true.bids[:levels]
        assert [(float(p), float(s)) for p, s in data["asks"]] == true.asks[:levels]


def test_a_partial_book_comes_once_where_nothing_changes() -> None:
    model = MarketModel(choose(["LTC-BTC"]), seed=3, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=ltcbtc@depth20@100ms", START)
    dialect.advance([], START + 2 * SECOND)
    assert len(partials(dialect)) == 1
    dialect.opened("b", "/stream?streams=ltcbtc@depth20@100ms/ltcbtc@depth5", START + 2 * SECOND)
    dialect.advance([], START + 4 * SECOND)
    streams = [message["stream"] for message in partials(dialect)]
    assert sorted(streams) == ["ltcbtc@depth20@100ms", "ltcbtc@depth20@100ms", "ltcbtc@depth5"]
    dialect.closed("a")
    dialect.closed("b")
    dialect.advance(model.advance(START + 600 * SECOND), START + 600 * SECOND)
    assert partials(dialect) == []


def test_a_falsified_partial_book_is_crossed_once() -> None:
    model = MarketModel(choose(["BTC-USDT"]), seed=4, start=START)
    dialect = BinanceDialect(model)
    dialect.opened("a", "/stream?streams=btcusdt@depth5@100ms", START)
    dialect.falsify_book("BTC-USDT")
    dialect.advance(model.advance(START + 2 * SECOND), START + 2 * SECOND)
    told = [message["data"] for message in partials(dialect)]
    crossed = [float(one["bids"][0][0]) >= float(one["asks"][0][0]) for one in told]
    assert crossed == [True] + [False] * (len(told) - 1)
    assert {len(one["bids"]) for one in told} == {5}
