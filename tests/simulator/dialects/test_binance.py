import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.binance import BinanceDialect
from simulator.frames import Close, Frame, Ping, Text
from simulator.listings import choose
from simulator.market_model import MarketModel

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND


class Venue:
    """A market and its dialect that move together."""

    def __init__(self, *symbols: str, max_age: int = 24 * 3600 * SECOND) -> None:
        self.model = MarketModel(choose(symbols or ("BTC-USDT", "ETH-BTC")), seed=7, start=START)
        self.dialect = BinanceDialect(self.model, max_age=max_age)
        self.now = START

    def run(self, length: int, step: int = 10 * MILLISECOND) -> list[tuple[str, Frame]]:
        out: list[tuple[str, Frame]] = []
        until = self.now + length
        while self.now < until:
            self.now = min(self.now + step, until)
            self.dialect.advance(self.model.advance(self.now), self.now)
            out += self.dialect.outgoing()
        return out

    def say(self, conn: str, message: object) -> object:
        """Send a message and return the last answer."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.dialect.received(conn, data, self.now)
        answers = [frame for _, frame in self.dialect.outgoing()]
        self.now += SECOND  # never too many messages a second
        return (
            json.loads(answers[-1].data) if answers and isinstance(answers[-1], Text) else answers
        )


def connected(*symbols: str, path: str = "/stream") -> Venue:
    venue = Venue(*symbols)
    venue.dialect.opened("a", path, venue.now)
    return venue


def messages(out: list[tuple[str, Frame]], conn: str = "a") -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(frame.data) for to, frame in out if to == conn and isinstance(frame, Text)]


def subscribe(*streams: str, identity: object = 1) -> dict[str, object]:
    return {"method": "SUBSCRIBE", "params": list(streams), "id": identity}


def test_subscribing_is_acknowledged_and_brings_both_channels() -> None:
    venue = connected()
    assert venue.say("a", subscribe("btcusdt@trade", "btcusdt@depth@100ms")) == {
        "result": None,
        "id": 1,
    }
    streams = {message["stream"] for message in messages(venue.run(2 * SECOND))}
    assert streams == {"btcusdt@trade", "btcusdt@depth@100ms"}


@pytest.mark.parametrize("identity", [None, 7, "abc123"])
def test_an_id_comes_back_as_it_was(identity: object) -> None:
    venue = connected()
    assert venue.say("a", subscribe("btcusdt@trade", identity=identity)) == {
        "result": None,
        "id": identity,
    }


def test_unsubscribing_ends_a_stream_and_the_list_shows_what_is_left() -> None:
    venue = connected()
    venue.say("a", subscribe("btcusdt@trade", "ethbtc@trade"))
    venue.say("a", {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 2})
    assert venue.say("a", {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {
        "result": ["ethbtc@trade"],
        "id": 3,
    }
    streams = {message["stream"] for message in messages(venue.run(2 * SECOND))}
    assert streams == {"ethbtc@trade"}


@pytest.mark.parametrize(
    "stream", ["nopeusdt@trade", "BTCUSDT@trade", "btcusdt@bookTicker", "xmrusdt@trade"]
)
def test_an_unknown_symbol_is_acknowledged_and_silent(stream: str) -> None:
    venue = connected("BTC-USDT", "XMR-USDT")
    assert venue.say("a", subscribe(stream)) == {"result": None, "id": 1}
    assert messages(venue.run(3 * SECOND)) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (subscribe("btcusdt"), 2),
        (subscribe("btcusdt@nonsense"), 2),
        (subscribe("btcusdt@trade", "x/y@trade"), 2),
        (subscribe(), 2),
        (subscribe("btcusdt@trade", identity="no spaces allowed"), 2),
        (subscribe("btcusdt@trade", identity=1.5), 2),
        ({"method": "SHOUT", "id": 1}, 2),
        ({"params": [], "id": 1}, 2),
        (b"{not json", 3),
        ({"method": "SET_PROPERTY", "params": ["loud", True], "id": 1}, 0),
    ],
)
def test_a_malformed_request_gets_an_error_with_its_code(message: object, code: int) -> None:
    answer = connected().say("a", message)
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == code
    assert set(answer) == {"error", "id"}


def test_a_connection_may_have_1024_streams_and_no_more() -> None:
    venue = connected()
    names = [f"coin{index}usdt@trade" for index in range(1024)]
    assert venue.say("a", subscribe(*names)) == {"result": None, "id": 1}
    answer = venue.say("a", subscribe("btcusdt@trade", identity=2))
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == 2


def test_a_sixth_message_within_a_second_ends_the_connection() -> None:
    venue = connected()
    for _ in range(3):
        venue.dialect.received("a", b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now)
    venue.dialect.ponged("a", b"", venue.now)
    venue.dialect.pinged("a", venue.now)
    assert len(venue.dialect.outgoing()) == 3
    venue.dialect.received("a", b'{"method":"LIST_SUBSCRIPTIONS","id":1}', venue.now + SECOND // 2)
    assert [frame for _, frame in venue.dialect.outgoing()] == [Close(1008, "Too many requests")]
    venue.dialect.received("a", b"anything", venue.now)
    assert venue.run(SECOND) == []


def test_five_messages_every_second_are_allowed() -> None:
    venue = connected()
    for index in range(20):
        now = venue.now + index * SECOND // 5
        venue.dialect.received("a", b'{"method":"LIST_SUBSCRIPTIONS","id":1}', now)
    assert not [frame for _, frame in venue.dialect.outgoing() if isinstance(frame, Close)]


def test_a_ping_comes_every_twenty_seconds_and_must_be_answered_within_a_minute() -> None:
    venue = connected()
    pings = [frame for _, frame in venue.run(61 * SECOND) if isinstance(frame, Ping)]
    assert len(pings) == 3
    venue.dialect.ponged("a", pings[0].payload, venue.now)
    ends = [frame for _, frame in venue.run(90 * SECOND) if isinstance(frame, Close)]
    assert ends == [Close(1008, "Pong timeout")]


def test_a_connection_is_cut_when_it_is_a_day_old() -> None:
    venue = Venue("LTC-BTC", max_age=30 * SECOND)
    venue.dialect.opened("a", "/stream", venue.now)
    frames = [frame for _, frame in venue.run(40 * SECOND, SECOND)]
    assert Close(1001, "Going away") in frames


def test_a_shutdown_is_announced_and_ends_only_the_connections_of_then() -> None:
    venue = connected()
    venue.dialect.opened("raw", "/ws/btcusdt@trade", venue.now)
    venue.dialect.shut_down(venue.now, 5 * SECOND)
    out = venue.dialect.outgoing()
    milliseconds = venue.now // MILLISECOND
    notice = {"e": "serverShutdown", "E": milliseconds}
    assert messages(out, "a") == [{"stream": "!serverShutdown", "data": notice}]
    assert messages(out, "raw") == [notice]
    venue.dialect.opened("later", "/stream", venue.now + SECOND)
    ends = {conn for conn, frame in venue.run(10 * SECOND) if isinstance(frame, Close)}
    assert ends == {"a", "raw"}


def test_streams_may_stand_in_the_address() -> None:
    venue = connected(path="/stream?streams=btcusdt@trade/ethbtc@depth@100ms")
    streams = {message["stream"] for message in messages(venue.run(2 * SECOND))}
    assert streams == {"btcusdt@trade", "ethbtc@depth@100ms"}


def test_a_raw_connection_has_no_envelope_until_it_asks() -> None:
    venue = connected(path="/ws/btcusdt@trade")
    assert {message["e"] for message in messages(venue.run(SECOND))} == {"trade"}
    venue.say("a", {"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})
    assert venue.say("a", {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {
        "result": True,
        "id": 2,
    }
    assert {message["stream"] for message in messages(venue.run(SECOND))} == {"btcusdt@trade"}


def test_a_message_is_encoded_once_for_all_connections() -> None:
    venue = connected(path="/stream?streams=btcusdt@trade")
    venue.dialect.opened("b", "/stream?streams=btcusdt@trade", venue.now)
    out = venue.run(SECOND)
    ours = [frame for conn, frame in out if conn == "a"]
    theirs = [frame for conn, frame in out if conn == "b"]
    assert ours
    assert all(one is other for one, other in zip(ours, theirs, strict=True))


def test_a_closed_connection_hears_nothing() -> None:
    venue = connected(path="/stream?streams=btcusdt@trade/btcusdt@depth@100ms")
    venue.dialect.closed("a")
    venue.dialect.closed("a")
    assert venue.run(SECOND) == []


@pytest.mark.parametrize("path", ["/", "/streams", "/api/v3/ping", "/wsx"])
def test_a_handshake_elsewhere_is_refused(path: str) -> None:
    refusal = Venue().dialect.refusal(path)
    assert refusal is not None
    assert refusal.status == 404


SHARED = connected()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_message_gets_an_answer_and_breaks_nothing(data: bytes) -> None:
    SHARED.dialect.opened("a", "/stream", START)
    SHARED.dialect.received("a", data, START)
    assert len(SHARED.dialect.outgoing()) == 1
