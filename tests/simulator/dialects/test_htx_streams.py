"""What HTX's dialect says of the market: true, and in the shape of documented and real frames."""

import ast
import gzip
import json
import os
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.htx import HtxDialect
from simulator.dialects.htx_streams import LEVELS, number_text
from simulator.frames import Binary
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import LevelChange, Print, TrueBookHistory
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
TRADES, BOOK = "market.btcusdt.trade.detail", "market.btcusdt.mbp.150"

# As the documentation prints them; the refusal was seen in 2023.
DOCUMENTED = {
    "ping": '{"ping":1492420473027}',
    "acknowledgement": '{"id":"id1","status":"ok","subbed":"market.btcusdt.mbp.150",'
    '"ts":1489474081631}',
    "refusal": '{"status":"error","ts":1684650798105,"id":"id488","err-code":"bad-request",'
    '"err-msg":"invalid symbol lmrusdt"}',
    "trades": '{"ch":"market.btcusdt.trade.detail","ts":1489474082831,"tick":{"id":14650745135,'
    '"ts":1533265950234,"data":[{"amount":0.0099,"ts":1533265950234,"id":146507451359183894799,'
    '"tradeId":102043495674,"price":401.74,"direction":"buy"}]}}',
    "update": '{"ch":"market.aidogeusdt.mbp.150","ts":1690948841557,"tick":{"seqNum":155247358,'
    '"prevSeqNum":155247355,"bids":[[9.486E-11,1.5]],'
    '"asks":[[9.486E-11,5.4329174972728E12],[9.488E-11,0.0]]}}',
    "empty update": '{"ch":"market.zecusdt.mbp.150","ts":1585074391470,"tick":'
    '{"seqNum":100772868478,"prevSeqNum":100772868476,"bids":[],"asks":[]}}',
    "snapshot": '{"id":"id2","rep":"market.btcusdt.mbp.150","status":"ok","ts":1698359289261,'
    '"data":{"seqNum":100020142010,"bids":[[618.37,71.594],[423.33,77.726]],'
    '"asks":[[650.59,14.909733438479636]]}}',
}


def shape(value: object) -> object:
    """Return keys in their order, nesting and scalar types."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def unordered(value: object) -> object:
    """The same without the order of keys: HTX's own frames differ from its documentation's."""
    if isinstance(value, dict):
        return {key: unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unordered(inner) for inner in value[:1]]
    return type(value).__name__


class Market:
    """One instrument, its dialect, and a reader of both paths."""

    def __init__(self, *, seed: int = 1, symbol: str = "BTC-USDT") -> None:
        self.model = MarketModel(choose([symbol]), seed=seed, start=START)
        self.dialect = HtxDialect(self.model)
        self.now = START
        self.symbol = symbol
        self.native = symbol.replace("-", "").lower()
        self.history = TrueBookHistory(self.model.true_book(symbol))
        self.printed: list[Print] = []
        self.texts: list[str] = []
        for conn in ("/ws", "/feed"):
            self.dialect.opened(conn, conn, START)

    def say(self, conn: str, message: object) -> list[dict]:  # type: ignore[type-arg]
        self.dialect.received(conn, json.dumps(message).encode(), self.now)
        return self._heard()

    def subscribe(self) -> None:
        self.say("/ws", {"sub": f"market.{self.native}.trade.detail", "id": "1"})
        self.say("/feed", {"sub": f"market.{self.native}.mbp.150", "id": "1"})

    def snapshot(self) -> dict:  # type: ignore[type-arg]
        [answer] = self.say("/feed", {"req": f"market.{self.native}.mbp.150", "id": "2"})
        return answer

    def run(self, length: int) -> list[dict]:  # type: ignore[type-arg]
        self.now += length
        changes = self.model.advance(self.now)
        self.dialect.advance(changes, self.now)
        self.printed += [change for change in changes if isinstance(change, Print)]
        self.history.record(change for change in changes if isinstance(change, LevelChange))
        return self._heard()

    def _heard(self) -> list[dict]:  # type: ignore[type-arg]
        texts = [
            zlib.decompress(frame.data, 31).decode()
            for _, frame in self.dialect.outgoing()
            if isinstance(frame, Binary)
        ]
        self.texts += texts
        return [json.loads(text) for text in texts]


def simulated() -> dict[str, dict]:  # type: ignore[type-arg]
    """Return one frame of each kind, with levels on both sides where there may be some."""
    market = Market()
    [acknowledgement] = market.say("/ws", {"sub": TRADES, "id": "id1"})
    [refusal] = market.say("/ws", {"sub": "market.lmrusdt.trade.detail", "id": "id2"})
    market.say("/feed", {"sub": BOOK, "id": "id1"})
    heard = market.run(5 * SECOND)
    return {
        "acknowledgement": acknowledgement,
        "refusal": refusal,
        "ping": next(message for message in heard if "ping" in message),
        "trades": next(message for message in heard if message.get("ch") == TRADES),
        "update": next(
            message
            for message in heard
            if message.get("ch") == BOOK and message["tick"]["bids"] and message["tick"]["asks"]
        ),
        "empty update": next(
            message
            for message in _books(Market(symbol="XRP-USDT"), 120)
            if not message["tick"]["bids"] and not message["tick"]["asks"]
        ),
        "snapshot": market.snapshot(),
    }


@pytest.mark.parametrize("kind", sorted(DOCUMENTED))
def test_a_frame_has_the_shape_that_the_venue_documents(kind: str) -> None:
    ours, theirs = simulated()[kind], json.loads(DOCUMENTED[kind])
    assert unordered(ours) == unordered(theirs)
    if kind != "trades":  # captured ones have another order than documented ones
        assert shape(ours) == shape(theirs)


def captured() -> dict[str, tuple[dict, str]]:  # type: ignore[type-arg]
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder")
    found: dict[str, tuple[dict, str]] = {}  # type: ignore[type-arg]
    for line in (Path(folder) / "htx" / "cryptofeed_HUOBI.ws.44.0").read_text().splitlines():
        match = re.match(r"[\d.]+: (b.*)", line)
        if match is None:
            continue
        text = gzip.decompress(ast.literal_eval(match[1])).decode()
        message = json.loads(text)
        kind = message.get("ch", "").split(".", 2)[-1] or next(
            name for name in ("ping", "subbed") if name in message
        )
        found.setdefault(kind, (message, text))
    return found


def test_frames_have_the_shape_and_the_numbers_of_captured_ones() -> None:
    real, ours = captured(), simulated()
    assert shape(ours["trades"]) == shape(real["trade.detail"][0])
    assert shape(ours["ping"]) == shape(real["ping"][0])
    # The captured client counted its subscriptions, and an id comes back as it was.
    assert shape(ours["acknowledgement"] | {"id": 1}) == shape(real["subbed"][0])
    [said] = Market().say("/ws", {"sub": TRADES, "id": 1})
    assert shape(said) == shape(real["subbed"][0])
    for kind in ("trade.detail", "depth.step0"):
        numbers = re.findall(r"\d\.\d+(?:E-?\d+)?", real[kind][1])
        assert numbers
        assert all(number_text(number) == number for number in numbers if len(number) > 3)
    later = (Path(os.environ["CANDLEWAX_CAPTURES"]) / "htx" / "gct_wsAllTrades.json").read_text()
    for line in later.splitlines():
        assert shape(json.loads(line)) == shape(ours["trades"])
    assert len(str(ours["trades"]["tick"]["data"][0]["id"])) >= len("326373293255757297982681")


@given(st.floats(min_value=1e-12, max_value=1e15))
def test_a_number_is_written_as_htx_does_and_is_the_same_number(value: float) -> None:
    text = number_text(repr(value))
    assert float(text) == value
    assert ("E" in text) is not (1e-3 <= value < 1e7)
    assert re.fullmatch(r"\d+\.\d+|\d\.\d+E-?\d+", text)


@examples(15)
@given(st.integers(0, 1000), st.lists(st.integers(1, 700), min_size=3, max_size=12))
def test_updates_chain_and_rebuild_the_best_levels(seed: int, steps: list[int]) -> None:
    market = Market(seed=seed)
    market.subscribe()
    snapshot = market.snapshot()["data"]
    bids, asks = dict(map(tuple, snapshot["bids"])), dict(map(tuple, snapshot["asks"]))
    last = snapshot["seqNum"]
    rows = []
    for step in steps:
        for message in market.run(step * MILLISECOND):
            tick = message.get("tick", {})
            if message.get("ch") == TRADES:
                assert [row["ts"] for row in tick["data"]] == [tick["ts"]] * len(tick["data"])
                rows += tick["data"][::-1]
            if message.get("ch") != BOOK:
                continue
            assert tick["prevSeqNum"] == last < tick["seqNum"]
            assert message["ts"] % 100 == 0
            last = tick["seqNum"]
            for side, levels in ((bids, tick["bids"]), (asks, tick["asks"])):
                for price, size in levels:
                    side[price] = size
                    if not size:
                        del side[price]
            true = market.history.at(last).copy()
            assert bids == dict(true.bids[:LEVELS])
            assert asks == dict(true.asks[:LEVELS])
    listing = market.model.listings[0]
    assert [
        (row["tradeId"], row["price"], row["amount"], row["ts"], row["direction"]) for row in rows
    ] == [
        (
            trade.trade_id,
            float(listing.price_text(trade.price)),
            float(listing.size_text(trade.size)),
            trade.ts // MILLISECOND,
            "buy" if trade.buyer_took else "sell",
        )
        for trade in market.printed
    ]


def test_a_second_reader_in_mid_interval_still_meets_the_chain() -> None:
    market = Market(seed=4)
    market.subscribe()
    market.run(1_050 * MILLISECOND)
    snapshot = market.snapshot()["data"]["seqNum"]
    first = next(message for message in market.run(SECOND) if message.get("ch") == BOOK)
    assert first["tick"]["prevSeqNum"] == snapshot


def test_a_snapshot_needs_no_subscription() -> None:
    market = Market()
    data = market.snapshot()["data"]
    true = market.model.book("BTC-USDT")
    assert [tuple(level) for level in data["bids"]] == true.bids[:LEVELS]
    assert data["seqNum"] == true.update_id


def test_a_change_below_the_levels_is_told_with_both_sides_empty() -> None:
    ticks = [message["tick"] for message in _books(Market(symbol="XRP-USDT"), 120)]
    empty = [tick for tick in ticks if not tick["bids"] and not tick["asks"]]
    assert empty
    assert all(tick["prevSeqNum"] < tick["seqNum"] for tick in empty)


def _books(market: Market, seconds: int) -> list[dict]:  # type: ignore[type-arg]
    market.subscribe()
    out = []
    for _ in range(seconds):
        out += [message for message in market.run(SECOND) if "mbp" in message.get("ch", "")]
    return out


def test_trades_of_one_order_share_a_message_and_the_newest_is_first() -> None:
    market = Market(seed=3)
    market.subscribe()
    several = [
        [row["tradeId"] for row in message["tick"]["data"]]
        for message in market.run(60 * SECOND)
        if message.get("ch") == TRADES and len(message["tick"]["data"]) > 1
    ]
    assert several
    assert all(ids == sorted(ids, reverse=True) for ids in several)


def test_a_subscription_to_trades_is_told_the_last_ones_again() -> None:
    market = Market()
    market.run(5 * SECOND)
    newest = market.printed[-1]
    _, again = market.say("/ws", {"sub": TRADES, "id": "1"})
    assert again["tick"]["data"][0]["tradeId"] == newest.trade_id
    assert again["ts"] == newest.ts // MILLISECOND + 2
    [answer] = market.say("/ws", {"req": TRADES, "id": "2"})
    ids = [row["tradeId"] for row in answer["data"]]
    assert ids == [trade.trade_id for trade in market.printed][::-1][:300]


def test_a_falsified_book_is_crossed_and_its_chain_is_whole() -> None:
    market = Market(seed=4)
    market.subscribe()
    last = market.snapshot()["data"]["seqNum"]
    market.dialect.falsify_book("BTC-USDT")
    ask = market.model.book("BTC-USDT").asks[0][0]
    false = 0
    for message in market.run(2 * SECOND):
        if message.get("ch") == BOOK:
            assert message["tick"]["prevSeqNum"] == last
            last = message["tick"]["seqNum"]
            false += sum(price > ask * 1.0005 for price, _ in message["tick"]["bids"])
    assert false == 1


def test_a_jump_breaks_the_chain_once() -> None:
    market = Market(seed=4)
    market.subscribe()
    last = market.snapshot()["data"]["seqNum"]
    market.dialect.jump_sequence("BTC-USDT")
    breaks = 0
    for message in market.run(2 * SECOND):
        if message.get("ch") == BOOK:
            breaks += message["tick"]["prevSeqNum"] != last
            last = message["tick"]["seqNum"]
    assert breaks == 1


def test_a_falsified_time_is_that_of_one_message() -> None:
    market = Market(seed=4)
    market.subscribe()
    market.dialect.falsify_trade_time("BTC-USDT", 3600 * SECOND)
    times = [
        message["tick"]["ts"] - START // MILLISECOND
        for message in market.run(3 * SECOND)
        if message.get("ch") == TRADES
    ]
    assert 3_600_000 <= times[0] <= 3_603_000
    assert max(times[1:]) <= 3000
