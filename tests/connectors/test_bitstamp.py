"""Bitstamp's protocol, message by message; what every venue must do is asked elsewhere."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bitstamp import (
    CHANNELS_PER_CONNECTION,
    MESSAGES_AT_ONCE,
    Bitstamp,
    BitstampProtocol,
)
from connectors.contract import DeadLetter, FeedDescription, Request, Told
from market.book import Book
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Side, Trade
from tests.connectors.cases.bitstamp import (
    CASE,
    DOCUMENTED_DIFF,
    DOCUMENTED_ERROR,
    DOCUMENTED_RECONNECT,
    DOCUMENTED_SNAPSHOT,
    FULL,
    MARKETS,
    MICROSECONDS,
    answer,
    book,
    diff,
    encoded,
    instrument,
    snapshot,
    trade,
)
from tests.connectors.cases.venue_case import MILLISECOND, REST, SECOND, START, Session, VenueCase
from tests.drawn_examples import examples

ONE = replace(CASE, instruments=(instrument("BTC-USD"), instrument("ETH-BTC")))
ONE_FULL = replace(FULL, instruments=ONE.instruments)
ID = "bitstamp:BTC-USD"


def opened(case: VenueCase = ONE) -> Session:
    """Subscribed and acknowledged; no book yet."""
    session = Session(case)
    case.acknowledge(session)
    return session


def live(case: VenueCase = ONE) -> Session:
    session = Session(case)
    case.live(session)
    assert session.protocol.is_live
    return session


def described(count: int, **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="bitstamp",
        instruments=tuple(instrument(f"C{number}-USD") for number in range(count)),
        websocket_url="ws://stream.simulated",
        rest_url=REST,
        options=options,
    )


# -- subscribing -------------------------------------------------------------------------------


def test_one_channel_a_message_and_every_message_is_short() -> None:
    protocol = BitstampProtocol(described(300))
    sent: list[bytes] = []
    for second in range(31):
        now = START + second * SECOND
        (protocol.elapsed if second else protocol.opened)(now)
        for item in protocol.outgoing():
            if isinstance(item, bytes):
                sent.append(item)
                protocol.received(answer(item), now)
    assert len(sent) == 600
    assert all(len(message) < 512 for message in sent)
    assert len({json.loads(message)["data"]["channel"] for message in sent}) == 600


def test_no_more_messages_a_second_than_is_polite() -> None:
    protocol = BitstampProtocol(described(100))
    protocol.opened(START)
    counts = [len(protocol.outgoing())]
    for second in range(1, 11):
        protocol.elapsed(START + second * SECOND)
        counts.append(len(protocol.outgoing()))
    assert max(counts) == MESSAGES_AT_ONCE
    assert sum(counts) == 200


def test_more_channels_than_bitstamp_takes_are_refused_here() -> None:
    BitstampProtocol(described(CHANNELS_PER_CONNECTION // 2))
    with pytest.raises(ValueError, match="too many"):
        BitstampProtocol(described(CHANNELS_PER_CONNECTION // 2 + 1))


def test_a_refused_subscription_ends_the_connection() -> None:
    with pytest.raises(SubscriptionError, match="Invalid channel provided"):
        Session(ONE).receive(DOCUMENTED_ERROR)


def test_an_answer_that_does_not_come_ends_the_connection() -> None:
    session = Session(ONE)
    with pytest.raises(SubscriptionError, match="order_book_btcusd: no answer in 10 s"):
        session.wait(12)


def test_an_error_about_nothing_is_put_aside() -> None:
    [letter] = live().receive(DOCUMENTED_ERROR)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "error"


def test_what_comes_after_unsubscribing_is_no_news() -> None:
    session = live()
    session.take(session.protocol.unsubscribe([ID], session.now))
    assert session.receive(trade()) == []
    assert session.receive(book("btcusd", 5)) == []


# -- trades ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "side"), [(0, Side.BUY), (1, Side.SELL)])
def test_a_trade_is_told_with_its_taker_and_its_texts(kind: int, side: Side) -> None:
    session = live()
    changed = {"type": kind, "amount": 0.014140160000000001, "amount_str": "0.01414016"}
    told = session.receive(trade("btcusd", 93215787, **changed))
    assert told == [
        Trade(
            instrument=ID,
            ts_event=START,
            ts_recv=session.now,
            price=100.5,
            size=0.01414016,
            side=side,
            trade_id="93215787",
        )
    ]


def test_a_trade_without_the_text_of_its_id_is_told() -> None:
    message = json.loads(trade("btcusd", 7))
    del message["data"]["id_str"]
    [told] = live().receive(encoded(message))
    assert isinstance(told, Trade)
    assert told.trade_id == "7"


def test_a_repeated_trade_is_told_once_and_ids_need_no_order() -> None:
    session = live()
    told = [
        one for number in (5, 6, 5, 4, 6, 9) for one in session.receive(trade("btcusd", number))
    ]
    assert [one.trade_id for one in told if isinstance(one, Trade)] == ["5", "6", "4", "9"]
    assert len(told) == 4


# -- books of the best levels ------------------------------------------------------------------


def test_every_message_is_the_whole_book() -> None:
    session = opened()
    told = session.receive(book("btcusd", 3, bids=[["99", "1"]], asks=[["101", "2"]]))
    assert told == [
        BookSnapshot(
            instrument=ID,
            ts_event=START + 3_000,
            ts_recv=session.now,
            bids=[(99.0, 1.0)],
            asks=[(101.0, 2.0)],
            sequence=MICROSECONDS + 3,
        )
    ]
    assert session.protocol.is_live


def test_a_message_that_is_not_newer_is_dropped() -> None:
    session = live()
    assert session.receive(book("btcusd", 5))
    assert session.receive(book("btcusd", 5)) == []
    assert session.receive(book("btcusd", 4)) == []
    assert session.receive(book("btcusd", 6))


def test_a_quiet_book_is_what_rest_says_twice() -> None:
    session = opened()
    session.wait(1.1)
    many = [[str(200 + rank), "1"] for rank in range(150)]
    assert session.answer(snapshot(0, asks=many)) == []
    session.wait(4)
    [told] = session.answer(snapshot(1, asks=many[::-1]))
    assert isinstance(told, BookSnapshot)
    assert (len(told.asks), told.asks[0], told.asks[-1]) == (100, (200.0, 1.0), (299.0, 1.0))
    assert session.protocol.is_live
    session.wait(20)
    assert session.requests == []


def test_two_requests_never_have_the_same_address() -> None:
    session = opened()
    session.wait(1.1)
    first = session.requests[0].url
    session.answer(snapshot(0))
    session.wait(4)
    [second] = session.requests
    assert first.split("&")[0] == second.url.split("&")[0]
    assert first.startswith(f"{REST}/api/v2/order_book/btcusd/?group=1&fresh=")
    assert first != second.url


def test_a_book_that_changes_while_its_channel_is_silent_is_subscribed_to_again() -> None:
    session = opened()
    session.wait(1.1)
    session.answer(snapshot(0))
    session.wait(4)
    assert session.answer(snapshot(1, bids=[])) == []
    before = len(session.messages)
    assert session.wait(3) == []
    sent = session.messages[before:]
    assert [name for one in sent for name in ONE.dropped(one)] == ["order_book_btcusd"]
    assert [name for one in sent for name in ONE.names(one)] == ["order_book_btcusd"]
    ONE.acknowledge(session)
    assert session.receive(book("btcusd", 9))
    assert session.protocol.is_live


def test_a_message_in_time_settles_the_doubt() -> None:
    session = opened()
    session.wait(1.1)
    session.answer(snapshot(0))
    session.wait(4)
    session.answer(snapshot(1, bids=[]))
    assert session.receive(book("btcusd", 1, bids=[]))
    before = len(session.messages)
    session.wait(10)
    assert session.messages[before:] == []


def silent(session: Session, seconds: int) -> list[Told]:
    """Let a book be silent on a connection that is not."""
    told: list[Told] = []
    for second in range(seconds):
        told += session.receive(trade("btcusd", 1000 + second), after=0)
        told += session.wait(1)
    return [one for one in told if not isinstance(one, Trade)]


def test_a_lost_message_of_a_quiet_book_is_found() -> None:
    session = live()
    assert silent(session, 70) == []
    assert session.answer(snapshot(1, bids=[])) == []
    [gap] = session.wait(3)
    assert gap == FeedGap(
        instrument=ID,
        ts_recv=gap.ts_recv,
        reason="changed while its channel was silent",
        channel="book",
    )
    assert not session.protocol.is_live


@pytest.mark.parametrize("body", [snapshot(0), snapshot(5), snapshot(-5, bids=[])])
def test_a_quiet_book_that_rest_confirms_stays_live(body: bytes) -> None:
    session = live()
    assert silent(session, 70) == []
    assert session.answer(body) == []
    assert silent(session, 5) == []
    assert session.protocol.is_live


def test_a_resync_takes_the_next_message_and_none_before() -> None:
    session = live()
    session.receive(book("btcusd", 5))
    [gap] = session.take(session.protocol.resync(ID, "crossed book", session.now))
    assert isinstance(gap, FeedGap)
    assert (gap.instrument, gap.channel, gap.reason) == (ID, "book", "crossed book")
    assert len(session.requests) == 1
    assert session.answer(snapshot(4)) == []
    assert not session.protocol.is_live
    assert session.receive(book("btcusd", 6))
    assert session.protocol.is_live


def test_a_market_that_rest_does_not_know_is_subscribed_to_again_when_it_does() -> None:
    session = opened()
    session.wait(1.1)
    session.answer(b"<html>", 404)
    session.wait(2)
    before = len(session.messages)
    assert session.answer(snapshot(0)) == []
    assert len(session.messages) == before + 2
    ONE.acknowledge(session)
    assert session.receive(book("btcusd", 1))
    assert session.protocol.is_live


def test_a_market_that_is_gone_does_not_keep_a_connection_from_taking_over() -> None:
    session = opened()
    session.wait(1.1)
    told: list[Told] = []
    for tries in range(6):
        assert session.protocol.is_live == (tries >= 3)
        told += session.answer(b"<html>", 404)
        while not session.requests:
            session.wait(1)
    [gap] = told
    assert isinstance(gap, FeedGap)
    assert (gap.instrument, gap.channel) == ("bitstamp:BTC-USD", "book")
    assert gap.reason == "unknown to REST: HTTP 404"
    assert session.answer(snapshot(0)) == []
    ONE.acknowledge(session)
    assert not session.protocol.is_live, "it is there again, and waited for"
    assert session.receive(book("btcusd", 1))
    assert session.protocol.is_live


@pytest.mark.parametrize(
    ("status", "body"), [(429, b""), (403, b""), (400, b'{"response_code":"400.002"}')]
)
def test_after_a_refusal_rest_is_left_alone_for_a_minute(status: int, body: bytes) -> None:
    session = opened()
    session.wait(1.1)
    session.answer(body, status)
    silent(session, 59)
    assert session.requests == []
    silent(session, 3)
    assert len(session.requests) == 1


def test_older_shapes_of_a_book_are_understood() -> None:
    session = live()
    rows = [["99", "1", "1443875737346049"], ["0", "5"], ["0.00", "5"]]
    [told] = session.receive(book("btcusd", 5, bids=rows))
    assert isinstance(told, BookSnapshot)
    assert told.bids == [(99.0, 1.0)]


# -- whole books -------------------------------------------------------------------------------


def test_a_whole_book_is_joined_by_microtimestamp() -> None:
    session = opened(ONE_FULL)
    for at, size in ((1, "1"), (2, "2"), (3, "3")):
        assert session.receive(diff("btcusd", at, bids=[["97", size]])) == []
    session.wait(1.1)
    told = session.answer(snapshot(2))
    assert [type(one) for one in told] == [BookSnapshot, BookDelta]
    assert isinstance(told[0], BookSnapshot)
    assert isinstance(told[1], BookDelta)
    assert (told[0].sequence, told[0].catching_up) == (MICROSECONDS + 2, True)
    assert (told[1].sequence, told[1].bids) == (MICROSECONDS + 3, [(97.0, 3.0)])
    assert session.receive(diff("btcusd", 3, bids=[["97", "9"]])) == []
    [later] = session.receive(diff("btcusd", 4, asks=[["101", "0.00000000"]]))
    assert isinstance(later, BookDelta)
    assert later.asks == [(101.0, 0.0)]


def test_a_snapshot_older_than_all_updates_is_fetched_again() -> None:
    session = opened(ONE_FULL)
    session.receive(diff("btcusd", 10))
    session.wait(1.1)
    assert session.answer(snapshot(9)) == []
    session.wait(1.1)
    assert session.answer(snapshot(10))
    assert session.protocol.is_live


def test_a_whole_book_without_updates_is_what_rest_says_twice() -> None:
    session = opened(ONE_FULL)
    session.wait(1.1)
    assert session.answer(snapshot(0)) == []
    session.wait(4)
    assert session.answer(snapshot(0))
    assert session.protocol.is_live


def test_a_whole_book_is_fetched_again_every_hour() -> None:
    session = live(ONE_FULL)
    for minute in range(62):
        session.receive(diff("btcusd", 10 + minute, bids=[["99", str(minute + 1)]]))
        silent(session, 59)
    assert len(session.requests) == 1
    session.receive(diff("btcusd", 200, bids=[["98", "0"], ["97", "1"]]))
    [told] = session.answer(snapshot(199))
    assert isinstance(told, BookSnapshot)
    assert told.sequence == MICROSECONDS + 200
    assert (97.0, 1.0) in told.bids


# -- the connection ----------------------------------------------------------------------------


def test_a_request_to_reconnect_is_a_wish_for_a_replacement() -> None:
    for data in (b"null", b'""', b"{}"):
        session = live()
        assert session.receive(DOCUMENTED_RECONNECT.replace(b"null", data)) == []
        assert session.protocol.wants_replacement
        assert session.protocol.is_live


def test_an_old_connection_wants_a_replacement() -> None:
    protocol = BitstampProtocol(described(1, max_age_s=100))
    protocol.opened(START)
    protocol.received(encoded({"event": "bts:heartbeat"}), START + 99 * SECOND)
    protocol._unanswered.clear()
    protocol.elapsed(START + 100 * SECOND)
    assert not protocol.wants_replacement
    protocol.elapsed(START + 101 * SECOND)
    assert protocol.wants_replacement


def test_a_silent_connection_is_asked_and_then_given_up() -> None:
    session = live()
    session.wait(21)
    assert session.messages[-1] == b'{"event":"bts:heartbeat"}'
    assert session.receive(answer(session.messages[-1])) == []
    session.wait(21)
    assert session.messages[-2:] == [b'{"event":"bts:heartbeat"}'] * 2
    with pytest.raises(StaleFeedError):
        session.wait(12)


@pytest.mark.parametrize(
    "frame",
    [
        trade(type=2),
        trade(price_str="inf"),
        trade(amount_str="-1"),
        trade(microtimestamp="99999999999999999"),
        book(bids=[["1", "-1"]]),
        book(bids=[["1"]]),
        b"[" * 100_000,
    ],
)
def test_a_wrong_field_of_a_known_message_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        live().receive(frame)


def test_a_good_answer_that_is_no_book_is_a_protocol_error() -> None:
    session = opened()
    session.wait(1.1)
    with pytest.raises(VenueProtocolError):
        session.answer(b'{"error":"no"}')


# -- the list of instruments -------------------------------------------------------------------


def test_only_spot_markets_that_trade_are_listed() -> None:
    [market] = json.loads(MARKETS)
    listed = [
        market,
        market | {"name": "OLD/USD", "market_symbol": "oldusd", "trading": "Disabled"},
        market | {"name": "BTC/USD-PERP", "market_type": "PERPETUAL"},
        {"name": "ETH/BTC", "market_symbol": "ethbtc", "trading": "Enabled"},
    ]
    first, second = Bitstamp().read_instruments(encoded(listed))
    assert (first.id, first.native, first.tick, first.step) == (ID, "btcusd", 0.01, 1e-8)
    assert (second.symbol, second.tick, second.step) == ("ETH-BTC", 0.0, 0.0)


def test_a_market_without_currencies_is_a_protocol_error() -> None:
    body = encoded([{"name": "BTCUSD", "market_symbol": "btcusd", "trading": "Enabled"}])
    with pytest.raises(VenueProtocolError, match="lacks"):
        Bitstamp().read_instruments(body)


def test_options_are_explained() -> None:
    venue = Bitstamp()
    assert venue.explain_options({"book": "full", "max_age_s": 60}) == ""
    assert "'top'" in venue.explain_options({"book": "deep"})
    with pytest.raises(ValueError, match="deep"):
        BitstampProtocol(described(1, book="deep"))


def test_documented_samples_are_one_venue() -> None:
    """The documented update follows the documented snapshot."""
    session = Session(replace(ONE_FULL, instruments=ONE.instruments))
    ONE.acknowledge(session)
    stamp = json.loads(DOCUMENTED_SNAPSHOT)["microtimestamp"]
    before = DOCUMENTED_DIFF.replace(b"1789456316507635", stamp.encode())
    session.receive(before)
    session.receive(DOCUMENTED_DIFF)
    session.wait(1.1)
    first, second = session.answer(DOCUMENTED_SNAPSHOT)
    assert isinstance(first, BookSnapshot)
    assert isinstance(second, BookDelta)
    assert first.sequence < second.sequence


# -- any order of things -----------------------------------------------------------------------


class Exchange:
    """A true book of few prices, by its `microtimestamp`, and how it is told."""

    def __init__(self) -> None:
        self.at = 100
        self.told = 100
        self.books: dict[int, tuple[dict[float, float], dict[float, float]]] = {100: ({}, {})}
        self.changed: dict[tuple[bool, int], int] = {}
        self.sent: list[bytes] = []

    def change(self, rank: int, size: int, *, is_bid: bool) -> None:
        bids, asks = map(dict, self.books[self.at])
        side, price = (bids, 90.0 + rank) if is_bid else (asks, 100.0 + rank)
        side[price] = float(size)
        self.at += 3
        self.books[self.at] = tuple(  # type: ignore[assignment]
            {price: size for price, size in one.items() if size} for one in (bids, asks)
        )
        self.changed[is_bid, rank] = size

    def frame(self, *, is_full: bool) -> bytes | None:
        if self.told == self.at:
            return None
        self.told = self.at
        changed, self.changed = self.changed, {}
        if not is_full:
            return book("btcusd", self.at, *self.levels())
        bids = [[str(90 + rank), str(size)] for (is_bid, rank), size in changed.items() if is_bid]
        asks = [
            [str(100 + rank), str(size)] for (is_bid, rank), size in changed.items() if not is_bid
        ]
        return diff("btcusd", self.at, bids, asks)

    def levels(self) -> tuple[list[list[str]], list[list[str]]]:
        bids, asks = (
            [[str(price), str(size)] for price, size in sorted(side.items())]
            for side in self.books[self.at]
        )
        return bids[::-1], asks

    def snapshot(self) -> bytes:
        return snapshot(self.at, *self.levels())


steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 4), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("frame")),
        st.tuples(st.just("again"), st.integers(0, 2)),  # repeated, or late
        st.tuples(st.just("snapshot")),  # REST lags: what it says is decided now
        st.tuples(st.just("answer")),  # and it arrives
        st.tuples(st.just("fail"), st.sampled_from([0, 404, 429, 500])),
        st.tuples(st.just("wait"), st.integers(1, 8)),
        st.tuples(st.just("resync")),
        st.tuples(st.just("renew")),
    ),
    max_size=50,
)


@examples(40)
@pytest.mark.parametrize("case", [ONE, ONE_FULL], ids=["top", "full"])
@given(script=steps)
def test_a_book_that_is_told_is_the_true_book(case: VenueCase, script: list[tuple]) -> None:  # type: ignore[type-arg]
    is_full = case is ONE_FULL
    exchange = Exchange()
    session = opened(case)
    shown = Book()
    taken: list[bytes] = []
    sequences: list[int] = []

    def look(told: list[Told]) -> None:
        for event in told:
            if isinstance(event, FeedGap):
                shown.clear()
                sequences.clear()
            elif isinstance(event, BookSnapshot | BookDelta):
                assert isinstance(event, BookSnapshot) or not shown.is_empty
                shown.apply(event)
                sequences.append(shown.sequence)
                assert shown.levels() == exchange.books[shown.sequence - MICROSECONDS]
        assert all(one <= other for one, other in pairwise(sequences))
        case.acknowledge(session)
        assert len(session.requests) <= 1

    def send() -> None:
        frame = exchange.frame(is_full=is_full)
        if frame is not None:
            exchange.sent.append(frame)
            look(session.receive(frame))

    for step in script:
        match step:
            case ("change", rank, size, is_bid):
                exchange.change(rank, size, is_bid=is_bid)
            case ("frame",):
                send()
            case ("again", back) if back < len(exchange.sent):
                look(session.receive(exchange.sent[-1 - back]))
            case ("snapshot",) if session.requests and not taken:
                send()  # the stream is never behind REST by more than a moment
                taken.append(exchange.snapshot())
            case ("answer",) if session.requests:
                if not taken:
                    send()
                look(session.answer(taken.pop() if taken else exchange.snapshot()))
            case ("fail", status) if session.requests:
                taken.clear()
                look(session.answer(b"", status))
            case ("wait", seconds):
                send()
                look(session.receive(answer(b'{"event":"bts:heartbeat"}')))
                look(session.wait(seconds))
            case ("resync",):
                look(session.take(session.protocol.resync(ID, "crossed book", session.now)))
            case ("renew",):
                look(session.take(session.protocol.unsubscribe([ID], session.now)))
                look(session.take(session.protocol.subscribe([ONE.instruments[0]], session.now)))
                look(session.wait(1))
            case _:
                pass

    for _ in range(120):  # when nothing goes wrong any more it is live again
        exchange.change(0, 1 + exchange.at % 2, is_bid=True)
        send()
        look(session.wait(1))
        if session.requests:
            send()
            look(session.answer(exchange.snapshot()))
        if session.protocol.is_live and shown.sequence - MICROSECONDS == exchange.at:
            break
    assert session.protocol.is_live
    assert shown.levels() == exchange.books[exchange.at]


samples = st.sampled_from([*CASE.frames.values(), diff("btcusd", 2), *CASE.unknown])


@examples(40)
@given(st.lists(st.tuples(samples | st.binary(max_size=40), st.integers(0, 3000)), max_size=12))
def test_the_same_frames_give_the_same_events_for_whole_books(
    script: list[tuple[bytes, int]],
) -> None:
    def run() -> list[object]:
        session = opened(ONE_FULL)
        out: list[object] = []
        try:
            for frame, wait in script:
                out += session.receive(frame, after=wait * MILLISECOND)
                out += session.wait(1)
                if session.requests:
                    assert isinstance(session.requests[0], Request)
                    out += session.answer(snapshot(1))
        except VenueProtocolError as error:
            out.append(str(error))
        return [*out, *session.messages]

    assert run() == run()
