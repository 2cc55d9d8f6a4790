"""HTX's dialect: what it answers, its silences and limits, and its list of symbols."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.htx import HtxDialect
from simulator.frames import Binary, Close, Frame
from simulator.listings import choose
from simulator.market_model import MarketModel

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
TRADES, BOOK = "market.btcusdt.trade.detail", "market.btcusdt.mbp.150"


class Venue:
    """A market and its dialect that move together; `/ws` and `/feed` are connected."""

    def __init__(self, *symbols: str) -> None:
        listings = choose(symbols or ("BTC-USDT", "ETH-BTC", "XMR-USDT"))
        self.model = MarketModel(listings, seed=7, start=START)
        self.dialect = HtxDialect(self.model)
        self.now = START
        for conn in ("/ws", "/feed"):
            self.dialect.opened(conn, conn, self.now)

    def run(
        self, length: int, step: int = 10 * MILLISECOND, *, pongs: bool = True
    ) -> list[tuple[str, Frame]]:
        """Let time pass and answer every ping."""
        out: list[tuple[str, Frame]] = []
        until = self.now + length
        while self.now < until:
            self.now = min(self.now + step, until)
            self.dialect.advance(self.model.advance(self.now), self.now)
            new = self.dialect.outgoing()
            for conn, message in messages(new) if pongs else ():
                if "ping" in message:
                    self.dialect.received(conn, encoded({"pong": message["ping"]}), self.now)
            out += new
        return out

    def say(self, conn: str, message: object, *, later: int = 200 * MILLISECOND) -> list[dict]:  # type: ignore[type-arg]
        """Send a message and return the answers."""
        self.dialect.received(conn, encoded(message), self.now)
        answers = [message for _, message in messages(self.dialect.outgoing())]
        self.now += later
        return answers


def encoded(message: object) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def messages(out: list[tuple[str, Frame]]) -> list[tuple[str, dict]]:  # type: ignore[type-arg]
    """Unpack what is no close; every frame is one gzip member in a binary message."""
    assert all(isinstance(frame, Binary | Close) for _, frame in out)
    return [
        (conn, json.loads(zlib.decompress(frame.data, 31)))
        for conn, frame in out
        if isinstance(frame, Binary)
    ]


def told(out: list[tuple[str, Frame]], conn: str) -> list[dict]:  # type: ignore[type-arg]
    return [message for to, message in messages(out) if to == conn and "ch" in message]


@pytest.mark.parametrize("identity", [None, 7, "id1"])
def test_a_subscription_is_acknowledged_with_its_id(identity: object) -> None:
    venue = Venue()
    [answer] = venue.say("/ws", {"sub": TRADES, "id": identity})
    assert answer == {
        "id": identity, "status": "ok", "subbed": TRADES, "ts": START // MILLISECOND,
    }  # fmt: skip
    assert {message["ch"] for message in told(venue.run(2 * SECOND), "/ws")} == {TRADES}


def test_unsubscribing_ends_a_topic() -> None:
    venue = Venue()
    venue.say("/feed", {"sub": BOOK, "id": "1"})
    assert told(venue.run(SECOND), "/feed")
    [answer] = venue.say("/feed", {"unsub": BOOK, "id": "2"})
    assert (answer["status"], answer["unsubbed"]) == ("ok", BOOK)
    assert told(venue.run(SECOND), "/feed") == []
    [answer] = venue.say("/feed", {"unsub": BOOK, "id": "3"})
    assert answer["status"] == "error"


@pytest.mark.parametrize(
    ("conn", "topic", "text"),
    [
        ("/ws", "market.lmrusdt.trade.detail", "invalid symbol lmrusdt"),
        ("/feed", "market.lmrusdt.mbp.150", "invalid mbp.150.symbol lmrusdt"),
        ("/ws", "market.BTCUSDT.trade.detail", "invalid symbol BTCUSDT"),
        ("/ws", BOOK, f"invalid topic {BOOK}"),
        ("/feed", TRADES, f"invalid topic {TRADES}"),
        ("/ws", "market.btcusdt.news", "invalid topic market.btcusdt.news"),
        ("/ws", "btcusdt", "invalid topic btcusdt"),
    ],
)
def test_a_wrong_topic_is_refused_by_name_and_the_others_go_on(
    conn: str, topic: str, text: str
) -> None:
    venue = Venue()
    right = TRADES if conn == "/ws" else BOOK
    venue.say(conn, {"sub": right, "id": "1"})
    [answer] = venue.say(conn, {"sub": topic, "id": "2"})
    assert answer == {
        "status": "error",
        "ts": answer["ts"],
        "id": "2",
        "err-code": "bad-request",
        "err-msg": text,
    }
    assert {message["ch"] for message in told(venue.run(SECOND), conn)} == {right}


def test_a_halted_market_is_acknowledged_and_silent() -> None:
    venue = Venue()
    for conn, topic in (
        ("/ws", "market.xmrusdt.trade.detail"),
        ("/feed", "market.xmrusdt.mbp.150"),
    ):
        [answer] = venue.say(conn, {"sub": topic, "id": "1"})
        assert answer["status"] == "ok"
        assert venue.say(conn, {"req": topic, "id": "2"}) == []
        assert told(venue.run(3 * SECOND), conn) == []


@pytest.mark.parametrize("kind", ["kline.1min", "depth.step0", "bbo", "detail"])
def test_a_topic_that_is_not_simulated_is_acknowledged_and_silent(kind: str) -> None:
    venue = Venue()
    [answer] = venue.say("/ws", {"sub": f"market.btcusdt.{kind}", "id": "1"})
    assert answer["status"] == "ok"
    assert told(venue.run(2 * SECOND), "/ws") == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"sub":5}', b"{}", b"[" * 9999])
def test_nonsense_is_refused(data: bytes) -> None:
    [answer] = Venue().say("/ws", data)
    assert answer["status"] == "error"


SHARED = Venue()


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["sub", "req", "unsub", "pong", "id"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_message_breaks_nothing(data: bytes) -> None:
    SHARED.dialect.opened("a", "/ws", START)
    SHARED.dialect.received("a", data, START)
    assert len(messages(SHARED.dialect.outgoing())) <= 1
    SHARED.dialect.closed("a")


def test_one_request_in_a_hundred_milliseconds_is_answered() -> None:
    venue = Venue()
    apart = 50 * MILLISECOND
    statuses = [
        venue.say("/feed", {"req": BOOK, "id": str(number)}, later=apart)[0]["status"]
        for number in range(4)
    ]
    assert statuses == ["ok", "error", "ok", "error"]


def test_a_ping_comes_every_five_seconds_to_both() -> None:
    pings = [conn for conn, message in messages(Venue().run(21 * SECOND)) if "ping" in message]
    assert pings == ["/ws", "/feed"] * 4


def test_who_leaves_two_pings_unanswered_is_closed_at_the_third() -> None:
    venue = Venue()
    out = venue.run(16 * SECOND, pongs=False)
    assert [(conn, frame) for conn, frame in out if isinstance(frame, Close)] == [
        ("/ws", Close(1003, "ping check expired")),
        ("/feed", Close(1003, "ping check expired")),
    ]
    assert venue.run(SECOND) == []


def test_a_pong_of_another_form_is_none() -> None:
    venue = Venue()
    venue.run(11 * SECOND, pongs=False)
    for wrong in ({"op": "pong", "ts": 1}, {"pong": 1}, {"pong": "x"}):
        venue.say("/ws", wrong, later=0)
    ends = [conn for conn, frame in venue.run(5 * SECOND) if isinstance(frame, Close)]
    assert "/ws" in ends


def test_the_end_is_not_announced_and_only_for_the_connections_of_then() -> None:
    venue = Venue()
    venue.dialect.shut_down(venue.now, 3 * SECOND)
    assert venue.dialect.outgoing() == []
    venue.dialect.opened("later", "/ws", venue.now)
    ends = {conn for conn, frame in venue.run(4 * SECOND) if isinstance(frame, Close)}
    assert ends == {"/ws", "/feed"}


def test_a_refused_symbol_is_refused_for_its_time_and_old_subscriptions_go_on() -> None:
    venue = Venue()
    venue.say("/ws", {"sub": TRADES, "id": "1"})
    venue.dialect.refuse_symbol("BTC-USDT", venue.now + SECOND)
    [answer] = venue.say("/feed", {"sub": BOOK, "id": "1"})
    assert answer["err-msg"] == "invalid mbp.150.symbol btcusdt"
    assert told(venue.run(2 * SECOND), "/ws")
    [answer] = venue.say("/feed", {"sub": BOOK, "id": "2"})
    assert answer["status"] == "ok"


def test_a_frame_is_packed_once_for_all_connections() -> None:
    venue = Venue()
    venue.dialect.opened("other", "/feed", venue.now)
    for conn in ("/feed", "other"):
        venue.say(conn, {"sub": BOOK, "id": "1"})
    out = [
        (conn, frame)
        for conn, frame in venue.run(SECOND)
        if isinstance(frame, Binary) and frame.channel
    ]
    ours = [frame for conn, frame in out if conn == "/feed"]
    assert ours
    assert all(
        one is two
        for one, two in zip(ours, [frame for conn, frame in out if conn == "other"], strict=True)
    )


def test_frames_name_their_channel_and_symbol_and_answers_do_not() -> None:
    venue = Venue()
    places = set()
    for conn, topic in (("/ws", TRADES), ("/feed", BOOK)):
        venue.dialect.received(conn, encoded({"sub": topic, "id": "1"}), venue.now)
    for _, frame in venue.dialect.outgoing() + venue.run(6 * SECOND):
        assert isinstance(frame, Binary)
        places.add((frame.channel, frame.symbol))
    assert places == {("", ""), ("trade", "BTC-USDT"), ("depth", "BTC-USDT")}


def test_a_closed_connection_hears_nothing() -> None:
    venue = Venue()
    venue.say("/feed", {"sub": BOOK, "id": "1"})
    for _ in range(2):
        venue.dialect.closed("/feed")
        venue.dialect.closed("/ws")
    assert venue.run(6 * SECOND) == []
    assert venue.say("/feed", {"req": BOOK, "id": "1"}) == []


def test_websocket_pings_and_pongs_are_nothing_to_it() -> None:
    venue = Venue()
    venue.dialect.pinged("/ws", venue.now)
    venue.dialect.ponged("/ws", b"", venue.now)
    assert venue.dialect.outgoing() == []


@pytest.mark.parametrize("path", ["/", "/stream", "/v1/common/symbols", "/wsx"])
def test_a_handshake_elsewhere_is_refused(path: str) -> None:
    refusal = Venue().dialect.refusal(path)
    assert refusal is not None
    assert refusal.status == 404
    assert Venue().dialect.refusal("/feed") is Venue().dialect.refusal("/ws?x=1") is None


def test_what_nobody_knows_has_the_envelope() -> None:
    frame = Venue().dialect.unknown_message("/ws")
    message = json.loads(zlib.decompress(frame.data, 31))
    assert message.keys() == {"ch", "ts", "tick"}


def test_the_list_of_symbols_tells_digits_and_who_is_halted() -> None:
    answer = Venue().dialect.requested("/v1/common/symbols", START)
    assert answer.status == 200
    content = json.loads(answer.body)
    assert content["status"] == "ok"
    symbols = {symbol["symbol"]: symbol for symbol in content["data"]}
    assert {name: symbol["state"] for name, symbol in symbols.items()} == {
        "btcusdt": "online",
        "ethbtc": "online",
        "xmrusdt": "offline",
    }
    ether = symbols["ethbtc"]
    assert (ether["base-currency"], ether["quote-currency"]) == ("eth", "btc")
    assert (ether["price-precision"], ether["amount-precision"]) == (5, 4)
    # As the documentation prints a row.
    documented = json.loads(
        '{"base-currency":"btc","quote-currency":"usdt","price-precision":2,"amount-precision":6,'
        '"symbol-partition":"main","symbol":"btcusdt","state":"online","value-precision":8,'
        '"min-order-amt":0.0001,"max-order-amt":1000,"min-order-value":5,'
        '"limit-order-min-order-amt":0.0001,"limit-order-max-order-amt":1000,'
        '"sell-market-min-order-amt":0.0001,"sell-market-max-order-amt":100,'
        '"buy-market-max-order-value":1000000,"api-trading":"enabled"}'
    )
    assert [(key, type(value)) for key, value in ether.items()] == [
        (key, type(value)) for key, value in documented.items()
    ]


def test_the_clock_is_told_and_the_rest_is_not_there() -> None:
    dialect = Venue().dialect
    clock = json.loads(dialect.requested("/v1/common/timestamp", START).body)
    assert clock == {"status": "ok", "data": START // MILLISECOND}
    assert dialect.requested("/market/tickers", START).status == 404
