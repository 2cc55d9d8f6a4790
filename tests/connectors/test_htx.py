"""HTX's protocol object, case by case; what it makes of any bytes is in test_htx_fuzz."""

import json
import zlib
from itertools import pairwise

import pytest

from connectors.contract import DeadLetter, FeedDescription, Request, Told
from connectors.htx import (
    ANSWER_WITHIN,
    ASK_PERIOD,
    KEPT_UPDATES,
    LARGEST_MESSAGE,
    LATE_UPDATES,
    QUIET,
    RETRY_MOST,
    SNAPSHOT_WITHIN,
    SUBSCRIPTIONS_AT_ONCE,
    HtxProtocol,
)
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Side, Trade
from market.instruments import Instrument
from tests.connectors.htx_session import (
    DOCUMENTED,
    MILLISECOND,
    SECOND,
    START,
    VENUE,
    VENUE_MS,
    Session,
    acknowledgement,
    description,
    encoded,
    instrument,
    only,
    packed,
    refusal,
    row,
    snapshot,
    trades,
    update,
)

BTC, ETH = "htx:BTC-USDT", "htx:ETH-USDT"


def sequences(told: list[Told]) -> list[int]:
    return [one.sequence for one in told if isinstance(one, (BookSnapshot, BookDelta))]


def is_live(session: Session) -> bool:
    return session.protocol.is_live


def ids(told: list[Told]) -> list[str]:
    return [one.trade_id for one in only(Trade, told)]


# -- what a message becomes ------------------------------------------------------------------------


def test_the_documented_trade_becomes_a_trade_of_the_taker() -> None:
    session = Session("trade", is_acknowledged=False)
    session.receive(acknowledgement(session.subscriptions[0], ts=1_533_265_950_000))
    [told] = session.receive(packed(DOCUMENTED["trades"]))
    assert told == Trade(
        instrument=BTC,
        ts_event=1_533_265_950_234 * MILLISECOND,
        ts_recv=session.now,
        price=401.74,
        size=0.0099,
        side=Side.BUY,
        trade_id="102043495674",
    )


def test_the_documented_book_becomes_a_snapshot() -> None:
    session = Session("book", "BTC-USDT")
    session.wait(1)
    said = json.loads(DOCUMENTED["snapshot"]) | {"id": session.requests[0]["id"]}
    assert session.receive(packed(said)) == [
        BookSnapshot(
            instrument=BTC,
            ts_event=1_698_359_289_261 * MILLISECOND,
            ts_recv=session.now,
            bids=[(618.37, 71.594), (423.33, 77.726)],
            asks=[(650.59, 14.909733438479636)],
            sequence=100_020_142_010,
        )
    ]


def test_numbers_in_exponent_form_are_numbers() -> None:
    session = Session("book", "AIDOGE-USDT")
    session.wait(1)
    session.answer(155_247_355)
    [told] = session.receive(packed(DOCUMENTED["update"]))
    assert told == BookDelta(
        instrument="htx:AIDOGE-USDT",
        ts_event=1_690_948_841_557 * MILLISECOND,
        ts_recv=session.now,
        bids=[],
        asks=[(9.486e-11, 5.4329174972728e12), (9.488e-11, 0.0)],
        sequence=155_247_358,
    )


def test_a_ping_is_answered_with_its_own_number() -> None:
    for channel in ("trade", "book"):
        session = Session(channel)
        assert session.receive(packed(DOCUMENTED["ping"])) == []
        assert session.pongs == [{"pong": 1_492_420_473_027}]


def test_ours_are_one_topic_a_message_with_an_id() -> None:
    session = Session("book", "BTC-USDT", "ETH-USDT")
    assert session.subscriptions == [
        {"sub": "market.btcusdt.mbp.150", "id": "1"},
        {"sub": "market.ethusdt.mbp.150", "id": "2"},
    ]
    session.wait(1)
    assert session.requests == [{"req": "market.btcusdt.mbp.150", "id": "3"}]
    assert Session("trade").subscriptions == [{"sub": "market.btcusdt.trade.detail", "id": "1"}]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"ch": "market.btcusdt.kline.1min", "ts": 1, "tick": {}}, "unknown channel kline.1min"),
        ({"ch": "market.btcusdt.depth.step0", "ts": 1, "tick": {"bids": []}},
         "unknown channel depth.step0"),
        ({"ch": "news", "ts": 1}, "unknown channel news"),
        ({"ch": "market.xrpusdt.mbp.150", "ts": 1}, "unknown symbol"),
        ({"rep": "market.btcusdt.kline.1min", "status": "ok", "id": "9"}, "answer to nothing"),
        ({"id": "9", "status": "ok", "subbed": "market.btcusdt.bbo"}, "answer to nothing"),
        ({"id": "9", "status": "ok", "subbed": "market.btcusdt.mbp.150"}, "answer to nothing"),
        ({"id": "9", "status": "ok", "unsubbed": "market.btcusdt.bbo"}, "answer to nothing"),
        ({"status": "error", "id": "9", "err-code": "bad-request", "err-msg": "no"},
         "refusal of nothing"),
        ({"status": "error", "ts": 1}, "refusal of nothing"),
        ({"hello": 1}, "unknown envelope"),
        ({}, "unknown envelope"),
    ],
)  # fmt: skip
def test_what_we_do_not_know_becomes_a_dead_letter(message: object, reason: str) -> None:
    session = Session("book")
    session.live()
    told = session.receive(packed(message))
    assert told == [DeadLetter("htx", reason, encoded(message), session.now)]
    assert is_live(session)


def test_each_connection_knows_its_own_channel_only() -> None:
    session = Session("trade")
    [told] = session.receive(update())
    assert isinstance(told, DeadLetter)
    assert told.reason == "unknown channel mbp.150"
    session = Session("book")
    [told] = session.receive(trades())
    assert isinstance(told, DeadLetter)
    assert told.reason == "unknown channel trade.detail"


@pytest.mark.parametrize("field", ["tradeId", "ts", "price", "amount", "direction"])
def test_a_trade_without_a_field_breaks_the_session(field: str) -> None:
    broken = row()
    del broken[field]
    with pytest.raises(VenueProtocolError, match=rf"trade\.detail: .*`{field}`"):
        Session("trade").receive(trades("btcusdt", broken))


@pytest.mark.parametrize("field", ["seqNum", "prevSeqNum"])
def test_an_update_without_a_number_breaks_the_session(field: str) -> None:
    tick = {"seqNum": 1, "prevSeqNum": 0}
    del tick[field]
    with pytest.raises(VenueProtocolError, match=rf"mbp\.150: .*`{field}`"):
        Session("book").receive(
            packed({"ch": "market.btcusdt.mbp.150", "ts": VENUE_MS, "tick": tick})
        )


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", -1, 1e18, "", "x", None, []])
@pytest.mark.parametrize("kind", ["price", "size", "level price", "level size", "snapshot"])
def test_a_number_that_is_none_never_passes(number: object, kind: str) -> None:
    session = Session("trade" if kind in {"price", "size"} else "book")
    session.wait(1)
    frames = {
        "price": lambda: trades(price=number),
        "size": lambda: trades(amount=number),
        "level price": lambda: update(bids=[[number, 1]]),
        "level size": lambda: update(asks=[[1, number]]),
        "snapshot": lambda: snapshot(1, bids=[[1, number]]),
    }
    with pytest.raises(VenueProtocolError):
        session.receive(frames[kind]())


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{}", b"\x1f", b"\x1f\x8b\x08", DOCUMENTED["ping"], zlib.compress(b"{}"),
        packed(DOCUMENTED["ping"])[:-1], packed(DOCUMENTED["ping"])[:-9],
        packed(DOCUMENTED["ping"]) * 2, packed(b""), packed(b"null"), packed(b"[]"), packed(b"5"),
        packed(b"\xff"), packed(b"no json"), packed({"ch": 5}), packed({"ping": "5"}),
        packed(b"[" * 100_000),
        packed(b'{"tick":' * 100_000), packed(b" " * (LARGEST_MESSAGE + 1)),
    ],
    ids=lambda frame: repr(frame[:12]),
)  # fmt: skip
@pytest.mark.parametrize("channel", ["trade", "book"])
def test_nonsense_breaks_the_session(frame: bytes, channel: str) -> None:
    with pytest.raises(VenueProtocolError):
        Session(channel).receive(frame)


def test_a_message_that_fails_half_way_tells_nothing() -> None:
    session = Session("trade")
    with pytest.raises(VenueProtocolError):
        session.receive(trades("btcusdt", row(2), row(1, price="x")))


# -- trades ----------------------------------------------------------------------------------------


def test_rows_come_newest_first_and_are_told_oldest_first() -> None:
    session = Session("trade")
    told = session.receive(trades("btcusdt", row(12), row(11), row(10, direction="sell")))
    assert ids(told) == ["10", "11", "12"]
    assert [one.side for one in only(Trade, told)] == [Side.SELL, Side.BUY, Side.BUY]


@pytest.mark.parametrize("again", [20, 19, 1])
def test_a_trade_that_was_told_is_not_told_again(again: int) -> None:
    session = Session("trade")
    session.receive(trades(t=20))
    assert session.receive(trades(t=again)) == []
    assert ids(session.receive(trades("btcusdt", row(22), row(20), row(21)))) == ["21", "22"]


def test_ids_that_are_not_consecutive_are_no_gap() -> None:
    session = Session("trade")
    session.receive(trades(t=20))
    assert ids(session.receive(trades(t=40))) == ["40"]


def test_what_happened_before_the_acknowledgement_is_history() -> None:
    session = Session("trade", is_acknowledged=False)
    assert session.receive(trades(t=5)) == []
    session.receive(acknowledgement(session.subscriptions[0], ts=VENUE_MS + 100))
    assert session.receive(trades(t=6, ts=VENUE_MS + 99)) == []
    assert ids(session.receive(trades(t=7, ts=VENUE_MS + 100))) == ["7"]


# -- the book rule ---------------------------------------------------------------------------------


def test_updates_are_kept_until_the_snapshot_comes() -> None:  # steps 1 to 4
    session = Session("book")
    assert session.receive(update("btcusdt", 9, 12)) == []
    assert len(session.requests) == 1
    assert session.receive(update("btcusdt", 12, 15)) == []
    told = session.answer(9)
    assert [type(one).__name__ for one in told] == ["BookSnapshot", "BookDelta", "BookDelta"]
    assert sequences(told) == [9, 12, 15]
    assert [one.catching_up for one in only(BookDelta, told)] == [True, False]
    assert is_live(session)


@pytest.mark.parametrize(
    ("last", "told"), [(9, [9, 12, 15]), (12, [12, 15]), (15, [15]), (40, [40])]
)
def test_updates_that_the_snapshot_holds_are_dropped(last: int, told: list[int]) -> None:
    session = Session("book")  # step 3
    session.receive(update("btcusdt", 9, 12))
    session.receive(update("btcusdt", 12, 15))
    assert sequences(session.answer(last)) == told


@pytest.mark.parametrize("last", [8, 10, 11, 13])
def test_a_snapshot_that_does_not_meet_an_update_is_asked_for_again(last: int) -> None:
    session = Session("book")
    session.receive(update("btcusdt", 9, 12))
    session.receive(update("btcusdt", 12, 15))
    assert session.answer(last) == []
    assert len(session.requests) == 0
    session.wait(1)
    assert sequences(session.answer(15)) == [15]


def test_a_snapshot_newer_than_all_is_the_book_and_the_next_update_must_meet_it() -> None:
    session = Session("book")
    session.live(100)
    assert session.receive(update("btcusdt", 95, 100)) == []  # old
    assert sequences(session.receive(update("btcusdt", 100, 104))) == [104]
    assert sequences(session.receive(update("btcusdt", 104, 105))) == [105]


def test_an_update_with_both_sides_empty_counts() -> None:  # step 5
    session = Session("book", "ZEC-USDT")
    session.wait(1)
    session.answer(100_772_868_476)
    [told] = session.receive(packed(DOCUMENTED["empty update"]))
    assert isinstance(told, BookDelta)
    assert (told.bids, told.asks, told.sequence) == ([], [], 100_772_868_478)
    assert sequences(session.receive(update("zecusdt", 100_772_868_478, 100_772_868_480)))


def test_a_side_may_be_missing() -> None:
    session = Session("book")
    session.live(100)
    said = {"seqNum": 101, "prevSeqNum": 100, "asks": [[645.14, 26.75]]}
    [told] = session.receive(packed({"ch": "market.btcusdt.mbp.150", "ts": VENUE_MS, "tick": said}))
    assert isinstance(told, BookDelta)
    assert (told.bids, told.asks) == ([], [(645.14, 26.75)])


def test_levels_of_size_zero_in_a_snapshot_are_none() -> None:
    session = Session("book")
    session.wait(1)
    [told] = session.answer(7, bids=[[99, 0], [98, 2]], asks=[[101, 0.0]])
    assert isinstance(told, BookSnapshot)
    assert (told.bids, told.asks) == ([(98.0, 2.0)], [])


def test_a_loss_starts_again_for_that_symbol_only() -> None:
    session = Session("book", "BTC-USDT", "ETH-USDT")
    session.live(100)
    [gap] = session.receive(update("btcusdt", 105, 107), after=SECOND)
    assert gap == FeedGap(
        instrument=BTC,
        ts_recv=session.now,
        reason="sequence: expected prevSeqNum 100, got 105",
        channel="book",
    )
    assert [request["req"] for request in session.requests] == ["market.btcusdt.mbp.150"]
    assert sequences(session.receive(update("ethusdt", 100, 102))) == [102]
    assert session.receive(update("btcusdt", 107, 110)) == []
    assert sequences(session.answer(105)) == [105, 107, 110]
    assert is_live(session)


def test_a_resync_asks_again_and_takes_nothing_older_than_was_told() -> None:
    session = Session("book", "BTC-USDT", "ETH-USDT")
    session.live(100)
    session.receive(update("btcusdt", 100, 200), after=SECOND)
    [gap] = session.do(lambda protocol, now: protocol.resync(BTC, "crossed book", now))
    assert isinstance(gap, FeedGap)
    assert (gap.instrument, gap.reason, gap.channel) == (BTC, "crossed book", "book")
    assert session.do(lambda protocol, now: protocol.resync(BTC, "again", now)) == []
    assert session.answer(150) == []
    session.wait(2)
    assert sequences(session.answer(200)) == [200]
    assert sequences(session.receive(update("ethusdt", 100, 102))) == [102]


@pytest.mark.parametrize("is_broken", [False, True])
def test_numbers_that_begin_anew_are_a_gap_and_a_new_book(is_broken: bool) -> None:
    session = Session("book")
    session.live(1000)
    if is_broken:
        session.do(lambda protocol, now: protocol.resync(BTC, "crossed book", now))
    told: list[Told] = []
    for number in range(1, LATE_UPDATES + 40):
        told += session.receive(update("btcusdt", number - 1, number), after=SECOND // 8)
        told += session.receive(update("btcusdt", number - 1, number))  # twice
        if session.requests:
            told += session.answer(number)
    assert [type(one) for one in told if not isinstance(one, BookDelta)] == (
        [BookSnapshot] if is_broken else [FeedGap, BookSnapshot]
    )
    assert is_live(session)


def test_a_resync_of_a_silent_topic_subscribes_to_it_again() -> None:
    session = Session("book", "BTC-USDT", "ETH-USDT")
    session.live(100)
    before = len(session.subscriptions)
    for number in range(101, 111):  # ETH goes on, and so does the connection
        session.wait(1)
        session.receive(update("ethusdt", number - 1, number))
    [gap] = session.do(lambda protocol, now: protocol.resync(BTC, "silent", now))
    assert isinstance(gap, FeedGap)
    topic = "market.btcusdt.mbp.150"
    given_up, again = session.subscriptions[before:]
    assert (given_up["unsub"], again["sub"]) == (topic, topic)
    assert session.requests == [], "not before it is in force"
    session.acknowledge()
    session.wait(1)
    assert [request["req"] for request in session.requests] == [topic]
    assert session.answer(99) == [], "older than what was told"
    session.wait(1)
    assert sequences(session.answer(120)) == [120]
    assert is_live(session)
    assert sequences(session.receive(update("btcusdt", 120, 121))) == [121]


def test_a_resync_of_trades_is_nothing() -> None:
    session = Session("trade")
    assert session.do(lambda protocol, now: protocol.resync(BTC, "x", now)) == []


def test_a_quiet_book_is_asked_for_a_second_after_its_acknowledgement() -> None:
    session = Session("book", is_acknowledged=False)
    session.wait(5)
    assert session.requests == [], "updates in between would be missed"
    session.acknowledge()
    session.wait(0.9)
    assert session.requests == []
    session.wait(0.2)
    assert len(session.requests) == 1


def test_requests_are_apart_and_the_longest_waiting_goes_first() -> None:
    symbols = [f"A{number}-USDT" for number in range(12)]
    session = Session("book", *symbols)
    session.wait(1)
    while len(session.asked_at) < len(symbols):
        session.receive(packed(DOCUMENTED["ping"]), after=7 * MILLISECOND)
    between = [after - before for before, after in pairwise(session.asked_at)]
    assert min(between) >= ASK_PERIOD
    assert [request["req"] for request in session.requests] == [
        f"market.a{number}usdt.mbp.150" for number in range(12)
    ]


@pytest.mark.parametrize("answer", ["refusal", "silence"])
def test_a_request_without_success_is_made_again_later_and_later(answer: str) -> None:
    session = Session("book")
    for _ in range(120):
        session.wait(1)
        session.receive(packed(DOCUMENTED["ping"]), after=0)
        if session.requests and answer == "refusal":
            request = session.requests.pop()
            assert session.receive(refusal(request["id"], "429 too many request"), after=0) == []
    waits = [(after - before) // SECOND for before, after in pairwise(session.asked_at)]
    late = 0 if answer == "refusal" else SNAPSHOT_WITHIN // SECOND + 1
    assert waits[:6] == [late + wait for wait in (1, 2, 4, 8, 16, 32)]
    assert max(waits) == late + RETRY_MOST // SECOND


def test_what_is_kept_is_bounded() -> None:
    session = Session("book")
    for number in range(KEPT_UPDATES * 2):
        session.receive(update("btcusdt", number, number + 1), after=0)
    assert len(session.protocol._streams["market.btcusdt.mbp.150"].book.kept) <= KEPT_UPDATES


# -- subscriptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["trade", "book"])
def test_a_refusal_names_its_symbol_and_leaves_the_others_alone(channel: str) -> None:
    session = Session(channel, "LMR-USDT", "ETH-USDT", is_acknowledged=False)
    session.receive(acknowledgement(session.subscriptions[1]))
    if channel == "book":
        session.wait(1)
        session.answer(100)
    [gap] = session.receive(refusal("1", "invalid symbol lmrusdt"))
    assert gap == FeedGap(
        instrument="htx:LMR-USDT",
        ts_recv=session.now,
        reason="subscription refused: invalid symbol lmrusdt (bad-request)",
        channel=channel,
    )
    assert is_live(session), "what is refused is not waited for"
    session.wait(1)
    again = session.subscriptions[2]
    assert again["sub"] == session.subscriptions[0]["sub"]
    assert session.receive(refusal(again["id"], "invalid symbol lmrusdt")) == [], "said before"
    session.wait(2)
    assert session.receive(acknowledgement(session.subscriptions[3])) == []
    if channel == "book":
        session.wait(1)
        assert sequences(session.answer(7)) == [7]
    assert is_live(session)


def test_an_acknowledgement_that_does_not_come_ends_the_session() -> None:
    session = Session("trade", is_acknowledged=False)
    session.wait(ANSWER_WITHIN // SECOND)
    session.receive(packed(DOCUMENTED["ping"]))
    with pytest.raises(SubscriptionError, match=r"market\.btcusdt\.trade\.detail: no answer in 10"):
        session.wait(1)


def test_subscriptions_come_in_portions() -> None:
    symbols = [f"A{number}-USDT" for number in range(50)]
    session = Session("trade", *symbols, is_acknowledged=False)
    assert len(session.subscriptions) == SUBSCRIPTIONS_AT_ONCE
    assert not is_live(session)
    session.wait(2)
    assert len(session.subscriptions) == len(symbols)


def test_an_instrument_comes_and_goes_while_the_connection_is_up() -> None:
    session = Session("book")
    session.live(100)
    session.do(lambda protocol, now: protocol.subscribe([instrument("ETH-USDT")], now))
    assert session.protocol.instruments == (BTC, ETH)
    assert not is_live(session)
    session.acknowledge()
    session.live(50)
    [gap] = session.do(lambda protocol, now: protocol.unsubscribe([ETH], now))
    assert gap == FeedGap(
        instrument=ETH, ts_recv=session.now, reason="unsubscribed", channel="book"
    )
    assert session.subscriptions[-1]["unsub"] == "market.ethusdt.mbp.150"
    assert session.receive(update("ethusdt", 50, 51)) == [], "the tail of it"
    assert session.receive(snapshot(60, "ethusdt")) == []
    assert session.acknowledge() == []
    assert is_live(session)
    session.do(lambda protocol, now: protocol.subscribe([instrument("ETH-USDT")], now))
    session.acknowledge()
    session.live(70)


def test_an_instrument_may_come_back_before_htx_has_let_it_go() -> None:
    session = Session("book", "BTC-USDT", "ETH-USDT")
    session.live(100)
    session.do(lambda protocol, now: protocol.unsubscribe([ETH], now))
    session.do(lambda protocol, now: protocol.subscribe([instrument("ETH-USDT")], now))
    assert session.acknowledge() == [], "both answers are understood"
    session.live(70)
    assert sequences(session.receive(update("ethusdt", 70, 71))) == [71]


def test_what_was_never_asked_or_was_refused_is_not_given_up_at_htx() -> None:
    symbols = [f"A{number}-USDT" for number in range(SUBSCRIPTIONS_AT_ONCE + 1)]
    session = Session("trade", *symbols, is_acknowledged=False)
    unsent, refused = f"htx:A{SUBSCRIPTIONS_AT_ONCE}-USDT", "htx:A0-USDT"
    session.receive(refusal("1"))
    told = session.do(lambda protocol, now: protocol.unsubscribe([unsent, refused], now))
    assert {one.instrument for one in only(FeedGap, told)} == {unsent, refused}
    session.wait(5)
    assert [one for one in session.subscriptions if "unsub" in one] == []
    assert len(session.subscriptions) == SUBSCRIPTIONS_AT_ONCE


# -- the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["trade", "book"])
def test_silence_up_to_the_limit_is_allowed_and_one_heartbeat_more_is_not(channel: str) -> None:
    session = Session(channel)
    session.wait(QUIET // SECOND - 1)
    with pytest.raises(StaleFeedError):
        session.wait(1)


def test_pings_keep_a_quiet_connection() -> None:
    session = Session("trade")
    for _ in range(20):
        session.wait(5)
        session.receive(packed(DOCUMENTED["ping"]))
        assert session.protocol.heard == session.now


def test_a_busy_connection_that_falls_silent_is_asked_and_given_up() -> None:
    session = Session("trade")
    for number in range(60):
        session.receive(trades(t=number + 1), after=50 * MILLISECOND)
        if number % 20 == 19:
            session.wait(0.01)
    session.wait(4)
    assert session.requests == [{"req": "market.btcusdt.trade.detail", "id": "probe"}]
    with pytest.raises(StaleFeedError):
        session.wait(2)


@pytest.mark.parametrize("answer", ["rep", "refusal"])
def test_a_busy_connection_that_answers_is_only_quiet(answer: str) -> None:
    session = Session("book")
    session.live(0)
    for number in range(60):
        session.receive(update("btcusdt", number, number + 1), after=50 * MILLISECOND)
        if number % 20 == 19:
            session.wait(0.01)
    session.wait(4)
    frame = snapshot(60, identity="probe") if answer == "rep" else refusal("probe")
    for _ in range(2):  # then it is not busy any more
        assert session.requests.pop() == {"req": "market.btcusdt.mbp.150", "id": "probe"}
        assert session.receive(frame) == []
        session.wait(4)
    assert session.requests == []
    assert sequences(session.receive(update("btcusdt", 60, 61))) == [61]


def test_it_wants_to_be_replaced_only_at_an_age_that_was_set() -> None:
    for age, wants in ((0, False), (60, True)):
        session = Session("trade", max_age_s=age)
        for _ in range(20):
            session.wait(5)
            session.receive(packed(DOCUMENTED["ping"]))
        assert session.protocol.wants_replacement is wants


# -- what the venue declares -----------------------------------------------------------------------


def test_each_channel_has_its_own_address() -> None:
    assert HtxProtocol(description("trade", "BTC-USDT")).url == "ws://stream.simulated/ws"
    assert HtxProtocol(description("book", "BTC-USDT")).url == "ws://stream.simulated/feed"
    assert HtxProtocol(description("", "BTC-USDT")).url == "ws://stream.simulated/feed"


def test_both_channels_on_one_connection_are_our_mistake() -> None:
    both = FeedDescription(
        venue="htx", instruments=(), websocket_url="", rest_url="", channels=("trade", "book")
    )
    with pytest.raises(ValueError, match="one connection carries trade or book"):
        HtxProtocol(both)


def test_a_get_is_never_made_and_its_answer_is_nothing() -> None:
    session = Session("book")
    assert session.protocol.fetched(Request(url="x", subject="y"), 200, b"{}", START) == []


def test_the_list_of_instruments_gives_those_that_are_online() -> None:
    rows = [
        {
            "base-currency": base,
            "quote-currency": "usdt",
            "price-precision": 10,
            "amount-precision": 2,
            "symbol": f"{base}usdt",
            "state": state,
        }
        for base, state in (("aidoge", "online"), ("xmr", "offline"), ("new", "pre-online"))
    ]
    assert VENUE.read_instruments(encoded({"status": "ok", "data": rows})) == [
        Instrument(
            venue="htx",
            symbol="AIDOGE-USDT",
            native="aidogeusdt",
            base="AIDOGE",
            quote="USDT",
            tick=1e-10,
            step=0.01,
        )
    ]
    with pytest.raises(VenueProtocolError):
        VENUE.read_instruments(encoded({"status": "error", "err-msg": "busy", "data": []}))
    assert VENUE.instruments_url("http://rest") == "http://rest/v1/common/symbols"
