"""A feed: what a connection's beginning, end and successor mean."""

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import feed as feed_module
from connectors.contract import DeadLetter, Request, Told, Venue
from connectors.feed import OVERLAP, Feed, Steering, encode_description, encode_steering
from connectors.recording import Kind, Record
from market.events import BookDelta, BookSnapshot, FeedGap, Heartbeat, Trade, Unsubscribed
from tests.connectors.scripted_venue import (
    SECOND,
    ScriptedProtocol,
    ScriptedVenue,
    description,
    instrument,
    say,
)
from tests.drawn_examples import examples

BTC, ETH = "scripted:BTC-USDT", "scripted:ETH-USDT"
NAME = "scripted-0-0"
START = 1_700_000_000 * SECOND

_T = TypeVar("_T")


def only(kind: type[_T], told: list[Told]) -> list[_T]:
    return [one for one in told if isinstance(one, kind)]


class Script:
    """A feed that is told things, a millisecond after each other."""

    def __init__(self, *symbols: str, silence_s: int = 0) -> None:
        venue: Venue = ScriptedVenue()
        self.feed = Feed(NAME, venue, description(*symbols, silence_s=silence_s))
        self.now = START

    def __call__(
        self, number: int, kind: Kind, body: bytes = b"", url: str = "", status: int = 200
    ) -> list[Told]:
        """Connection `number`, or 0 for the feed as a whole."""
        self.now += 1_000_000
        conn = f"{NAME}.{number}" if number else NAME
        return self.feed.take(Record(self.now, conn, kind, body, url, status))

    def open(self, number: int) -> list[Told]:
        return self(number, "open", encode_description(self.feed.description))

    def says(self, number: int, **what: object) -> list[Told]:
        return self(number, "text", say(**what))

    def beats(self, *, after: int = SECOND) -> list[Told]:
        self.now += after
        return self(0, "heartbeat")

    def steer(self, **how: object) -> list[Told]:
        return self(0, "control", encode_steering(Steering(**how)))  # type: ignore[arg-type]


def is_connected(tell: Script) -> bool:
    return tell.feed.is_connected


def is_live(tell: Script) -> bool:
    return tell.feed.is_live


def wants_replacement(tell: Script) -> bool:
    return tell.feed.wants_replacement


def live(*symbols: str) -> Script:
    """A feed whose first connection has all its books."""
    tell = Script(*symbols)
    tell.open(1)
    for name in tell.feed.instruments:
        tell.says(1, of=name, book=1)
    assert is_live(tell)
    return tell


def replacing(*symbols: str) -> Script:
    """And a second connection that waits."""
    tell = live(*symbols)
    tell.says(1, replace=1)
    assert wants_replacement(tell)
    assert tell.open(2) == []
    assert not wants_replacement(tell), "one is on its way"
    return tell


# -- begin and end ---------------------------------------------------------------------------------


def test_a_gap_opens_every_connection() -> None:
    tell = Script("BTC-USDT", "ETH-USDT")
    assert not is_connected(tell)
    assert tell.open(1) == [
        FeedGap(instrument=name, ts_recv=tell.now, reason="connecting") for name in (BTC, ETH)
    ]
    assert is_connected(tell)
    assert not is_live(tell)
    assert tell.feed.outgoing() == [(f"{NAME}.1", f"subscribe {BTC},{ETH}".encode())]
    assert tell.feed.outgoing() == []


@pytest.mark.parametrize(
    ("body", "reason"), [(b"1012 restart", "1012 restart"), (b"", "closed"), (b"\xff", "\ufffd")]
)
def test_a_gap_closes_every_connection(body: bytes, reason: str) -> None:
    tell = live("BTC-USDT", "ETH-USDT")
    assert tell(1, "close", body) == [
        FeedGap(instrument=name, ts_recv=tell.now, reason=reason) for name in (BTC, ETH)
    ]
    assert not is_connected(tell)
    assert tell.says(1, trade=7) == [], "what is read after the end is nobody's"
    assert tell(1, "close", body) == []
    assert len(tell.open(2)) == 2


def test_text_and_binary_messages_and_answers_are_the_protocols() -> None:
    tell = live()
    assert only(Trade, tell.says(1, trade=1))
    assert only(Trade, tell(1, "binary", say(trade=2)))
    tell.says(1, get="/depth")
    [_, (conn, request)] = tell.feed.outgoing()
    assert conn == f"{NAME}.1"
    assert isinstance(request, Request)
    assert only(BookSnapshot, tell(1, "http", say(book=9), request.url))


def test_an_answer_that_nobody_asked_for_is_a_dead_letter() -> None:
    tell = live()
    [letter] = tell(1, "http", b"{}", "http://nowhere/x")
    assert letter == DeadLetter("scripted", "answer to nothing", b"{}", tell.now)
    assert tell(7, "http", b"{}", "http://nowhere/x") == [], "its connection has ended"


def test_a_heartbeat_tells_of_every_instrument_when_it_was_heard_of() -> None:
    tell = Script("BTC-USDT", "ETH-USDT")
    assert tell.beats() == [], "a replay knows nothing of the feed yet"
    tell.open(1)
    tell.says(1, of=BTC, trade=1)
    heard = tell.now
    for after in (heard, heard, 0):
        told = tell.beats()
        assert told == [
            Heartbeat(instrument=name, ts_recv=tell.now, heard=after) for name in (BTC, ETH)
        ]
        if tell.now - heard > 2 * SECOND:
            tell(1, "close")


class Alone(ScriptedVenue):
    connections_at_once = 1


@pytest.mark.parametrize(("venue", "replaces"), [(ScriptedVenue(), True), (Alone(), False)])
def test_no_second_connection_is_opened_where_the_venue_allows_one(
    venue: ScriptedVenue, *, replaces: bool
) -> None:
    feed = Feed(NAME, venue, description("BTC-USDT"))
    feed.take(Record(1, f"{NAME}.1", "open"))
    feed.take(Record(2, f"{NAME}.1", "text", say(replace=1)))
    assert feed.wants_replacement is replaces


@pytest.mark.parametrize(
    ("channels", "channel"),
    [((), "all"), (("trade",), "trade"), (("book",), "book"), (("trade", "book"), "all")],
)
def test_a_feed_speaks_only_for_the_channel_that_it_carries(
    channels: tuple[str, ...], channel: str
) -> None:
    described = msgspec.structs.replace(description("BTC-USDT"), channels=channels)
    feed = Feed(NAME, ScriptedVenue(), described)
    told = feed.take(Record(1, f"{NAME}.1", "open"))
    told += feed.take(Record(2, NAME, "heartbeat"))
    more = Steering(subscribe=(instrument("ETH-USDT"),))
    told += feed.take(Record(3, NAME, "control", encode_steering(more)))
    told += feed.take(Record(4, f"{NAME}.1", "close"))
    assert [type(one) for one in told] == [FeedGap, Heartbeat, FeedGap, FeedGap, FeedGap]
    assert {one.channel for one in told if isinstance(one, FeedGap | Heartbeat)} == {channel}


@pytest.mark.parametrize("kind", ["sent", "history"])
def test_what_went_out_tells_nothing(kind: Kind) -> None:
    assert live()(1, kind, b"subscribe") == []


# -- what breaks -----------------------------------------------------------------------------------


def test_a_broken_protocol_says_nothing_until_its_close() -> None:
    tell = live()
    assert tell.says(1, wrong="no such thing") == []
    assert tell.says(1, trade=5) == []
    assert tell(1, "binary", say(trade=6)) == []
    assert tell.steer(resync=BTC, reason="crossed") == []
    assert len(tell.beats()) == len(only(Heartbeat, tell.beats())) == 1
    [(name, error)] = tell.feed.failures()
    assert (name, str(error)) == (f"{NAME}.1", "no such thing")
    assert tell.feed.failures() == []
    assert tell.says(1, trade=7) == [], "also when the shell knows of it already"
    assert [type(one) for one in tell(1, "close", b"no such thing")] == [FeedGap]
    tell.open(2)
    assert only(Trade, tell.says(2, trade=8))


def test_time_may_break_a_protocol_and_heartbeats_go_on() -> None:
    tell = Script(silence_s=3)
    tell.open(1)
    for _ in range(6):
        assert only(Heartbeat, tell.beats())
    assert len(tell.feed.failures()) == 1


def test_a_failure_that_the_close_overtook_is_not_told() -> None:
    tell = live()
    tell.says(1, wrong="x")
    tell(1, "close", b"reset by peer")
    assert tell.feed.failures() == []


def test_a_bug_is_not_caught() -> None:
    with pytest.raises(LookupError):
        live().says(1, bug="ours")


def test_an_overrun_forgets_everything() -> None:
    tell = replacing("BTC-USDT", "ETH-USDT")
    tell.says(2, wrong="x")
    told = tell(0, "close", b"overrun: the flow took nothing for 2 s")
    assert [(one.instrument, one.reason[:7]) for one in only(FeedGap, told)] == [
        (BTC, "overrun"),
        (ETH, "overrun"),
    ]
    assert not is_connected(tell)
    assert tell.feed.failures() == []
    assert tell.says(1, trade=1) == tell.says(2, trade=1) == []
    assert len(tell.open(3)) == 2


# -- planned replacement ---------------------------------------------------------------------------


def test_a_replacement_makes_no_gap_and_tells_trades_once() -> None:
    tell = replacing()
    assert only(Trade, tell.says(1, trade=10))
    assert tell.says(2, trade=10) == []
    assert tell.says(2, trade=11) == []
    assert tell.feed.superseded() == []
    told = tell.says(2, book=5, delta=6)  # all its books are there: it takes over
    assert [type(one) for one in told] == [Trade, BookSnapshot, BookDelta]
    assert [one.trade_id for one in only(Trade, told)] == ["11"]
    assert tell.feed.superseded() == [f"{NAME}.1"]
    assert tell.feed.superseded() == []
    assert tell.says(1, trade=12) == [], "the first is not listened to any more"
    assert tell(1, "close", b"replaced") == []
    assert only(Trade, tell.says(2, trade=12))
    assert is_live(tell)


def test_trades_that_the_first_told_and_the_second_tells_later_are_told_once() -> None:
    tell = replacing()
    for number in (10, 11, 12):
        tell.says(1, trade=number)
    tell.says(2, book=5)
    assert [tell.says(2, trade=number) for number in (11, 12)] == [[], []]
    assert only(Trade, tell.says(2, trade=13))


def test_after_the_overlap_nothing_is_remembered() -> None:
    tell = replacing()
    tell.says(1, trade=10)
    tell.says(2, book=5)
    tell.beats(after=OVERLAP - SECOND)
    assert tell.feed._seen == {(BTC, "10")}
    tell.beats(after=2 * SECOND)
    assert tell.feed._seen is None


def test_breaks_of_the_second_are_no_news_when_it_takes_over() -> None:
    tell = replacing("BTC-USDT", "ETH-USDT")
    tell.says(2, of=BTC, book=5)
    tell.says(2, of=BTC, gap="sequence")
    tell.says(2, of=ETH, book=5)
    told = tell.says(2, of=BTC, book=9)
    assert only(FeedGap, told) == []
    assert [one.sequence for one in only(BookSnapshot, told)] == [5, 5, 9]


def test_what_was_refused_to_the_second_is_lost_when_it_takes_over() -> None:
    tell = replacing("BTC-USDT", "ETH-USDT")
    assert tell.says(2, of=ETH, refused="subscription refused") == []
    told = tell.says(2, of=BTC, book=9)
    assert tell.feed.superseded() == [f"{NAME}.1"]
    [gap] = only(FeedGap, told)
    assert (gap.instrument, gap.reason, gap.channel) == (ETH, "subscription refused", "book")


def test_a_book_of_the_first_that_breaks_meanwhile_is_told() -> None:
    tell = replacing()
    assert [one.reason for one in only(FeedGap, tell.says(1, gap="sequence"))] == ["sequence"]
    assert only(BookSnapshot, tell.says(2, book=5))


@pytest.mark.parametrize("end", ["close", "wrong"])
def test_a_replacement_that_fails_leaves_the_first_alone(end: str) -> None:
    tell = replacing()
    tell.says(1, trade=10)
    tell.says(2, trade=10)
    if end == "wrong":
        assert tell.says(2, wrong="x") == []
        assert [name for name, _ in tell.feed.failures()] == [f"{NAME}.2"]
    assert tell(2, "close", b"1006") == []
    assert is_live(tell)
    assert wants_replacement(tell), "another may try"
    assert only(Trade, tell.says(1, trade=11))
    tell.open(3)
    assert only(BookSnapshot, tell.says(3, book=8))
    assert tell.feed.superseded() == [f"{NAME}.1"]


def test_a_second_that_never_catches_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "WITHHELD", 10)
    tell = replacing()
    for number in range(11):
        assert tell.says(2, trade=number) == []
    [(name, error)] = tell.feed.failures()
    assert name == f"{NAME}.2"
    assert "lags behind" in str(error)


def test_when_the_first_dies_the_second_goes_on_after_a_gap() -> None:
    tell = replacing("BTC-USDT", "ETH-USDT")
    tell.says(1, trade=10)
    for number in (10, 11):
        tell.says(2, trade=number)
    tell.says(2, of=BTC, book=5)  # ETH is still missing
    told = tell(1, "close", b"1006")
    assert [one.reason for one in only(FeedGap, told)] == ["1006", "1006"]
    assert [one.trade_id for one in only(Trade, told)] == ["11"], "10 was told"
    assert [one.sequence for one in only(BookSnapshot, told)] == [5]
    assert is_connected(tell)
    assert tell.feed.superseded() == []
    assert only(BookSnapshot, tell.says(2, of=ETH, book=6))
    assert is_live(tell)
    tell.beats(after=OVERLAP)
    assert tell.feed._seen is None


def test_both_may_break_at_once() -> None:
    tell = replacing()
    tell.says(1, wrong="one")
    tell.says(2, wrong="two")
    assert [str(error) for _, error in tell.feed.failures()] == ["one", "two"]
    assert len(only(FeedGap, tell(1, "close", b"one"))) == 1
    assert len(only(FeedGap, tell(2, "close", b"two"))) == 1
    assert not is_connected(tell)


@pytest.mark.parametrize(
    ("last", "first"), [(1, 1), (3, 1), (2, 3)], ids=["same", "lower", "no wish"]
)
def test_a_recording_goes_on_where_a_killed_process_left_off(last: int, first: int) -> None:
    tell = Script()
    tell.open(last)
    tell.says(last, book=1, trade=1)
    if first <= last:
        tell.says(last, replace=1)
    [gap] = tell.open(first)  # there was no close
    assert gap == FeedGap(instrument=BTC, ts_recv=tell.now, reason="connecting")
    assert only(Trade, tell.says(first, trade=1)), "a new run knows of no old trades"


@pytest.mark.parametrize("end", ["none", "close", "replacement"])
def test_a_process_that_begins_knows_nothing_of_the_one_before(end: str) -> None:
    tell = replacing() if end == "replacement" else live()
    if end == "close":
        tell(1, "close", b"cut")
    assert tell(0, "begin") == []
    assert not is_connected(tell)
    assert tell.beats() == [], "as before the first connection of all"
    [gap] = tell.open(3)  # the first two attempts failed
    assert gap == FeedGap(instrument=BTC, ts_recv=tell.now, reason="connecting")
    assert protocol(tell).inherited is None
    assert tell.beats()


# -- steering --------------------------------------------------------------------------------------


def test_a_resync_is_for_one_instrument() -> None:
    tell = live("BTC-USDT", "ETH-USDT")
    [gap] = tell.steer(resync=ETH, reason="crossed book")
    assert gap == FeedGap(instrument=ETH, ts_recv=tell.now, reason="crossed book", channel="book")
    assert tell.steer(resync=ETH, reason="crossed book") == []
    assert tell.steer(resync="scripted:X-Y", reason="") == []


def test_an_instrument_is_added_and_dropped() -> None:
    tell = live()
    tell.feed.outgoing()
    assert tell.steer(subscribe=(instrument("ETH-USDT"), instrument("BTC-USDT"))) == [
        FeedGap(instrument=ETH, ts_recv=tell.now, reason="connecting")
    ]
    assert tell.feed.outgoing() == [(f"{NAME}.1", b"more")]
    assert list(tell.feed.instruments) == [BTC, ETH]
    assert len(only(Heartbeat, tell.beats())) == 2
    assert tell.steer(unsubscribe=(BTC, "scripted:X-Y")) == [
        FeedGap(instrument=BTC, ts_recv=tell.now, reason="unsubscribed"),
        Unsubscribed(instrument=BTC, ts_recv=tell.now),
    ]
    assert list(tell.feed.instruments) == [ETH]
    assert len(tell(1, "close", b"")) == 1
    tell.open(2)
    assert tell.feed.outgoing() == [(f"{NAME}.2", f"subscribe {ETH}".encode())]


def test_without_a_connection_steering_is_for_the_next_one() -> None:
    tell = Script()
    assert tell.steer(subscribe=(instrument("ETH-USDT"),)) == []
    assert tell.steer(unsubscribe=(BTC,)) == [Unsubscribed(instrument=BTC, ts_recv=tell.now)]
    assert tell.steer(resync=ETH, reason="") == []
    assert [one.instrument for one in only(FeedGap, tell.open(1))] == [ETH]


def test_both_connections_are_steered_and_one_speaks() -> None:
    tell = replacing("BTC-USDT", "ETH-USDT")
    tell.feed.outgoing()
    told = tell.steer(unsubscribe=(ETH,))
    assert told == [
        FeedGap(instrument=ETH, ts_recv=tell.now, reason="unsubscribed"),
        Unsubscribed(instrument=ETH, ts_recv=tell.now),
    ]
    told = tell.says(2, of=BTC, book=5)
    assert only(BookSnapshot, told)
    assert only(FeedGap, told) == []
    assert tell.feed.superseded() == [f"{NAME}.1"]


# -- all of it -------------------------------------------------------------------------------------

frames = st.sampled_from(
    [say(trade=n) for n in range(1, 6)]
    + [say(of=name, book=n) for name in (BTC, ETH) for n in (1, 2)]
    + [say(delta=3), say(gap="sequence"), say(replace=1), say(wrong="x"), say(letter="y"), b"{"]
)
records = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.integers(1, 4), frames),
        st.tuples(st.sampled_from(["open", "close"]), st.integers(1, 4), st.just(b"")),
        st.tuples(st.sampled_from(["begin", "heartbeat", "close"]), st.just(0), st.just(b"")),
        st.tuples(st.just("control"), st.just(0), st.sampled_from([
            encode_steering(Steering(resync=BTC, reason="r")),
            encode_steering(Steering(unsubscribe=(ETH,))),
            encode_steering(Steering(subscribe=(instrument("ETH-USDT"),))),
        ])),
    ),
    max_size=40,
)  # fmt: skip


@examples(75)
@given(records, st.booleans())
def test_any_records_keep_the_promises(script: list[tuple[Kind, int, bytes]], asks: bool) -> None:
    """Nothing is told before a gap, no trade twice in a connection's life, and it is repeatable."""
    one, other = Script("BTC-USDT", "ETH-USDT"), Script("BTC-USDT", "ETH-USDT")
    begun: set[str] = set()
    for kind, number, body in script:
        opening = encode_description(one.feed.description)
        told = one(number, kind, opening if kind == "open" else body)
        if asks:  # a live shell looks; a replay need not
            one.feed.failures()
            one.feed.superseded()
            one.feed.outgoing()
        assert other(number, kind, opening if kind == "open" else body) == told
        for event in told:
            match event:
                case FeedGap(instrument=name):
                    begun.add(name)
                case Trade(instrument=name) | BookSnapshot(instrument=name):
                    # The scripted venue speaks of what nobody subscribed to; ours do not.
                    assert name in begun or name not in one.feed.instruments
                case _:
                    pass


# -- what outlives a connection --------------------------------------------------------------------


def protocol(tell: Script) -> ScriptedProtocol:
    current = tell.feed._current
    assert current is not None
    assert isinstance(current.protocol, ScriptedProtocol)
    return current.protocol


def test_a_connection_knows_what_the_one_before_knew() -> None:
    tell = live()
    first = protocol(tell)
    tell(1, "close", b"cut")
    tell.open(2)
    assert protocol(tell).inherited is first


def test_a_replacement_knows_what_the_first_knows() -> None:
    tell = replacing()
    first = protocol(tell)
    tell.says(2, book=5)
    assert protocol(tell).inherited is first


@pytest.mark.parametrize("has_closed", [True, False])
def test_another_process_knows_nothing(has_closed: bool) -> None:
    tell = live()
    if has_closed:
        tell(1, "close", b"cut")
    tell.open(1)
    assert protocol(tell).inherited is None


def test_after_an_overrun_nothing_is_known() -> None:
    tell = live()
    tell(0, "close", b"overrun")
    tell.open(2)
    assert protocol(tell).inherited is None
