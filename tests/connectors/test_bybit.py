"""Bybit's protocol object, case by case."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bybit import (
    ANSWER_WITHIN,
    CHARACTERS_PER_CONNECTION,
    PING_EVERY,
    RETRIES_AT_ONCE,
    RETRY_MOST,
    SNAPSHOT_WITHIN,
    BybitProtocol,
)
from connectors.bybit_book import JUMPS_BELIEVED
from connectors.contract import DeadLetter, Told
from market.book import Book
from market.errors import FeedError, StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Side, Trade
from tests.connectors.bybit_session import (
    DOCUMENTED_DELTA,
    DOCUMENTED_INSTRUMENTS,
    DOCUMENTED_PONG,
    DOCUMENTED_RESTART,
    DOCUMENTED_SNAPSHOT,
    DOCUMENTED_TRADE,
    MILLISECOND,
    SECOND,
    START,
    VENUE,
    VENUE_MS,
    Session,
    answer,
    book,
    description,
    encoded,
    instrument,
    trade,
)
from tests.drawn_examples import examples

BTC, ETH = "bybit:BTC-USDT", "bybit:ETH-USDT"


def is_live(session: Session) -> bool:
    return session.protocol.is_live


def kinds(told: list[Told]) -> list[str]:
    return [type(one).__name__ for one in told]


def gap(reason: str, now: int, channel: str = "book", of: str = BTC) -> FeedGap:
    return FeedGap(instrument=of, ts_recv=now, reason=reason, channel=channel)


def anew(native: str = "BTCUSDT") -> list[tuple[str, tuple[str, ...]]]:
    topic = (f"orderbook.50.{native}",)
    return [("unsubscribe", topic), ("subscribe", topic)]


# -- what a message becomes ------------------------------------------------------------------------


def test_the_documented_trade_becomes_a_trade_of_the_taker() -> None:
    session = Session()
    assert session.receive(DOCUMENTED_TRADE) == [
        Trade(
            instrument=BTC,
            ts_event=1_672_304_486_865 * MILLISECOND,
            ts_recv=session.now,
            price=16578.5,
            size=0.001,
            side=Side.BUY,
            trade_id="20f43950-d8dd-5b31-9112-a178eb6023af",
        )
    ]


def test_the_documented_book_becomes_a_snapshot_and_a_delta() -> None:
    session = Session()
    [snapshot] = session.receive(DOCUMENTED_SNAPSHOT)
    assert snapshot == BookSnapshot(
        instrument=BTC,
        ts_event=1_672_304_484_976 * MILLISECOND,  # the matching engine's
        ts_recv=session.now,
        bids=[(16493.5, 0.006), (16493.0, 0.1)],
        asks=[(16611.0, 0.029)],
        sequence=18_521_288,
    )
    [delta] = session.receive(DOCUMENTED_DELTA)
    assert delta == BookDelta(
        instrument=BTC,
        ts_event=1_672_304_484_998 * MILLISECOND,
        ts_recv=session.now,
        bids=[(16493.0, 0.0)],
        asks=[],
        sequence=18_521_289,
    )


def test_the_documented_restart_is_a_snapshot_whatever_it_is_called() -> None:
    session = Session()
    session.receive(DOCUMENTED_SNAPSHOT)
    told, snapshot = session.receive(DOCUMENTED_RESTART)
    assert told == gap("update ids began anew: 1 after 18521288", session.now)
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, snapshot.sequence) == ([(16400.0, 1.0)], 1)
    assert is_live(session)
    assert kinds(session.receive(book(u=2, ts=1_772_694_601_600))) == ["BookDelta"]


def test_a_time_of_the_engine_may_be_missing() -> None:
    message = json.loads(book(u=100, kind="snapshot"))
    del message["cts"]
    [snapshot] = Session().receive(encoded(message))
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.ts_event == (VENUE_MS + 100) * MILLISECOND


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b'{"topic":"tickers.BTCUSDT","ts":1,"data":{}}', "unknown topic tickers"),
        (b'{"topic":"news","data":[]}', "unknown topic news"),
        (book(depth=200), "unknown symbol or depth of orderbook"),
        (trade("XRPUSDT"), "unknown symbol or depth of publicTrade"),
        (trade("BTCUSDT", 1, s="ETHUSDT"), "unknown symbol"),
        (book(s="ETHUSDT"), "unknown book message"),
        (book(kind="update"), "unknown book message"),
        (b"{}", "unknown envelope"),
        (b'{"op":"auth"}', "unknown envelope"),
        (answer(77), "answer to nothing"),
    ],
)  # fmt: skip
def test_what_we_do_not_know_becomes_a_dead_letter(frame: bytes, reason: str) -> None:
    session = Session()
    assert session.receive(frame) == [DeadLetter("bybit", reason, frame, session.now)]


@pytest.mark.parametrize("field", ["T", "s", "S", "v", "p", "i"])
def test_a_trade_without_a_field_breaks_the_session(field: str) -> None:
    message = json.loads(trade())
    del message["data"][0][field]
    with pytest.raises(VenueProtocolError, match=rf"publicTrade.BTCUSDT: .*`{field}`"):
        Session().receive(encoded(message))


@pytest.mark.parametrize("field", ["s", "b", "a", "u"])
def test_a_book_without_a_field_breaks_the_session(field: str) -> None:
    message = json.loads(book())
    del message["data"][field]
    with pytest.raises(VenueProtocolError, match=rf"orderbook.50.BTCUSDT: .*`{field}`"):
        Session().receive(encoded(message))


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-1", "1e18", "", "x", "1_0"])
@pytest.mark.parametrize(
    "frame",
    [
        lambda number: trade(p=number),
        lambda number: trade(v=number),
        lambda number: book(b=[[number, "1"]]),
        lambda number: book(a=[["1", number]]),
        lambda number: book(u=1, kind="snapshot", a=[["1", number]]),
    ],
)
def test_a_number_that_is_none_never_passes(number: str, frame: object) -> None:
    with pytest.raises(VenueProtocolError):
        Session().receive(frame(number))  # type: ignore[operator]


@pytest.mark.parametrize(
    "frame",
    [b"", b"null", b"[]", b"5", b"\xff", b"not json", b'{"topic":5}', b'{"op":5}', b"[" * 100_000,
     b'{"topic":"x","data":' + b'{"a":' * 100_000],
)  # fmt: skip
def test_nonsense_breaks_the_session(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError) as caught:
        Session().receive(frame)
    assert caught.value.frame == frame[:500]


# -- trades ----------------------------------------------------------------------------------------


def test_trades_of_one_message_keep_their_order_and_a_block_trade_is_left_out() -> None:
    session = Session()
    message = json.loads(trade("BTCUSDT", "a", "b", "c"))
    message["data"][1] |= {"BT": True}
    message["data"][2] |= {"S": "Sell"}
    told = session.receive(encoded(message))
    assert [(one.trade_id, one.side) for one in told if isinstance(one, Trade)] == [
        ("a", Side.BUY),
        ("c", Side.SELL),
    ]


def test_a_trade_that_was_told_is_not_told_again() -> None:
    session = Session("BTC-USDT", "ETH-USDT")
    assert len(session.receive(trade("BTCUSDT", "x", "y"))) == 2
    assert len(session.receive(trade("BTCUSDT", "y", "z"))) == 1
    assert len(session.receive(trade("ETHUSDT", "y"))) == 1
    for first in range(0, 6_000, 500):
        ids = range(first, first + 500)
        assert len(session.receive(trade("BTCUSDT", *ids))) == 500
        assert session.receive(trade("BTCUSDT", *ids)) == []
    kept = session.protocol._trades["publicTrade.BTCUSDT"]
    assert len(kept.recent) + len(kept.older) <= 5000


# -- the book rule ---------------------------------------------------------------------------------


def test_deltas_before_the_snapshot_are_dropped() -> None:  # step 1
    session = Session()
    assert session.receive(book(u=99)) == []
    assert not is_live(session)
    assert kinds(session.receive(book(u=100, kind="snapshot"))) == ["BookSnapshot"]


def test_the_snapshot_may_come_before_the_acknowledgement() -> None:
    session = Session(is_acknowledged=False)
    assert kinds(session.receive(book(u=100, kind="snapshot"))) == ["BookSnapshot"]
    assert not is_live(session)
    session.acknowledge()
    assert is_live(session)


def test_a_snapshot_that_nobody_asked_for_replaces_the_book() -> None:  # step 2
    session = Session().live()
    [told] = session.receive(book(u=150, kind="snapshot", b=[["90", "1"]]))
    assert isinstance(told, BookSnapshot)
    assert told.bids == [(90.0, 1.0)]
    assert kinds(session.receive(book(u=151))) == ["BookDelta"]


@pytest.mark.parametrize("u", [100, 99, 3, 2])
def test_an_old_delta_is_dropped(u: int) -> None:  # step 5
    session = Session().live()
    assert session.receive(book(u=u, ts=VENUE_MS + 50)) == []
    assert kinds(session.receive(book(u=101))) == ["BookDelta"]


@pytest.mark.parametrize("u", [100, 60])
def test_an_old_snapshot_is_dropped(u: int) -> None:  # step 5
    session = Session().live()
    assert session.receive(book(u=u, kind="snapshot", ts=VENUE_MS + u)) == []
    assert kinds(session.receive(book(u=101))) == ["BookDelta"]


def test_ids_that_began_anew_unseen_start_the_book_again() -> None:  # step 5
    session = Session().live()
    before = len(session.messages)
    session.now += 2 * SECOND
    told = session.receive(book(u=7, ts=VENUE_MS + 900))
    assert told == [gap("update ids began anew: 7 after 100", session.now)]
    assert session.requests(since=before) == anew()
    assert kinds(session.receive(book(u=8, kind="snapshot", ts=VENUE_MS + 950))) == ["BookSnapshot"]


def test_a_snapshot_with_lower_ids_that_is_newer_replaces_the_book_after_a_gap() -> None:
    session = Session().live()
    told = session.receive(book(u=7, kind="snapshot", ts=VENUE_MS + 900))
    assert kinds(told) == ["FeedGap", "BookSnapshot"]


def test_a_missing_update_is_a_gap_of_that_symbol_and_its_book_is_asked_for_again() -> None:
    session = Session("BTC-USDT", "ETH-USDT").live()  # step 6
    before = len(session.messages)
    session.now += 2 * SECOND
    assert session.receive(book(u=102)) == [gap("sequence: expected u 101, got 102", session.now)]
    assert session.requests(since=before) == anew()
    assert not is_live(session)
    assert session.receive(book(u=103)) == []
    assert kinds(session.receive(book("ETHUSDT", 101))) == ["BookDelta"]
    session.acknowledge()
    assert kinds(session.receive(book(u=103, kind="snapshot"))) == ["BookSnapshot"]
    assert is_live(session)
    assert kinds(session.receive(book(u=104))) == ["BookDelta"]


def test_a_stale_snapshot_is_no_answer_to_a_gap_but_ids_that_stay_low_are_believed() -> None:
    session = Session().live()
    session.now += 2 * SECOND
    session.receive(book(u=105))
    session.acknowledge()
    assert session.receive(book(u=104, kind="snapshot")) == []
    session.wait(2)
    session.acknowledge()
    assert session.requests()[-2:] == anew()
    assert session.receive(book(u=90, kind="snapshot")) == []
    assert kinds(session.receive(book(u=95, kind="snapshot"))) == ["BookSnapshot"]


def test_a_snapshot_that_got_lost_is_asked_for_again() -> None:
    session = Session()
    before = len(session.messages)
    assert session.receive(book(u=101), after=SECOND // 2) == []
    assert session.requests(since=before) == []
    assert session.receive(book(u=102), after=SECOND) == []
    assert session.requests(since=before) == anew()
    assert session.receive(book(u=103)) == []
    assert session.requests(since=before) == anew(), "not more than once a second"


def test_a_snapshot_that_does_not_come_is_asked_for_again_in_time() -> None:
    session = Session()
    before = len(session.messages)
    session.wait(SNAPSHOT_WITHIN / SECOND - 1)
    assert session.requests(since=before) == []
    session.wait(2)
    assert session.requests(since=before) == anew()


def jump(session: Session, u: int, native: str = "BTCUSDT") -> list[Told]:
    """Bring one delta with a hole before it, and the snapshot that heals it."""
    session.now += 2 * SECOND
    told = session.receive(book(native, u + 5))
    session.acknowledge()
    if told and isinstance(told[0], FeedGap):
        told += session.receive(book(native, u + 5, "snapshot"))
    return told


def test_where_ids_are_never_consecutive_a_jump_soon_means_nothing() -> None:  # step 6
    session = Session().live()
    session.receive(book(u=101))
    u = 101
    gaps = 0
    for _ in range(200):
        told = jump(session, u)
        u += 5
        gaps += isinstance(told[0], FeedGap)
    # A jump may follow a snapshot or a delta; each kind is judged by itself.
    assert gaps <= 2 * JUMPS_BELIEVED + 2
    assert kinds(jump(session, u)) == ["BookDelta"]
    assert is_live(session)


def test_a_lossy_line_never_makes_jumps_mean_nothing() -> None:  # step 6
    session = Session().live()
    u = 100
    for _ in range(3 * JUMPS_BELIEVED):
        for _ in range(3):
            u += 1
            assert kinds(session.receive(book(u=u))) == ["BookDelta"]
        assert kinds(jump(session, u)) == ["FeedGap", "BookSnapshot"]
        u += 5


def test_a_doubt_of_the_ids_is_told_once() -> None:
    session = Session().live()
    numbering = session.protocol._following
    numbering.jumps, numbering.steps = JUMPS_BELIEVED, 3
    session.receive(book(u=101))
    session.now += 2 * SECOND
    delta, letter = session.receive(book(u=110))
    assert isinstance(delta, BookDelta)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "update ids are not consecutive"
    assert kinds(session.receive(book(u=120))) == ["BookDelta"]


def test_levels_behind_the_depth_are_told_as_removed() -> None:  # step 7
    session = Session()
    bids = [[str(1000 - n), "1"] for n in range(50)]
    asks = [[str(1001 + n), "1"] for n in range(50)]
    [snapshot] = session.receive(book(u=100, kind="snapshot", b=bids, a=asks))
    assert isinstance(snapshot, BookSnapshot)
    [delta] = session.receive(book(u=101, b=[["1000.5", "2"], ["951", "0"]], a=[["1000.7", "3"]]))
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(1000.5, 2.0), (951.0, 0.0)], "as many came as went"
    assert delta.asks == [(1000.7, 3.0), (1050.0, 0.0)], "and here nobody said what went"
    assert len(session.protocol._books["orderbook.50.BTCUSDT"]._asks) == 50


def test_the_depth_is_an_option() -> None:
    session = Session(depth=200)
    assert session.requests() == [
        ("subscribe", ("publicTrade.BTCUSDT", "orderbook.200.BTCUSDT")),
    ]
    assert kinds(session.receive(book(u=3, kind="snapshot", depth=200))) == ["BookSnapshot"]
    assert VENUE.explain_options({"depth": 200, "max_age_s": 60}) == ""
    assert "50 or 200, not 20" in VENUE.explain_options({"depth": 20})
    assert "has no option 'colour'" in VENUE.explain_options({"colour": 1})
    assert "max_age_s" in VENUE.explain_options({"max_age_s": "long"})


# -- subscriptions ---------------------------------------------------------------------------------


def test_a_request_has_at_most_ten_topics() -> None:
    session = Session(*[f"A{number}-USDT" for number in range(12)], is_acknowledged=False)
    assert session.protocol.url == "ws://stream.simulated/v5/public/spot"
    sizes = [len(topics) for _, topics in session.requests()]
    assert sizes == [10, 10, 4]
    topics = [topic for _, some in session.requests() for topic in some]
    assert len(set(topics)) == 24
    assert {message["req_id"] for message in session.messages} == {"1", "2", "3"}


def test_more_topics_than_a_connection_carries_are_refused() -> None:
    names = [f"ABCDEFGH{number}-USDT" for number in range(500)]
    with pytest.raises(ValueError, match="500 instruments"):
        BybitProtocol(description(*names))
    session = Session(*names[:300], is_acknowledged=False)
    text = json.dumps([topic for _, topics in session.requests() for topic in topics])
    assert len(text) < CHARACTERS_PER_CONNECTION + 600  # the spaces of json.dumps
    with pytest.raises(ValueError, match="500 instruments"):
        session.do(lambda protocol, now: protocol.subscribe(list(map(instrument, names)), now))
    assert len(session.protocol.instruments) == 300


def test_one_bad_topic_does_not_cost_the_others() -> None:
    session = Session("BTC-USDT", "NOPE-USDT", is_acknowledged=False)
    refusal = "Invalid symbol :[publicTrade.NOPEUSDT]"
    assert session.receive(answer(1, refusal=refusal)) == []
    alone = [topics for _, topics in session.requests()[1:]]
    assert sorted(alone) == [
        ("orderbook.50.BTCUSDT",),
        ("orderbook.50.NOPEUSDT",),
        ("publicTrade.BTCUSDT",),
        ("publicTrade.NOPEUSDT",),
    ]
    told: list[Told] = []
    for message in session.messages[1:]:
        [topic] = message["args"]
        bad = f"Invalid symbol :[{topic}]" if "NOPE" in topic else ""
        told += session.receive(answer(message["req_id"], refusal=bad))
    assert [(one.instrument, one.channel) for one in told if isinstance(one, FeedGap)] == [
        ("bybit:NOPE-USDT", "trade"),
        ("bybit:NOPE-USDT", "book"),
    ]
    assert isinstance(told[0], FeedGap)
    assert told[0].reason.startswith("subscription refused: Invalid symbol")
    assert kinds(session.receive(book(u=100, kind="snapshot"))) == ["BookSnapshot"]
    assert not is_live(session), "one of them is missing"


def test_a_refused_topic_is_asked_for_again_ever_more_rarely_until_it_is_there() -> None:
    session = Session("BTC-USDT")
    session.live()
    nope = [instrument("NOPE-USDT")]
    session.do(lambda protocol, now: protocol.subscribe(nope, now))
    refused = 0
    gaps = 0
    asked_at: list[int] = []
    for _ in range(400):
        for message in session.messages[session._answered :]:
            session._answered += 1
            if "NOPE" in str(message.get("args")):
                if len(message["args"]) == 1 and "orderbook" in message["args"][0]:
                    asked_at.append(session.now)
                told = session.receive(answer(message["req_id"], refusal="Invalid symbol"), after=0)
                gaps += len(told)
                refused += 1
        session.wait(1)
    assert gaps == 2, "told once a channel"
    waits = [(b - a) // SECOND for a, b in pairwise(asked_at)]
    assert waits == sorted(waits)
    assert max(waits) == RETRY_MOST // SECOND
    for _ in range(60):
        session.wait(1)
        session.acknowledge()
    assert kinds(session.receive(book("NOPEUSDT", 5, "snapshot"))) == ["BookSnapshot"]
    assert is_live(session)


def test_already_subscribed_is_good_enough() -> None:
    session = Session(is_acknowledged=False)
    said = "error:already subscribed,topic:publicTrade.BTCUSDT"
    assert session.receive(answer(1, refusal=said)) == []
    assert session.receive(answer(2, refusal=said)) == []
    assert session.receive(answer(3)) == []
    session.live()


def test_a_symbol_that_stays_refused_does_not_keep_a_connection_from_taking_over() -> None:
    session = Session("BTC-USDT", "NOPE-USDT", is_acknowledged=False)
    assert session.receive(answer(1, refusal="Invalid symbol :[publicTrade.NOPEUSDT]")) == []
    session._answered = 1
    lives = []
    for _ in range(20):
        for message in session.messages[session._answered :]:
            session._answered += 1
            is_bad = "NOPE" in str(message.get("args"))
            if "args" in message:
                session.receive(answer(message["req_id"], refusal="Invalid" if is_bad else ""))
        session.receive(book("BTCUSDT", 100, "snapshot"))
        lives.append(is_live(session))
        session.wait(1)
    assert not any(lives[: RETRIES_AT_ONCE - 1]), "it may be there in a moment"
    assert lives[-1]


def test_a_refusal_that_belongs_to_nothing_breaks_the_session() -> None:
    with pytest.raises(SubscriptionError, match="args size >10"):
        Session().receive(answer("", refusal="args size >10"))


def test_an_answer_may_take_its_limit_and_no_longer() -> None:
    session = Session(is_acknowledged=False)
    assert session.protocol.elapsed(START + ANSWER_WITHIN) == []
    with pytest.raises(SubscriptionError, match=r"publicTrade.BTCUSDT: no answer in 10 s"):
        session.protocol.elapsed(START + ANSWER_WITHIN + 1)


def test_an_instrument_is_added_and_dropped_at_run_time() -> None:
    session = Session("BTC-USDT").live()
    eth = instrument("ETH-USDT")
    before = len(session.messages)
    assert session.do(lambda protocol, now: protocol.subscribe([eth, eth], now)) == []
    both = ("publicTrade.ETHUSDT", "orderbook.50.ETHUSDT")
    assert session.requests(since=before) == [("subscribe", both)]
    assert not is_live(session)
    session.acknowledge()
    session.receive(book("ETHUSDT", 5, "snapshot"))
    assert is_live(session)
    assert list(session.protocol.instruments) == [BTC, ETH]

    told = session.do(lambda protocol, now: protocol.unsubscribe([BTC, "bybit:X-Y"], now))
    assert [(one.instrument, one.reason) for one in told if isinstance(one, FeedGap)] == [
        (BTC, "unsubscribed")
    ]
    assert session.requests()[-1] == (
        "unsubscribe",
        ("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"),
    )
    assert session.receive(trade()) == [], "the tail of what was asked for"
    assert session.receive(book(u=101)) == []
    session.acknowledge()
    assert is_live(session)
    assert list(session.protocol.instruments) == [ETH]


def test_a_resync_leaves_the_others_alone_and_waits_for_a_newer_snapshot() -> None:
    session = Session("BTC-USDT", "ETH-USDT").live()
    session.now += 2 * SECOND
    before = len(session.messages)
    told = session.do(lambda protocol, now: protocol.resync(ETH, "crossed book", now))
    assert told == [gap("crossed book", session.now, of=ETH)]
    assert session.requests(since=before) == anew("ETHUSDT")
    assert session.do(lambda protocol, now: protocol.resync(ETH, "again", now)) == []
    assert session.do(lambda protocol, now: protocol.resync("bybit:X-Y", "", now)) == []
    assert kinds(session.receive(book(u=101))) == ["BookDelta"]
    assert session.receive(book("ETHUSDT", 99, "snapshot")) == []
    assert kinds(session.receive(book("ETHUSDT", 103, "snapshot"))) == ["BookSnapshot"]


# -- silence and age -------------------------------------------------------------------------------


def test_a_ping_goes_out_every_twenty_seconds_and_a_pong_is_waited_for() -> None:
    session = Session().live()
    session.wait(100)
    assert session.messages.count({"op": "ping"}) == 5
    with pytest.raises(StaleFeedError, match="silent for"):
        session.wait(PING_EVERY / SECOND + 11, pongs=False)
    assert Session().receive(b'{"op":"pong","args":["1675418560633"],"conn_id":"c"}') == []
    assert Session().receive(DOCUMENTED_PONG) == []


def test_a_busy_connection_is_given_up_soon() -> None:
    session = Session().live()
    for number in range(60):
        session.receive(trade("BTCUSDT", number), after=SECOND // 30)
        if number % 30 == 29:
            session.do(lambda protocol, now: protocol.elapsed(now))
    began = session.now
    with pytest.raises(StaleFeedError):
        session.wait(60, pongs=False)
    assert session.now - began <= 6 * SECOND


def test_an_old_connection_wants_a_replacement_only_where_an_age_is_set() -> None:
    for max_age_s, wants in ((0, False), (100, True)):
        session = Session(max_age_s=max_age_s).live()
        session.wait(99)
        assert not session.protocol.wants_replacement
        session.wait(3)
        assert session.protocol.wants_replacement is wants


# -- the list of instruments -----------------------------------------------------------------------


def test_the_documented_list_is_read() -> None:
    [btc] = VENUE.read_instruments(encoded(DOCUMENTED_INSTRUMENTS))
    assert (btc.id, btc.native, btc.tick, btc.step) == (BTC, "BTCUSDT", 0.1, 0.000001)
    assert VENUE.more_instruments_url(encoded(DOCUMENTED_INSTRUMENTS)) == ""
    assert VENUE.instruments_url("http://x").startswith("http://x/v5/market/instruments-info?")


def test_a_list_may_have_more_pages() -> None:
    page = json.loads(encoded(DOCUMENTED_INSTRUMENTS))
    page["result"]["nextPageCursor"] = "first%3DBIOUSDT%26last%3DBIOUSDT"
    address = VENUE.more_instruments_url(encoded(page))
    assert address.startswith("/v5/market/instruments-info?category=spot&")
    assert address.endswith("&cursor=first%3DBIOUSDT%26last%3DBIOUSDT")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"retCode": 10006, "retMsg": "Too many visits!", "result": {}}, "Too many visits"),
        ({"result": {"category": "linear", "list": []}}, "expected 'spot'"),
    ],
)
def test_a_list_that_is_another_is_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(VenueProtocolError, match=words):
        VENUE.read_instruments(encoded(DOCUMENTED_INSTRUMENTS | changed))


# -- a true book, and what of its messages gets lost -----------------------------------------------

steps = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 7), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("tell")),
    st.tuples(st.just("lose")),
    st.tuples(st.just("repeat")),
    st.tuples(st.just("swap")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("lose restart")),
    st.tuples(st.just("answer")),
    st.tuples(st.just("wait"), st.integers(1, 12)),
    st.tuples(st.just("resync")),
)


class Exchange:
    """A book of few prices, its messages, and all that it ever was."""

    def __init__(self) -> None:
        self.u = 100
        self.ts = VENUE_MS
        self.bids: dict[int, int] = {90: 1}
        self.asks: dict[int, int] = {110: 1}
        self.changed: dict[tuple[bool, int], int] = {}
        self.was: dict[tuple[int, int], object] = {}  # by time and id
        self.remember()

    def remember(self) -> None:
        self.told = dict(self.bids), dict(self.asks)
        self.was[self.ts, self.u] = tuple(
            {float(price): float(size) for price, size in side.items()} for side in self.told
        )

    def change(self, price: int, size: int, *, is_bid: bool) -> None:
        side, key = (self.bids, 90 + price) if is_bid else (self.asks, 110 + price)
        if size:
            side[key] = size
        else:
            side.pop(key, None)
        self.changed[is_bid, key] = size

    def tell(self, u: int = 0) -> bytes:
        self.u = u or self.u + 1
        self.ts += 20
        changed, self.changed = self.changed, {}
        self.remember()
        if u == 1:
            return self.snapshot()
        bids = [[str(price), str(size)] for (is_bid, price), size in changed.items() if is_bid]
        asks = [[str(price), str(size)] for (is_bid, price), size in changed.items() if not is_bid]
        return book(u=self.u, b=bids, a=asks, ts=self.ts)

    def snapshot(self) -> bytes:
        """The book as it was told last: what changed since comes with the next delta."""
        bids, asks = (
            [[str(price), str(size)] for price, size in side.items()] for side in self.told
        )
        return book(u=self.u, kind="snapshot", b=bids, a=asks, ts=self.ts)


@examples(50)
@given(st.lists(steps, max_size=60))
def test_a_book_that_is_live_is_the_true_book(script: list[tuple]) -> None:  # type: ignore[type-arg]
    exchange = Exchange()
    protocol = BybitProtocol(description("BTC-USDT"))
    ours = Book()
    now = START
    asked: list[bytes] = []
    protocol.opened(now)

    def look(told: list[Told]) -> None:
        for event in told:
            if isinstance(event, FeedGap):
                ours.clear()
            elif isinstance(event, (BookSnapshot, BookDelta)):
                ours.apply(event)
                key = (event.ts_event // MILLISECOND + 2, event.sequence)
                assert ours.levels() == exchange.was[key]
        asked.extend(item for item in protocol.outgoing() if isinstance(item, bytes))

    def reply() -> None:
        while asked:
            said = json.loads(asked.pop(0))
            if said["op"] == "ping":
                look(protocol.received(DOCUMENTED_PONG, now))
                continue
            look(protocol.received(answer(said["req_id"], op=said["op"]), now))
            if said["op"] == "subscribe" and "orderbook.50.BTCUSDT" in said["args"]:
                look(protocol.received(exchange.snapshot(), now))

    look([])
    last = b"{}"
    for step in script:
        now += 20 * MILLISECOND
        match step:
            case ("change", price, size, is_bid):
                exchange.change(price, size, is_bid=is_bid)
            case ("tell",):
                last = exchange.tell()
                look(protocol.received(last, now))
            case ("repeat",) if last != b"{}":
                look(protocol.received(last, now))
            case ("lose",):
                exchange.tell()
            case ("swap",):
                last, first = exchange.tell(), exchange.tell()
                look(protocol.received(first, now))
                look(protocol.received(last, now))
            case ("restart",):
                look(protocol.received(exchange.tell(1), now))
            case ("lose restart",) if exchange.u > 50:  # ids that meet again would hide it
                exchange.tell(1)
            case ("answer",):
                reply()
            case ("wait", seconds):
                for _ in range(seconds):
                    now += SECOND
                    reply()
                    look(protocol.elapsed(now))
            case ("resync",):
                look(protocol.resync(BTC, "crossed book", now))
            case _:
                pass

    # When nothing goes wrong any more it is live again soon.
    for _ in range(20):
        now += SECOND
        reply()
        exchange.change(0, 1 + now % 3, is_bid=True)
        look(protocol.received(exchange.tell(), now))
        look(protocol.elapsed(now))
    reply()
    assert protocol.is_live
    assert ours.sequence == exchange.u


frames = st.sampled_from(
    [book(u=u, kind=kind) for u in (1, 100, 101, 103) for kind in ("snapshot", "delta")]
    + [trade(), answer(1), answer(1, refusal="Invalid symbol"), DOCUMENTED_PONG, b"{}", b"["]
)


@examples(40)
@given(st.lists(st.tuples(frames, st.integers(0, 3000)), max_size=12))
def test_the_same_frames_give_the_same_events(script: list[tuple[bytes, int]]) -> None:
    def run() -> list[object]:
        protocol = BybitProtocol(description("BTC-USDT"))
        now = START
        out: list[object] = list(protocol.opened(now))
        try:
            for frame, wait in script:
                now += wait * MILLISECOND
                out += protocol.received(frame, now)
                out += protocol.elapsed(now)
                out += protocol.outgoing()
        except FeedError as error:
            out.append((type(error), str(error)))
        return out

    assert run() == run()
