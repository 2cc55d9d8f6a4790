import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.bybit import MOST_IDLE, BybitDialect
from simulator.frames import Close, Cut, Frame, Text
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import LevelChange, Print, TrueBookHistory
from tests.connectors.bybit_session import (
    DOCUMENTED_ACK,
    DOCUMENTED_DELTA,
    DOCUMENTED_INSTRUMENTS,
    DOCUMENTED_PONG,
    DOCUMENTED_REFUSAL,
    DOCUMENTED_SNAPSHOT,
)
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
BOTH = ("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT")

# The documentation's sample of spot, where `ts` comes before `type`.
DOCUMENTED_TRADE = (
    b'{"topic":"publicTrade.PEPEUSDT","ts":1795168800000,"type":"snapshot","data":[{"T":'
    b'1795168799990,"s":"PEPEUSDT","S":"Sell","v":"125000000","p":"0.00000877","i":'
    b'"2290000000068683805","BT":false,"RPI":false,"seq":1}]}'
)


class Venue:
    """A market and its dialect that move together; `a` is connected."""

    def __init__(
        self, *symbols: str, tells_what_left: bool = True, max_age: int = 1 << 62, seed: int = 7
    ) -> None:
        self.model = MarketModel(choose(symbols or ("BTC-USDT", "ETH-BTC")), seed=seed, start=START)
        self.dialect = BybitDialect(self.model, max_age=max_age, tells_what_left=tells_what_left)
        self.now = START
        self.dialect.opened("a", "/v5/public/spot", START)

    def run(self, length: int, step: int = 10 * MILLISECOND) -> list[Frame]:
        out: list[Frame] = []
        until = self.now + length
        while self.now < until:
            self.now = min(self.now + step, until)
            self.dialect.advance(self.model.advance(self.now), self.now)
            out += [frame for _, frame in self.dialect.outgoing()]
        return out

    def say(self, message: object, conn: str = "a") -> list[dict]:  # type: ignore[type-arg]
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.dialect.received(conn, data, self.now)
        return messages([frame for _, frame in self.dialect.outgoing()])

    def subscribe(self, *topics: str) -> list[dict]:  # type: ignore[type-arg]
        return self.say({"req_id": "1", "op": "subscribe", "args": topics})


def messages(frames: list[Frame]) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(frame.data) for frame in frames if isinstance(frame, Text)]


def shape(value: object) -> object:
    """Return keys in their order, nesting and scalar types."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


# -- requests --------------------------------------------------------------------------------------


def test_subscribing_is_acknowledged_and_brings_both_channels() -> None:
    venue = Venue()
    answer, snapshot = venue.subscribe(*BOTH)
    assert (answer["success"], answer["req_id"]) == (True, "1")
    assert (snapshot["type"], snapshot["topic"]) == ("snapshot", BOTH[1])
    assert len(snapshot["data"]["b"]) == 50
    assert {message["topic"] for message in messages(venue.run(2 * SECOND))} == set(BOTH)


@pytest.mark.parametrize(
    ("topics", "text"),
    [
        (("publicTrade.NOPEUSDT",), "Invalid symbol :[publicTrade.NOPEUSDT]"),
        ((*BOTH, "orderbook.50.XMRUSDT"), "Invalid symbol :[orderbook.50.XMRUSDT]"),
        (("orderbook.50.btcusdt",), "Invalid symbol :[orderbook.50.btcusdt]"),
        (("orderbook.7.BTCUSDT",), "error:handler not found,topic:orderbook.7.BTCUSDT"),
        (("news",), "error:handler not found,topic:news"),
        (("tickers.BTCUSDT",), "error:handler not found,topic:tickers.BTCUSDT"),
        (tuple(f"publicTrade.C{n}" for n in range(11)), "args size >10"),
        ((), "Params Error"),
    ],
)
def test_one_bad_topic_refuses_the_whole_request(topics: tuple[str, ...], text: str) -> None:
    venue = Venue("BTC-USDT", "XMR-USDT")
    [answer] = venue.subscribe(*topics)
    assert (answer["success"], answer["ret_msg"]) == (False, text)
    assert venue.run(SECOND) == []


def test_what_is_subscribed_cannot_be_subscribed_again_but_given_up() -> None:
    venue = Venue()
    venue.subscribe(*BOTH)
    [answer] = venue.subscribe(BOTH[0])
    assert answer["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    [answer] = venue.say({"req_id": "2", "op": "unsubscribe", "args": [BOTH[0], "news"]})
    assert answer["success"]
    assert {message["topic"] for message in messages(venue.run(SECOND))} == {BOTH[1]}
    answers = venue.say({"req_id": "3", "op": "unsubscribe", "args": [BOTH[1]]})
    answers += venue.say({"req_id": "4", "op": "subscribe", "args": [BOTH[1]]})
    assert [answer.get("type", answer.get("op")) for answer in answers] == [
        "unsubscribe",
        "subscribe",
        "snapshot",
    ]


def test_a_connection_may_have_21000_characters_of_topics_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    venue = Venue()
    monkeypatch.setattr("simulator.dialects.bybit.MOST_CHARACTERS", len(json.dumps(BOTH)) - 1)
    assert venue.subscribe(*BOTH)[0]["success"]
    [answer] = venue.subscribe("publicTrade.ETHBTC")
    assert answer["ret_msg"].startswith("args length >")


@pytest.mark.parametrize("message", [b"{not json", b"\xff", {"op": "shout"}, {"args": []}, b"[]"])
def test_nonsense_is_answered(message: object) -> None:
    [answer] = Venue().say(message)
    assert answer["success"] is False


def test_a_client_that_says_nothing_for_ten_minutes_is_cut() -> None:
    venue = Venue("LTC-BTC")
    venue.run(MOST_IDLE - SECOND, SECOND)
    venue.say({"op": "ping"})
    assert venue.run(MOST_IDLE - SECOND, SECOND) == []
    assert venue.run(2 * SECOND) == [Cut()]


def test_a_shutdown_ends_the_connections_of_then_without_a_word() -> None:
    venue = Venue()
    venue.dialect.shut_down(venue.now, 5 * SECOND)
    venue.dialect.opened("later", "/v5/public/spot", venue.now + SECOND)
    assert venue.run(10 * SECOND) == [Close(1001, "Going away")]


@pytest.mark.parametrize("path", ["/", "/v5/public/linear", "/stream", "/v5/public/spotted"])
def test_a_handshake_elsewhere_is_refused(path: str) -> None:
    refusal = Venue().dialect.refusal(path)
    assert refusal is not None
    assert refusal.status == 404
    assert Venue().dialect.refusal("/v5/public/spot") is None


def test_a_message_is_encoded_once_for_all_connections_and_a_closed_one_hears_nothing() -> None:
    venue = Venue()
    venue.dialect.opened("b", "/v5/public/spot", venue.now)
    venue.subscribe(*BOTH)
    venue.say({"req_id": "1", "op": "subscribe", "args": BOTH}, "b")
    frames = venue.run(SECOND)
    assert frames[0::2]
    assert all(one is other for one, other in zip(frames[0::2], frames[1::2], strict=True))
    venue.dialect.closed("a")
    venue.dialect.closed("a")
    assert len(venue.run(SECOND)) < len(frames)
    venue.dialect.closed("b")
    assert venue.run(SECOND) == []


SHARED = Venue()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_message_gets_an_answer_and_breaks_nothing(data: bytes) -> None:
    SHARED.dialect.received("a", data, START)
    assert len(SHARED.dialect.outgoing()) == 1


def test_a_symbol_can_be_refused_for_a_while() -> None:
    venue = Venue()
    venue.dialect.refuse_symbol("BTC-USDT", venue.now + SECOND)
    [answer] = venue.subscribe("orderbook.50.BTCUSDT")
    assert answer["ret_msg"] == "Invalid symbol :[orderbook.50.BTCUSDT]"
    assert venue.subscribe("orderbook.50.ETHBTC")[0]["success"]
    listed = venue.dialect.requested("/v5/market/instruments-info?category=spot", venue.now)
    assert b"BTCUSDT" not in listed.body
    venue.run(2 * SECOND)
    assert venue.subscribe("orderbook.50.BTCUSDT")[0]["success"]


# -- the list of instruments -----------------------------------------------------------------------


def test_the_list_has_ticks_and_steps_and_only_what_trades() -> None:
    dialect = Venue("BTC-USDT", "ETH-BTC", "XMR-USDT").dialect
    answer = dialect.requested("/v5/market/instruments-info?category=spot", START)
    content = json.loads(answer.body)
    assert shape(content) == shape(DOCUMENTED_INSTRUMENTS)
    symbols = {symbol["symbol"]: symbol for symbol in content["result"]["list"]}
    assert set(symbols) == {"BTCUSDT", "ETHBTC"}
    assert symbols["ETHBTC"]["priceFilter"]["tickSize"] == "0.00001"
    assert symbols["ETHBTC"]["lotSizeFilter"]["basePrecision"] == "0.0001"
    one = dialect.requested("/v5/market/instruments-info?category=spot&symbol=ETHBTC", START)
    assert len(json.loads(one.body)["result"]["list"]) == 1


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v5/market/instruments-info", 10001),
        ("/v5/market/instruments-info?category=linear", 10001),
        ("/v5/market/instruments-info?category=spot&symbol=NOPE", 10001),
        ("/v5/market/time", 0),
    ],
)
def test_an_answer_has_a_code(target: str, code: int) -> None:
    assert json.loads(Venue().dialect.requested(target, START).body)["retCode"] == code


def test_an_unknown_path_is_not_found() -> None:
    assert Venue().dialect.requested("/v5/market/nothing", START).status == 404


# -- what the topics say ---------------------------------------------------------------------------


def test_every_kind_of_frame_has_the_shape_that_the_venue_documents() -> None:
    venue = Venue()
    answer, snapshot = venue.subscribe(*BOTH)
    told = messages(venue.run(5 * SECOND))
    delta = next(
        one for one in told if one["type"] == "delta" and one["data"]["b"] and one["data"]["a"]
    )
    delta["data"]["a"] = []  # as in the sample
    trade = next(one for one in told if one["topic"].startswith("publicTrade"))
    [refusal] = venue.subscribe("publicTrade.NOPEUSDT")
    [pong] = venue.say({"op": "ping"})
    ours = [answer, refusal, pong, snapshot, delta, trade]
    documented = [
        DOCUMENTED_ACK,
        DOCUMENTED_REFUSAL,
        DOCUMENTED_PONG,
        DOCUMENTED_SNAPSHOT,
        DOCUMENTED_DELTA,
        DOCUMENTED_TRADE,
    ]
    assert list(map(shape, ours)) == [shape(json.loads(frame)) for frame in documented]


def test_frames_have_the_shape_of_captured_ones() -> None:
    """The captured lines are of linear, another product: only what both have is compared."""
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder")
    lines = (Path(folder) / "bybit" / "hftbacktest_v5_linear_3lines.txt").read_text().splitlines()
    captured = [json.loads(line.partition(" ")[2]) for line in lines]
    venue = Venue()
    snapshot = venue.subscribe(*BOTH)[-1]
    told = messages(venue.run(5 * SECOND))
    trade = next(one for one in told if one["topic"].startswith("publicTrade"))
    delta = next(
        one for one in told if one["type"] == "delta" and one["data"]["b"] and one["data"]["a"]
    )
    for ours, theirs in zip((snapshot, trade, delta), captured, strict=True):
        rows = theirs["data"]
        if isinstance(rows, list):
            for row in rows:
                del row["L"]  # linear's own: the direction of the tick
        assert _sorted(shape(ours)) == _sorted(shape(theirs))
        assert len(str(ours["ts"])) == len(str(theirs["ts"]))


def _sorted(value: object) -> object:
    """Without the order of the keys: linear puts `type` before `ts`."""
    if not isinstance(value, list):
        return value
    return sorted((str(_sorted(inner)) for inner in value), key=str)


@pytest.mark.parametrize("tells_what_left", [True, False])
@examples(8)
@given(seed=st.integers(0, 1000), steps=st.lists(st.integers(1, 700), min_size=3, max_size=10))
def test_deltas_chain_and_rebuild_the_best_of_the_true_book(
    tells_what_left: bool, seed: int, steps: list[int]
) -> None:
    venue = Venue("BTC-USDT", tells_what_left=tells_what_left, seed=seed)
    model, dialect = venue.model, venue.dialect
    history = TrueBookHistory(model.true_book("BTC-USDT"))
    snapshot = venue.subscribe(*BOTH)[-1]["data"]
    bids, asks = dict(snapshot["b"]), dict(snapshot["a"])
    u, last_time, now = snapshot["u"], 0, START
    printed: list[Print] = []
    trades: list[dict] = []  # type: ignore[type-arg]
    for step in steps:
        now += step * MILLISECOND
        changes = model.advance(now)
        dialect.advance(changes, now)
        printed += [change for change in changes if isinstance(change, Print)]
        history.record(change for change in changes if isinstance(change, LevelChange))
        for message in messages([frame for _, frame in dialect.outgoing()]):
            data = message["data"]
            if isinstance(data, list):
                assert len({row["T"] for row in data}) == 1
                trades += data
                continue
            assert (message["type"], data["u"]) == ("delta", u + 1)
            assert message["ts"] % 20 == 0
            assert message["ts"] > last_time
            u, last_time = data["u"], message["ts"]
            for side, levels in ((bids, data["b"]), (asks, data["a"])):
                for price, size in levels:
                    side[price] = size
                    if size == "0":
                        del side[price]
            for side, sign in ((bids, 1), (asks, -1)):
                for price in sorted(side, key=lambda text: sign * float(text))[:-50]:
                    assert not tells_what_left
                    del side[price]
            true = history.at(data["seq"]).copy()
            assert {float(p): float(s) for p, s in bids.items()} == dict(true.bids[:50])
            assert {float(p): float(s) for p, s in asks.items()} == dict(true.asks[:50])
    listing = model.listings[0]
    assert [(row["p"], row["v"], row["T"], row["S"]) for row in trades] == [
        (
            listing.price_text(one.price, listing.price_decimals),
            listing.size_text(one.size, listing.size_decimals),
            one.ts // MILLISECOND,
            "Buy" if one.buyer_took else "Sell",
        )
        for one in printed
    ]
    assert len({row["i"] for row in trades}) == len(trades)


def test_a_second_reader_gets_the_book_as_it_was_told_last() -> None:
    venue = Venue("BTC-USDT")
    venue.subscribe(BOTH[1])
    venue.run(SECOND + 10 * MILLISECOND)
    venue.dialect.opened("b", "/v5/public/spot", venue.now)
    snapshot = venue.say({"req_id": "1", "op": "subscribe", "args": [BOTH[1]]}, "b")[-1]
    following = messages(venue.run(SECOND))
    assert following[0]["data"]["u"] == snapshot["data"]["u"] + 1
    assert following[0]["ts"] > snapshot["ts"]


def test_the_deeper_book_speaks_more_rarely() -> None:
    venue = Venue("BTC-USDT")
    snapshot = venue.subscribe("orderbook.200.BTCUSDT")[-1]
    assert len(snapshot["data"]["b"]) == 200
    times = [message["ts"] for message in messages(venue.run(3 * SECOND))]
    assert 20 < len(times) <= 30
    assert all(time % 100 == 0 for time in times)


def test_a_restart_is_a_snapshot_with_the_id_one() -> None:
    venue = Venue("BTC-USDT")
    venue.subscribe(BOTH[1])
    venue.run(SECOND)
    venue.dialect.restart("BTC-USDT")
    told = messages([frame for _, frame in venue.dialect.outgoing()] + venue.run(SECOND))
    assert (told[0]["type"], told[0]["data"]["u"]) == ("snapshot", 1)
    assert [one["data"]["u"] for one in told[1:4]] == [2, 3, 4]


def test_ids_can_jump() -> None:
    venue = Venue("BTC-USDT")
    before = venue.subscribe(BOTH[1])[-1]["data"]["u"]
    venue.dialect.jump_sequence("BTC-USDT")
    assert messages(venue.run(SECOND))[0]["data"]["u"] == before + 2


def test_a_falsified_book_is_crossed_once_and_stays_fifty_deep() -> None:
    venue = Venue("BTC-USDT")
    bids = dict(venue.subscribe(BOTH[1])[-1]["data"]["b"])
    venue.dialect.falsify_book("BTC-USDT")
    ask = venue.model.book("BTC-USDT").asks[0][0]
    crossed = 0
    for message in messages(venue.run(2 * SECOND)):
        bids |= dict(message["data"]["b"])
        bids = {price: size for price, size in bids.items() if size != "0"}
        assert len(bids) == 50
        crossed += any(float(price) > ask * 1.0005 for price in bids)
    assert crossed == 1


def test_a_falsified_time_is_that_of_one_message() -> None:
    venue = Venue("BTC-USDT")
    venue.subscribe(BOTH[0])
    venue.dialect.falsify_trade_time("BTC-USDT", 3600 * SECOND)
    times = [one["data"][0]["T"] - START // MILLISECOND for one in messages(venue.run(SECOND))]
    assert 3_600_000 <= times[0] <= 3_601_000
    assert max(times[1:]) <= 1000


def test_an_unknown_message_has_the_venues_envelope() -> None:
    message = msgspec.json.decode(Venue().dialect.unknown_message("a").data)
    assert list(message) == ["topic", "ts", "type", "data"]
