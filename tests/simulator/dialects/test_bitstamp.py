"""Bitstamp from the server's side: answers, silences and limits, and the shape of its frames."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.bitstamp import MOST_CHANNELS, BitstampDialect
from simulator.frames import Close, Cut, Frame, Ping, Text
from simulator.listings import choose
from simulator.market_model import MarketModel
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND

# As Bitstamp's documentation prints them, or public clients of the interface do.
DOCUMENTED = {
    "trade": '{"data":{"id":93215787,"id_str":"93215787","amount":0.014140160000000001,'
    '"amount_str":"0.01414016","price":12700.0,"price_str":"12700.00","type":1,'
    '"timestamp":"1562650233","microtimestamp":"1562650233964229","buy_order_id":3709484695,'
    '"sell_order_id":3709484799},"channel":"live_trades_btcusd","event":"trade"}',
    "top": '{"data":{"timestamp":"1789457617","microtimestamp":"1789457617906487",'
    '"bids":[["77188","0.41122"],["77183","0.32386"]],"asks":[["77189","0.41124"]]},'
    '"channel":"order_book_btcusd","event":"data"}',
    "diff": '{"data":{"timestamp":"1789456316","microtimestamp":"1789456316507635",'
    '"bids":[["77049","0.00000000"]],"asks":[["77050","0.1"]]},'
    '"channel":"diff_order_book_btcusd","event":"data"}',
    "snapshot": '{"timestamp":"1789456316","microtimestamp":"1789456316401022",'
    '"bids":[["77048","0.10000000"]],"asks":[["77409","1.00000000"]]}',
    "subscribed": '{"event":"bts:subscription_succeeded","channel":"order_book_btcusd","data":{}}',
    "unsubscribed": '{"event":"bts:unsubscription_succeeded","channel":"order_book_btcusd",'
    '"data":{}}',
    "error": '{"event":"bts:error","channel":"",'
    '"data":{"code":null,"message":"Invalid channel provided."}}',
    "heartbeat": '{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}',
    "reconnect": '{"event":"bts:request_reconnect","channel":"","data":null}',
    "markets": '[{"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC",'
    '"base_decimals":8,"counter_currency":"USD","counter_decimals":2,'
    '"minimum_order_value":"10","trading":"Enabled","instant_order_counter_decimals":2,'
    '"instant_and_market_orders":"Enabled","description":"Bitcoin / U.S. dollar",'
    '"market_type":"SPOT"}]',
}


def shape(value: object) -> object:
    """Return keys, nesting and scalar types; an int may stand for a number with no fraction."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


class Venue:
    """A market and its dialect that move together, and one client."""

    def __init__(self, *symbols: str, max_age: int = 90 * 24 * 3600 * SECOND) -> None:
        self.model = MarketModel(choose(symbols or ("BTC-USDT", "ETH-BTC")), seed=7, start=START)
        self.dialect = BitstampDialect(self.model, max_age=max_age)
        self.now = START
        self.dialect.opened("a", "/", START)

    def run(self, length: int, step: int = 10 * MILLISECOND) -> list[Frame]:
        out: list[Frame] = []
        until = self.now + length
        while self.now < until:
            self.now = min(self.now + step, until)
            self.dialect.advance(self.model.advance(self.now), self.now)
            out += [frame for _, frame in self.dialect.outgoing()]
        return out

    def say(self, message: object) -> list[Frame]:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.dialect.received("a", data, self.now)
        return [frame for _, frame in self.dialect.outgoing()]

    def subscribe(self, *channels: str) -> None:
        for channel in channels:
            [answer] = map(read, self.say(subscribe(channel)))
            assert answer == {
                "event": "bts:subscription_succeeded",
                "channel": channel,
                "data": {},
            }

    def get(self, path: str) -> object:
        answer = self.dialect.requested(path, self.now)
        assert answer.status == 200
        return json.loads(answer.body)


def read(frame: Frame) -> dict:  # type: ignore[type-arg]
    assert isinstance(frame, Text)
    return json.loads(frame.data)  # type: ignore[no-any-return]


def subscribe(channel: str, event: str = "bts:subscribe") -> dict[str, object]:
    return {"event": event, "data": {"channel": channel}}


def simulated() -> dict[str, object]:
    """Return one message of each kind; books have levels on both sides."""
    venue = Venue("BTC-USDT")
    said: dict[str, object] = {
        "subscribed": read(venue.say(subscribe("order_book_btcusdt"))[0]),
        "error": read(venue.say(subscribe("order_book_BTC/USDT"))[0]),
        "heartbeat": read(venue.say({"event": "bts:heartbeat"})[0]),
        "markets": venue.get("/api/v2/markets/"),
        "snapshot": venue.get("/api/v2/order_book/btcusdt/?group=1"),
    }
    venue.subscribe("live_trades_btcusdt", "diff_order_book_btcusdt")
    frames = [read(frame) for frame in venue.run(5 * SECOND)]
    for kind, prefix in (("trade", "live"), ("top", "order"), ("diff", "diff")):
        said[kind] = next(
            one
            for one in frames
            if one["channel"].startswith(prefix)
            and (kind == "trade" or (one["data"]["bids"] and one["data"]["asks"]))
        )
    said["unsubscribed"] = read(venue.say(subscribe("order_book_btcusdt", "bts:unsubscribe"))[0])
    venue.dialect.shut_down(venue.now, SECOND)
    said["reconnect"] = read(venue.dialect.outgoing()[0][1])
    return said


@pytest.mark.parametrize("kind", sorted(DOCUMENTED))
def test_a_frame_has_the_shape_of_the_documented_one(kind: str) -> None:
    assert shape(simulated()[kind]) == shape(json.loads(DOCUMENTED[kind]))


@pytest.fixture
def captured() -> dict[str, object]:
    """One captured message of each kind, by the same names."""
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder of captures")
    kinds: dict[str, object] = {}
    for name in ("ws.1.0", "http.0.0"):
        lines = (Path(folder) / f"bitstamp/cryptofeed_BITSTAMP.{name}").read_text().splitlines()
        for line in lines:
            head, _, text = line.partition(": ")
            if not text.startswith("{") or " <- " in head:
                continue
            message = json.loads(text)
            data = message.get("data", message)
            if "bids" in data and not (data["bids"] and data["asks"]):
                continue
            kind = {
                "data": "diff",
                "trade": "trade",
                "bts:subscription_succeeded": "subscribed",
            }.get(message.get("event"), "snapshot")
            kinds.setdefault(kind, message)
    return kinds


@pytest.mark.parametrize("kind", ["diff", "snapshot", "subscribed", "trade"])
def test_a_frame_has_the_shape_of_the_captured_one(kind: str, captured: dict[str, object]) -> None:
    ours = shape(simulated()[kind])
    if kind == "trade":  # the capture is of 2022: trades had no `id_str` yet
        assert isinstance(ours, dict)
        assert ours["data"].pop("id_str") == "str"
    assert ours == shape(captured[kind])


# -- the session -------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["order_book_nosuch", "live_trades_xmrusdt"])
def test_an_unknown_or_halted_market_is_acknowledged_and_silent(channel: str) -> None:
    venue = Venue("BTC-USDT", "XMR-USDT")
    venue.subscribe(channel)
    assert venue.run(5 * SECOND) == []


def test_nothing_is_sent_before_a_book_changes() -> None:
    venue = Venue("LTC-BTC")
    venue.subscribe("order_book_ltcbtc", "diff_order_book_ltcbtc")
    frames = venue.run(30 * SECOND)
    assert len(frames) in {0, 2}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"{", "Incorrect JSON format."),
        (b"\xff", "Incorrect JSON format."),
        (b"[]", "Bad subscription string."),
        ({"event": "bts:dance"}, "Bad subscription string."),
        ({"event": "bts:subscribe"}, "Bad subscription string."),
        ({"event": "bts:subscribe", "data": {"channel": 1}}, "Bad subscription string."),
        (subscribe("order_book_BTCUSD"), "Invalid channel provided."),
        (subscribe("order_book_btc/usd"), "Invalid channel provided."),
        (subscribe("private-my_orders_btcusd"), "Connection is unauthorized."),
    ],
)
def test_a_wrong_message_is_an_error_that_names_nothing(message: object, text: str) -> None:
    venue = Venue()
    [error] = map(read, venue.say(message))
    assert (error["event"], error["channel"], error["data"]["message"]) == ("bts:error", "", text)
    venue.subscribe("order_book_btcusdt")


def test_a_frame_of_512_bytes_is_too_long() -> None:
    venue = Venue()
    text = json.dumps(subscribe("order_book_btcusdt"))
    assert len(venue.say((text + " " * (511 - len(text))).encode())) == 1
    assert venue.say((text + " " * (512 - len(text))).encode()) == [
        Close(1009, "read limited at 513 bytes")
    ]
    assert venue.say(subscribe("order_book_btcusdt")) == []


def test_a_channel_too_many_ends_the_connection_without_a_word() -> None:
    venue = Venue()
    for number in range(MOST_CHANNELS):
        venue.say(subscribe(f"live_trades_c{number}"))
    assert len(venue.say(subscribe("live_trades_c1"))) == 1
    assert venue.say(subscribe("live_trades_onemore")) == [Cut()]


def test_unsubscribing_ends_a_channel() -> None:
    venue = Venue()
    venue.subscribe("order_book_btcusdt")
    assert venue.run(SECOND)
    venue.say(subscribe("order_book_btcusdt", "bts:unsubscribe"))
    assert venue.run(SECOND) == []


def test_a_client_that_answers_no_ping_is_cut() -> None:
    venue = Venue()
    frames = venue.run(120 * SECOND, SECOND)
    assert [type(frame) for frame in frames] == [Ping, Ping, Cut]


def test_connections_end_after_notice_or_for_their_age() -> None:
    venue = Venue()
    venue.dialect.shut_down(venue.now, SECOND)
    notice, end = venue.run(2 * SECOND)
    assert read(notice)["event"] == "bts:request_reconnect"
    assert isinstance(end, Close)
    [old] = Venue(max_age=3 * SECOND).run(4 * SECOND)
    assert isinstance(old, Close)


def test_only_the_root_has_channels() -> None:
    dialect = Venue().dialect
    assert dialect.refusal("/") is None
    assert dialect.refusal("") is None
    refusal = dialect.refusal("/stream")
    assert refusal is not None
    assert refusal.status == 404


# -- books -------------------------------------------------------------------------------------


def levels(message: dict) -> dict[str, dict[float, float]]:  # type: ignore[type-arg]
    return {
        side: {float(price): float(size) for price, size in message[side]}
        for side in ("bids", "asks")
    }


def true_levels(venue: Venue, symbol: str) -> dict[str, dict[float, float]]:
    copy = venue.model.book(symbol)
    return {"bids": dict(copy.bids), "asks": dict(copy.asks)}


def test_snapshot_and_changes_give_the_true_book() -> None:
    venue = Venue()
    venue.subscribe("diff_order_book_btcusdt")
    venue.run(SECOND + 50 * MILLISECOND)
    snapshot = venue.get("/api/v2/order_book/btcusdt/")
    assert isinstance(snapshot, dict)
    book = levels(snapshot)
    assert book == true_levels(venue, "BTC-USDT")
    last = int(snapshot["microtimestamp"])
    for frame in venue.run(5 * SECOND - 50 * MILLISECOND):
        data = read(frame)["data"]
        if int(data["microtimestamp"]) <= last:
            continue
        last = int(data["microtimestamp"])
        for side, changed in levels(data).items():
            book[side].update(changed)
            book[side] = {price: size for price, size in book[side].items() if size}
    assert book == true_levels(venue, "BTC-USDT")


def test_a_whole_message_is_the_best_hundred_levels() -> None:
    venue = Venue()
    venue.subscribe("order_book_btcusdt")
    stamps = []
    for _ in range(30):
        frames = [read(frame)["data"] for frame in venue.run(100 * MILLISECOND)]
        stamps += [int(data["microtimestamp"]) for data in frames]
        copy = venue.model.book("BTC-USDT")
        for data in frames[-1:]:
            shown = {side: list(one.items()) for side, one in levels(data).items()}
            assert shown == {"bids": copy.bids[:100], "asks": copy.asks[:100]}
    assert len(stamps) > 20
    assert stamps == sorted(set(stamps))


def test_a_falsified_book_is_crossed_once_and_a_falsified_time_is_told() -> None:
    venue = Venue()
    venue.subscribe("order_book_btcusdt", "live_trades_btcusdt")
    venue.dialect.falsify_book("BTC-USDT")
    venue.dialect.falsify_trade_time("BTC-USDT", 3600 * SECOND)
    frames = [read(frame) for frame in venue.run(3 * SECOND)]
    books = [levels(one["data"]) for one in frames if one["event"] == "data"]
    crossed = [max(book["bids"]) >= min(book["asks"]) for book in books]
    assert crossed == [True] + [False] * (len(books) - 1)
    times = [int(one["data"]["microtimestamp"]) for one in frames if one["event"] == "trade"]
    assert times[0] - times[1] > 3500 * 1_000_000


# -- REST --------------------------------------------------------------------------------------


def test_the_list_says_what_trades() -> None:
    listed = Venue("BTC-USDT", "XMR-USDT").get("/api/v2/markets/")
    assert isinstance(listed, list)
    assert [(one["market_symbol"], one["trading"]) for one in listed] == [
        ("btcusdt", "Enabled"),
        ("xmrusdt", "Disabled"),
    ]


def test_the_same_address_is_answered_from_the_cache_for_a_second() -> None:
    venue = Venue()
    first = venue.get("/api/v2/order_book/btcusdt/?group=1")
    venue.run(900 * MILLISECOND)
    assert venue.get("/api/v2/order_book/btcusdt/?group=1") == first
    assert venue.get("/api/v2/order_book/btcusdt/?group=1&fresh=1") != first
    venue.run(200 * MILLISECOND)
    assert venue.get("/api/v2/order_book/btcusdt/?group=1") != first


def test_an_unknown_market_has_no_book() -> None:
    venue = Venue()
    for path in ("/api/v2/order_book/nosuch/", "/api/v3/depth"):
        answer = venue.dialect.requested(path, venue.now)
        assert answer.status == 404
        assert answer.body.startswith(b"<!DOCTYPE html>")


def test_too_many_requests_are_refused() -> None:
    venue = Venue()
    statuses = [venue.dialect.requested("/api/v2/markets/", START).status for _ in range(401)]
    assert statuses == [200] * 400 + [400]
    dialect = BitstampDialect(venue.model, requests_per_period=3)
    answers = [dialect.requested("/api/v2/markets/", START + at * SECOND) for at in range(4)]
    assert json.loads(answers[-1].body)["response_code"] == "400.002"
    assert dialect.requested("/api/v2/markets/", START + 600 * SECOND).status == 200


def test_a_refused_symbol_is_silent_and_has_no_book_for_a_while() -> None:
    venue = Venue()
    venue.dialect.refuse_symbol("BTC-USDT", START + SECOND)
    venue.subscribe("order_book_btcusdt")
    assert venue.dialect.requested("/api/v2/order_book/btcusdt/", START).status == 404
    assert venue.run(2 * SECOND) == []
    venue.get("/api/v2/order_book/btcusdt/?fresh=2")
    venue.subscribe("order_book_btcusdt")
    assert venue.run(2 * SECOND)


# -- anything ----------------------------------------------------------------------------------


@examples(40)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda event, channel: json.dumps(subscribe(channel, event)).encode(),
                st.sampled_from(["bts:subscribe", "bts:unsubscribe", "bts:heartbeat", ""]),
                st.sampled_from(["order_book_btcusdt", "live_trades_nosuch", "", "x" * 600]),
            ),
        ),
        max_size=10,
    )
)
def test_any_message_gets_an_answer_or_the_end(messages: list[bytes]) -> None:
    venue = Venue("BTC-USDT")
    is_open = True
    for message in messages:
        answers = venue.say(message)
        assert len(answers) == int(is_open)
        is_open = is_open and isinstance(answers[0], Text)
        if is_open:
            assert read(answers[0])["event"].startswith("bts:")
