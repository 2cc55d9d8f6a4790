"""Massive's crypto cluster from the server's side: what it says, and what it does not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from simulator.dialects.massive import LOGIN_WITHIN, TOO_MANY, MassiveDialect
from simulator.frames import Close, Cut, Frame, Text
from simulator.listings import LISTINGS, choose
from simulator.market_model import MarketModel

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
KEY = "the-key"
LIST = "/v3/reference/tickers?market=crypto&active=true"
EVENT = dict[str, Any]

# As venues' documents and clients show them, one of each kind.
DOCUMENTED: dict[str, EVENT] = {
    "status": {"ev": "status", "status": "connected", "message": "Connected Successfully"},
    "XT": {
        "ev": "XT", "pair": "BTC-USD", "p": 33021.9, "t": 1610462007425, "s": 0.01616617,
        "c": [2], "i": "14272084", "x": 3, "r": 1610462007576,
    },
    "XQ": {
        "ev": "XQ", "pair": "BTC-USD", "bp": 33052.79, "bs": 0.48, "ap": 33073.19, "as": 0.601,
        "t": 1610462411115, "x": 1, "r": 1610462411128,
    },
    "XA": {
        "ev": "XA", "pair": "BCD-USD", "v": 951.6112, "vw": 0.7756, "z": 73, "o": 0.772,
        "c": 0.784, "h": 0.784, "l": 0.771, "s": 1610463240000, "e": 1610463300000,
    },
}  # fmt: skip
DOCUMENTED["XAS"] = DOCUMENTED["XA"]
DOCUMENTED_PAGE = {
    "results": [
        {
            "ticker": "X:BTCUSD", "name": "Bitcoin - United States dollar", "market": "crypto",
            "locale": "global", "active": True, "currency_symbol": "USD",
            "currency_name": "United States dollar", "base_currency_symbol": "BTC",
            "base_currency_name": "Bitcoin", "last_updated_utc": "2026-11-20T00:00:00Z",
        }
    ],
    "status": "OK",
    "request_id": "31d59dda80e5457195072dc8b3b2a9d6",
    "count": 1,
    "next_url": "https://api.massive.com/v3/reference/tickers?cursor=YWN0aXZl",
}  # fmt: skip


class Venue:
    """A market and its dialect that move together."""

    def __init__(self, *symbols: str, connections: int = 1, max_age: int = 10**18) -> None:
        chosen = choose(symbols or ("BTC-USDT", "ETH-BTC"))
        self.model = MarketModel(chosen, seed=7, start=START)
        self.dialect = MassiveDialect(self.model, key=KEY, connections=connections, max_age=max_age)
        self.now = START

    def run(self, length: int, step: int = 10 * MILLISECOND) -> list[tuple[str, Frame]]:
        out: list[tuple[str, Frame]] = []
        until = self.now + length
        while self.now < until:
            self.now = min(self.now + step, until)
            self.dialect.advance(self.model.advance(self.now), self.now)
            out += self.dialect.outgoing()
        return out

    def open(self, conn: str = "a", *, key: str = KEY) -> list[Frame]:
        """Connect and log in."""
        self.dialect.opened(conn, "/crypto", self.now)
        return self.say(conn, "auth", key)

    def say(self, conn: str, action: str, params: str) -> list[Frame]:
        """Send a message and return what the connection is told."""
        data = json.dumps({"action": action, "params": params}).encode()
        self.dialect.received(conn, data, self.now)
        return [frame for to, frame in self.dialect.outgoing() if to == conn]


def events(frames: list[Frame]) -> list[EVENT]:
    return [one for frame in frames if isinstance(frame, Text) for one in json.loads(frame.data)]


def told(frames: list[Frame]) -> list[tuple[str, str]]:
    return [(one["status"], one["message"]) for one in events(frames) if one["ev"] == "status"]


def of(out: list[tuple[str, Frame]], conn: str = "a") -> list[Frame]:
    return [frame for to, frame in out if to == conn]


def subscribed(*symbols: str, params: str = "XT.*,XQ.*,XA.*,XAS.*") -> Venue:
    venue = Venue(*symbols)
    venue.open()
    venue.say("a", "subscribe", params)
    return venue


# -- the session -----------------------------------------------------------------------------------


def test_a_client_is_greeted_logged_in_and_confirmed_one_by_one() -> None:
    venue = Venue()
    assert told(venue.open()) == [
        ("connected", "Connected Successfully"),
        ("auth_success", "authenticated"),
    ]
    assert told(venue.say("a", "subscribe", "XT.BTC-USDT,XQ.BTC-USDT")) == [
        ("success", "subscribed to: XT.BTC-USDT"),
        ("success", "subscribed to: XQ.BTC-USDT"),
    ]
    kinds = {one["ev"] for one in events(of(venue.run(2 * SECOND)))}
    assert kinds == {"XT", "XQ"}
    assert told(venue.say("a", "unsubscribe", "XT.BTC-USDT")) == [
        ("success", "unsubscribed to: XT.BTC-USDT")
    ]
    assert {one["ev"] for one in events(of(venue.run(2 * SECOND)))} == {"XQ"}


@pytest.mark.parametrize(
    ("param", "answers"),
    [
        ("XT.NO-SUCH", 1),  # confirmed, and then nothing
        ("XT.XMR-USDT", 1),  # halted
        ("ZZ.BTC-USDT", 0),
        ("XL2.BTC-USDT", 0),
        ("nonsense", 0),
        ("XT.BTC-USDT", 0),  # held already
    ],
)
def test_what_is_not_there_is_silent(param: str, answers: int) -> None:
    venue = Venue("BTC-USDT", "XMR-USDT")
    venue.open()
    venue.say("a", "subscribe", "XT.BTC-USDT")
    assert len(venue.say("a", "subscribe", param)) == answers
    assert {one["pair"] for one in events(of(venue.run(2 * SECOND)))} == {"BTC-USDT"}


def test_a_wrong_key_is_told_and_the_connection_lost_without_a_word() -> None:
    venue = Venue()
    frames = venue.open(key="wrong")
    assert told(frames)[-1] == ("auth_failed", "authentication failed")
    assert of(venue.run(10 * MILLISECOND)) == [Cut()]
    assert venue.say("a", "subscribe", "XT.*") == []


def test_nothing_is_subscribed_before_the_login() -> None:
    venue = Venue()
    venue.dialect.opened("a", "/crypto", venue.now)
    assert told(venue.say("a", "subscribe", "XT.*"))[-1] == ("error", "not authorized")
    frames = of(venue.run(LOGIN_WITHIN + 10 * MILLISECOND))
    assert told(frames) == [("auth_timeout", "authentication timed out")]
    assert frames[-1] == Cut()


def test_a_newcomer_takes_the_only_place() -> None:
    venue = subscribed()
    venue.dialect.opened("b", "/crypto", venue.now)
    login = json.dumps({"action": "auth", "params": KEY}).encode()
    venue.dialect.received("b", login, venue.now)
    out = venue.dialect.outgoing()
    assert told(of(out, "a")) == [("max_connections", TOO_MANY)]
    assert of(out, "a")[-1] == Close(1008, "max_connections")
    assert told(of(out, "b"))[-1] == ("auth_success", "authenticated")
    assert of(venue.run(SECOND), "a") == []


def test_an_account_with_more_places_holds_them() -> None:
    venue = Venue(connections=2)
    venue.open("a")
    venue.open("b")
    assert told(venue.say("a", "subscribe", "XT.BTC-USDT")) != []


def test_other_paths_are_not_there() -> None:
    dialect = Venue().dialect
    assert dialect.refusal("/crypto") is None
    assert dialect.refusal("/crypto/") is None
    for path in ("/", "/stocks", "/cryptos"):
        refusal = dialect.refusal(path)
        assert refusal is not None
        assert refusal.status == 404


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"action":5}', b'{"action":"dance"}'])
def test_nonsense_is_an_error_and_harms_nobody(data: bytes) -> None:
    venue = subscribed()
    venue.dialect.received("a", data, venue.now)
    [frame] = of(venue.dialect.outgoing())
    assert told([frame])[0][0] == "error"
    assert events(of(venue.run(SECOND)))


def test_an_end_has_no_announcement() -> None:
    venue = subscribed()
    venue.dialect.shut_down(venue.now, 2 * SECOND)
    assert Cut() not in of(venue.run(SECOND))
    assert of(venue.run(2 * SECOND))[-1] == Cut()
    old = Venue(max_age=5 * SECOND)
    old.open()
    assert of(old.run(6 * SECOND))[-1] == Cut()


# -- what only this venue does wrong ---------------------------------------------------------------


def test_keys_symbols_and_places_can_be_refused_for_a_while() -> None:
    venue = Venue("BTC-USDT")
    venue.dialect.refuse_keys(venue.now + SECOND)
    assert told(venue.open())[-1][0] == "auth_failed"
    venue.run(SECOND)
    assert told(venue.open())[-1][0] == "auth_success"

    venue.dialect.refuse_symbol("BTC-USDT", venue.now + SECOND)
    assert told(venue.say("a", "subscribe", "XT.BTC-USDT"))[0][0] == "success"
    assert of(venue.run(3 * SECOND)) == []

    venue.dialect.limit_connections(venue.now, venue.now + SECOND)
    assert told(of(venue.dialect.outgoing())) == [("max_connections", TOO_MANY)]
    assert told(venue.open("b"))[-1] == ("max_connections", TOO_MANY)
    venue.run(SECOND)
    assert told(venue.open("c"))[-1] == ("auth_success", "authenticated")
    venue.dialect.end_old(venue.now)
    assert of(venue.dialect.outgoing(), "c") == [Cut()]


# -- what is told is true --------------------------------------------------------------------------


def test_every_quote_is_the_true_book_at_that_moment() -> None:
    venue = subscribed("BTC-USDT", params="XQ.BTC-USDT")
    seen = 0
    for _ in range(400):
        for one in events(of(venue.run(10 * MILLISECOND))):
            copy = venue.model.book("BTC-USDT")
            assert [(one["bp"], one["bs"])] == copy.bids[:1]
            assert [(one["ap"], one["as"])] == copy.asks[:1]
            assert one["t"] <= one["r"] == venue.now // MILLISECOND
            seen += 1
    assert seen > 30


def test_every_trade_is_told_once_with_its_taker() -> None:
    venue = subscribed("BTC-USDT", params="XT.BTC-USDT")
    first = venue.model.last_trade_id("BTC-USDT") + 1
    trades = events(of(venue.run(5 * SECOND)))
    last = venue.model.last_trade_id("BTC-USDT")
    assert [int(one["i"]) for one in trades] == list(range(first, last + 1))
    assert {tuple(one["c"]) for one in trades} == {(1,), (2,)}


@pytest.mark.parametrize(("kind", "length"), [("XA", 60_000), ("XAS", 1_000)])
def test_bars_hold_the_trades_of_their_window(kind: str, length: int) -> None:
    venue = subscribed("BTC-USDT", params=f"XT.BTC-USDT,{kind}.BTC-USDT")
    heard = events(of(venue.run(130 * SECOND)))
    bars = [one for one in heard if one["ev"] == kind]
    trades = [one for one in heard if one["ev"] == "XT"]
    assert len(bars) >= 2
    for bar in bars[1:]:
        inside = [one for one in trades if bar["s"] <= one["t"] < bar["e"]]
        assert bar["e"] - bar["s"] == length
        assert (bar["o"], bar["c"]) == (inside[0]["p"], inside[-1]["p"])
        assert bar["h"] == max(one["p"] for one in inside)
        assert bar["l"] == min(one["p"] for one in inside)
        assert bar["v"] == pytest.approx(sum(one["s"] for one in inside))
        worth = sum(one["s"] * one["p"] for one in inside)
        assert bar["vw"] == pytest.approx(worth / bar["v"])


def test_a_false_quote_is_crossed_and_the_next_one_true() -> None:
    venue = subscribed("BTC-USDT", params="XQ.BTC-USDT")
    venue.run(SECOND)
    venue.dialect.falsify_book("BTC-USDT")
    first, *others = events(of(venue.run(2 * SECOND)))
    assert first["bp"] > first["ap"]
    assert others
    assert all(one["bp"] < one["ap"] for one in others)


def test_a_trade_can_have_a_time_that_is_not_yet() -> None:
    venue = subscribed("BTC-USDT", params="XT.BTC-USDT")
    venue.dialect.falsify_trade_time("BTC-USDT", 3600 * SECOND)
    first, second, *_ = events(of(venue.run(3 * SECOND)))
    assert first["t"] > second["t"] + 3_000_000


def test_frames_carry_what_faults_look_for() -> None:
    venue = subscribed()
    for frame in of(venue.run(3 * SECOND)):
        assert isinstance(frame, Text)
        parts = json.loads(frame.data)
        channel = {"XT": "trade", "XQ": "depth", "XA": "bar", "XAS": "bar"}[parts[0]["ev"]]
        assert frame.channel == channel
        assert {one["pair"] for one in parts} == {frame.symbol}


# -- the shape of every frame ----------------------------------------------------------------------


def shape(value: object) -> object:
    """Keys, nesting and scalar types; a list is the shapes that occur in it."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return sorted({repr(shape(inner)) for inner in value})
        case bool():
            return "bool"
        case int() | float():
            return "number"  # 100 and 100.0 are one number in JSON
        case _:
            return type(value).__name__


def every_kind() -> dict[str, list[EVENT]]:
    venue = Venue("BTC-USDT")
    heard = events(venue.open())
    heard += events(venue.say("a", "subscribe", "XT.*,XQ.*,XA.*,XAS.*"))
    heard += events(of(venue.run(70 * SECOND)))
    heard += events(Venue().open(key="wrong"))
    kinds: dict[str, list[EVENT]] = {}
    for one in heard:
        kinds.setdefault(one["ev"], []).append(one)
    return kinds


def test_every_frame_has_the_documented_shape() -> None:
    kinds = every_kind()
    assert set(kinds) == set(DOCUMENTED)
    for kind, heard in kinds.items():
        wanted = shape(DOCUMENTED[kind])
        assert all(shape(one) == wanted for one in heard), kind
        assert all(next(iter(one)) == "ev" for one in heard)


def test_whole_numbers_are_whole_where_they_are_documented() -> None:
    kinds = every_kind()
    for kind, names in {"XT": "txr", "XQ": "txr", "XA": "sez", "XAS": "sez"}.items():
        assert all(type(one[name]) is int for one in kinds[kind] for name in names)


def test_the_official_examples_have_this_shape_too() -> None:
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES is not set")
    lines = (Path(folder) / "polygon" / "massive_spec_crypto_ws.jsonl").read_text().splitlines()
    kinds = every_kind()
    compared = set()
    for line in lines:
        described = json.loads(line)
        kind = described["path"].rpartition("/")[2]
        if kind not in kinds or not described["path"].startswith("/crypto/"):
            continue
        # The specification says that an id is an integer; on the wire it was seen as text.
        example = described["example"]
        if "i" in example:
            assert described["schema"]["properties"]["i"]["type"] == "integer"
            example["i"] = str(example["i"])
        example["ev"] = kind  # the example of XAS says XA
        assert shape(kinds[kind][0]) == shape(example)
        compared.add(kind)
    assert compared == {"XT", "XQ", "XA", "XAS"}


# -- REST ------------------------------------------------------------------------------------------


def get(venue: Venue, target: str) -> tuple[int, EVENT]:
    answer = venue.dialect.requested(target, venue.now)
    return answer.status, json.loads(answer.body)


def test_the_list_has_every_pair_page_by_page() -> None:
    venue = Venue(*[listing.symbol for listing in LISTINGS])
    found: list[str] = []
    target = f"{LIST}&limit=10"
    pages = 0
    while target:
        status, page = get(venue, target)
        assert status == 200
        assert len(page["results"]) == page["count"] <= 10
        found += [
            f"{one['base_currency_symbol']}-{one['currency_symbol']}" for one in page["results"]
        ]
        following = page.get("next_url", "")
        assert following.startswith("https://api.massive.com/") or not following
        target = following.removeprefix("https://api.massive.com")
        pages += 1
    assert pages == -(-len(found) // 10) > 1
    assert len(found) == len(set(found))
    assert set(found) == {one.symbol for one in LISTINGS if one.is_trading}


def test_a_page_has_the_documented_shape() -> None:
    _, page = get(Venue("BTC-USDT", "ETH-USDT"), f"{LIST}&limit=1")
    assert shape(page) == shape(DOCUMENTED_PAGE)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{LIST}&apiKey=wrong", 401),
        (f"{LIST}&apiKey={KEY}", 200),
        (f"{LIST}&limit=0", 400),
        (f"{LIST}&limit=1001", 400),
        (f"{LIST}&limit=x", 400),
        ("/v3/reference/tickers?cursor=%21", 400),
        ("/v3/reference/tickers?cursor=AAAA", 400),
        ("/v3/elsewhere", 404),
    ],
)
def test_what_cannot_be_answered_has_a_status(target: str, status: int) -> None:
    assert get(Venue(), target)[0] == status


def test_halted_pairs_are_listed_apart() -> None:
    venue = Venue("BTC-USDT", "XMR-USDT")
    assert get(venue, LIST)[1]["count"] == 1
    _, page = get(venue, LIST.replace("true", "false"))
    assert [one["ticker"] for one in page["results"]] == ["X:XMRUSDT"]
