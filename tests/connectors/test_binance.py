"""Binance's protocol object, case by case; what it makes of any bytes is in test_binance_fuzz."""

import json
from collections.abc import Callable

import pytest

from connectors.binance import (
    ANSWER_WITHIN,
    MAX_AGE,
    PROBE_WITHIN,
    QUIET,
    BinanceProtocol,
)
from connectors.binance_book import KEPT_BEFORE_ASKING, LATE_BOOKS, REFETCH_AFTER, RETRY_MOST
from connectors.contract import DeadLetter, Request, Told
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Side, Trade
from tests.connectors.binance_session import (
    DOCUMENTED_DEPTH,
    DOCUMENTED_PARTIAL,
    DOCUMENTED_SHUTDOWN,
    DOCUMENTED_SNAPSHOT,
    DOCUMENTED_TRADE,
    MILLISECOND,
    REST,
    SECOND,
    START,
    VENUE,
    VENUE_MS,
    Session,
    depth,
    description,
    encoded,
    instrument,
    only,
    partial,
    snapshot,
    trade,
)

BTC, ETH = "binance:BTC-USDT", "binance:ETH-USDT"


def sequences(told: list[Told]) -> list[int]:
    return [one.sequence for one in told if isinstance(one, (BookSnapshot, BookDelta))]


def is_live(session: Session) -> bool:
    return session.protocol.is_live


# -- what a message becomes ------------------------------------------------------------------------


def test_the_documented_trade_becomes_a_trade_of_the_taker() -> None:
    session = Session("BNB-BTC")
    [told] = session.receive(DOCUMENTED_TRADE)
    assert told == Trade(
        instrument="binance:BNB-BTC",
        ts_event=1_672_515_782_136 * MILLISECOND,
        ts_recv=session.now,
        price=0.001,
        size=100.0,
        side=Side.SELL,  # the buyer was the maker
        trade_id="12345",
    )


def test_the_documented_book_becomes_a_snapshot_and_a_delta() -> None:
    session = Session("BNB-BTC")
    assert session.receive(DOCUMENTED_DEPTH) == []
    assert session.requests == [
        Request(url=f"{REST}/api/v3/depth?symbol=BNBBTC&limit=1000", subject="BNBBTC", weight=50)
    ]
    told = session.answer(
        encoded({"lastUpdateId": 156, "bids": [["0.0024", "9"]], "asks": [["0.0026", "99"]]})
    )
    event = 1_672_515_782_136 * MILLISECOND
    assert told == [
        BookSnapshot(
            instrument="binance:BNB-BTC",
            ts_event=event,  # the stream's
            ts_recv=session.now,
            bids=[(0.0024, 9.0)],
            asks=[(0.0026, 99.0)],
            sequence=156,
            catching_up=True,
        ),
        BookDelta(
            instrument="binance:BNB-BTC",
            ts_event=event,
            ts_recv=session.now - MILLISECOND,  # when it came
            bids=[(0.0024, 10.0)],
            asks=[(0.0026, 100.0)],
            sequence=160,
        ),
    ]


def test_the_documented_snapshot_alone_becomes_a_book() -> None:
    session = Session("BNB-BTC")
    session.wait(1.1)
    [book] = session.answer(DOCUMENTED_SNAPSHOT)
    assert isinstance(book, BookSnapshot)
    assert (book.bids, book.asks) == ([(4.0, 431.0)], [(4.000002, 12.0)])
    assert book.sequence == 1_027_024


def test_a_shutdown_notice_only_makes_it_want_a_replacement() -> None:
    session = Session()
    assert not session.protocol.wants_replacement
    assert session.receive(DOCUMENTED_SHUTDOWN) == []
    assert session.protocol.wants_replacement


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1}}', "unknown event kline"),
        (b'{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":160,"bids":[],"asks":[]}}',
         "unknown event depth20@100ms"),
        (b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}', "unknown event arr"),
        (b'{"stream":"news","data":{}}', "unknown event news"),
        (b'{"e":"blockTrade","E":1}', "unknown event blockTrade"),
        (b'{"e":"trade","E":1,"s":"BTCUSDT"}', "raw trade"),
        (b"{}", "unknown envelope"),
        (b'{"id":{},"result":null}', "unknown envelope"),
        (b'{"result":null,"id":77}', "answer to nothing"),
        (b'{"result":null,"id":"x"}', "answer to nothing"),
    ],
)  # fmt: skip
def test_what_we_do_not_know_becomes_a_dead_letter(frame: bytes, reason: str) -> None:
    session = Session()
    assert session.receive(frame) == [DeadLetter("binance", reason, frame, session.now)]


def test_a_symbol_that_we_never_asked_for_becomes_a_dead_letter() -> None:
    session = Session()
    for frame in (trade("XRPUSDT"), depth("XRPUSDT")):
        assert session.receive(frame) == [
            DeadLetter("binance", "unknown symbol", frame, session.now)
        ]


@pytest.mark.parametrize("field", ["s", "t", "p", "q", "T", "m"])
def test_a_trade_without_a_field_breaks_the_session(field: str) -> None:
    message = json.loads(trade())
    del message["data"][field]
    with pytest.raises(VenueProtocolError, match=rf"trade: .*`{field}`"):
        Session().receive(encoded(message))


@pytest.mark.parametrize("field", ["E", "s", "U", "u", "b", "a"])
def test_a_depth_update_without_a_field_breaks_the_session(field: str) -> None:
    message = json.loads(depth())
    del message["data"][field]
    with pytest.raises(VenueProtocolError, match=rf"depthUpdate: .*`{field}`"):
        Session().receive(encoded(message))


@pytest.mark.parametrize(
    "number", ["nan", "NaN", "inf", "-inf", "infinity", "1e999", "-1", "1e18", "", "x", "1_0", " 1"]
)
@pytest.mark.parametrize("kind", ["price", "size", "level price", "level size", "snapshot"])
def test_a_number_that_is_none_never_passes(number: str, kind: str) -> None:
    session = Session()
    session.wait(1.1)
    send: dict[str, Callable[[], list[Told]]] = {
        "price": lambda: session.receive(trade(p=number)),
        "size": lambda: session.receive(trade(q=number)),
        "level price": lambda: session.receive(depth(b=[[number, "1"]])),
        "level size": lambda: session.receive(depth(a=[["1", number]])),
        "snapshot": lambda: session.answer(snapshot(1, bids=[["1", number]])),
    }
    with pytest.raises(VenueProtocolError):
        send[kind]()


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"null", b"[]", b"5", b"\xff", b"not json", b'{"stream":5}', b'{"e":5}',
        b'{"stream":"x","data":{"e":5}}', b'{"stream":"\\ud800","data":{}}',
        b"[" * 100_000, b'{"data":' * 100_000, b'{"stream":"x","data":' + b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_nonsense_breaks_the_session(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError) as caught:
        Session().receive(frame)
    assert caught.value.frame == frame[:500]


def test_a_message_that_fails_half_way_tells_nothing() -> None:
    session = Session()
    session.live(last=100)
    with pytest.raises(VenueProtocolError):
        session.receive(depth(first=101, last=101, b=[["99", "5"], ["98", "nan"]]))


def test_times_may_be_microseconds() -> None:
    session = Session()
    session.live(last=100)
    micro = VENUE_MS * 1000 + 123
    [told] = session.receive(trade(E=micro, T=micro - 7))
    assert isinstance(told, Trade)
    assert told.ts_event == (micro - 7) * 1000
    [delta] = session.receive(depth(first=101, last=101, E=micro))
    assert isinstance(delta, BookDelta)
    assert delta.ts_event == micro * 1000


# -- trades ----------------------------------------------------------------------------------------


def test_missing_trade_ids_are_a_gap_of_that_symbol_only() -> None:
    session = Session("BTC-USDT", "ETH-USDT")
    session.receive(trade("BTCUSDT", 10))
    session.receive(trade("ETHUSDT", 500))
    gap, told = session.receive(trade("BTCUSDT", 14))
    assert gap == FeedGap(
        instrument=BTC,
        ts_recv=session.now,
        reason="trade ids 11 to 13 are missing",
        channel="trade",
    )
    assert isinstance(told, Trade)
    assert told.trade_id == "14"
    assert len(session.receive(trade("ETHUSDT", 501))) == 1


@pytest.mark.parametrize("again", [20, 19, 1])
def test_a_trade_that_was_told_is_not_told_again(again: int) -> None:
    session = Session()
    session.receive(trade(t=20))
    assert session.receive(trade(t=again)) == []
    assert len(session.receive(trade(t=21))) == 1


# -- the book rule ---------------------------------------------------------------------------------


def test_updates_are_kept_until_the_snapshot_comes() -> None:  # steps 1, 2 and 5
    session = Session()
    assert session.receive(depth(first=10, last=12)) == []
    assert session.receive(depth(first=13, last=15)) == []
    assert len(session.requests) == 1
    told = session.answer(snapshot(9))
    assert [type(one).__name__ for one in told] == ["BookSnapshot", "BookDelta", "BookDelta"]
    assert sequences(told) == [9, 12, 15]
    assert is_live(session)


def test_a_snapshot_older_than_the_first_update_is_fetched_again() -> None:  # step 3
    session = Session()
    session.receive(depth(first=10, last=12))
    assert session.answer(snapshot(8)) == []
    assert not is_live(session)
    session.wait(1.1)
    assert sequences(session.answer(snapshot(11))) == [11, 12]


@pytest.mark.parametrize(
    ("last", "applied"),
    [(9, [12, 15, 16]), (10, [12, 15, 16]), (12, [15, 16]), (14, [15, 16]), (15, [16]), (16, []),
     (40, [])],
)  # fmt: skip
def test_updates_that_the_snapshot_holds_are_dropped(last: int, applied: list[int]) -> None:
    session = Session()  # step 4
    for first, final in ((10, 12), (13, 15), (16, 16)):
        session.receive(depth(first=first, last=final))
    assert sequences(session.answer(snapshot(last))) == [last, *applied]


def test_a_hole_among_the_kept_updates_is_waited_out() -> None:
    session = Session()
    session.receive(depth(first=10, last=12))
    session.receive(depth(first=14, last=15))  # 13 is missing
    assert session.answer(snapshot(11)) == []
    session.wait(1.1)
    assert sequences(session.answer(snapshot(13))) == [13, 15]


def test_kept_updates_that_go_back_are_left_out() -> None:
    session = Session()
    for first, final in ((10, 20), (12, 15), (21, 22)):
        session.receive(depth(first=first, last=final))
    assert sequences(session.answer(snapshot(9))) == [9, 20, 22]


def test_the_first_update_after_the_snapshot_must_reach_it() -> None:
    session = Session()
    session.live(last=100)
    assert session.receive(depth(first=90, last=100)) == []  # all of it is known
    assert sequences(session.receive(depth(first=95, last=103))) == [103]  # 101 lies within
    assert sequences(session.receive(depth(first=104, last=104))) == [104]


def test_a_gap_starts_again_for_that_symbol_only() -> None:  # step 6
    session = Session("BTC-USDT", "ETH-USDT")
    session.live(last=100)
    [gap] = session.receive(depth("BTCUSDT", 105, 107))
    assert gap == FeedGap(
        instrument=BTC,
        ts_recv=session.now,
        reason="sequence: expected U <= 101, got 105",
        channel="book",
    )
    assert [request.subject for request in session.requests] == ["BTCUSDT"]
    assert sequences(session.receive(depth("ETHUSDT", 101, 102))) == [102]
    assert session.receive(depth("BTCUSDT", 108, 110)) == []
    assert sequences(session.answer(snapshot(106))) == [106, 107, 110]


def test_after_a_gap_an_answer_from_before_it_is_not_taken() -> None:
    session = Session()
    session.live(last=100)
    session.receive(depth(first=101, last=200))
    session.do(lambda protocol, now: protocol.resync(BTC, "crossed book", now))
    assert session.answer(snapshot(150)) == []  # we know of 200, and it would look live
    assert not is_live(session)
    session.wait(1.1)
    assert sequences(session.answer(snapshot(200))) == [200]


def test_a_gap_while_an_answer_is_on_its_way_asks_once_more_when_it_does_not_fit() -> None:
    session = Session()
    session.live(last=100)
    session.receive(depth(first=105, last=107))
    assert len(session.requests) == 1
    session.do(lambda protocol, now: protocol.resync(BTC, "x", now))  # not live: nothing to do
    session.receive(depth(first=110, last=112))
    assert len(session.requests) == 1, "one GET a book at a time"
    assert session.answer(snapshot(108)) == []
    assert session.wait(1.1) == []
    assert sequences(session.answer(snapshot(111))) == [111, 112]


def test_a_quiet_book_is_fetched_a_second_after_its_subscription() -> None:
    session = Session(is_acknowledged=False)
    session.wait(5)
    assert session.requests == [], "updates in between would be missed"
    session.acknowledge()
    session.wait(0.9)
    assert session.requests == []
    session.wait(0.2)
    assert len(session.requests) == 1
    session.answer(snapshot(7))
    assert is_live(session)


def test_a_first_update_before_the_answer_to_the_subscription_asks_at_once() -> None:
    session = Session(is_acknowledged=False)
    session.receive(depth(first=10, last=12))
    assert len(session.requests) == 1
    session.answer(snapshot(11))
    assert not is_live(session), "the subscription is not acknowledged"
    session.acknowledge()
    assert is_live(session)
    session.wait(5)
    assert session.requests == []


def test_an_hourly_snapshot_joins_the_living_book() -> None:  # step 7
    session = Session()
    session.live(last=100)
    session.receive(depth(first=101, last=101))
    hour = REFETCH_AFTER // SECOND
    for minute in range(hour // 10):
        session.receive(depth(first=102 + minute, last=102 + minute))
        session.wait(10)
    last = 101 + hour // 10
    session.receive(depth(first=last + 1, last=last + 1))
    session.wait(2)
    assert len(session.requests) == 1
    assert is_live(session)
    told = session.receive(
        depth(first=last + 2, last=last + 2, b=[["99", "0"], ["97", "7"]], a=[["101", "5"]])
    )
    assert sequences(told) == [last + 2], "the book lives on while the answer is on its way"
    [book] = session.answer(snapshot(last + 1))
    assert isinstance(book, BookSnapshot)
    assert book.sequence == last + 2
    assert dict(book.bids) == {99.0: 0.0, 98.0: 2.0, 97.0: 7.0}
    assert dict(book.asks) == {101.0: 5.0, 102.0: 2.0}
    session.wait(10)
    assert session.requests == []


@pytest.mark.parametrize("behind", [1, 50])
def test_an_hourly_snapshot_that_does_not_fit_leaves_the_book_alone(behind: int) -> None:
    session = Session()
    session.live(last=100)
    while not session.requests:
        session.receive(encoded({"result": [], "id": 0}))
        session.wait(10)
    assert session.answer(snapshot(100 - behind)) == []
    assert is_live(session)
    session.wait(1.1)
    assert sequences(session.receive(depth(first=101, last=105))) == [105]
    [book] = session.answer(snapshot(103))
    assert isinstance(book, BookSnapshot)
    assert book.sequence == 105


def test_what_is_kept_before_a_snapshot_is_asked_for_is_bounded() -> None:
    symbols = [f"A{number}-USDT" for number in range(60)]
    session = Session(*symbols)
    for round_ in range(20):
        for number in range(60):
            for at in range(20):
                index = round_ * 20 + at
                session.receive(depth(f"A{number}USDT", index + 1, index + 1), after=0)
    waiting = [book for book in session.protocol._books.values() if book.fetch_at is not None]
    assert waiting, "the weight does not reach for all of them"
    assert max(len(book.kept) for book in waiting) <= KEPT_BEFORE_ASKING


# -- snapshots that do not come --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (503, b"<html>"),
     (0, b"ConnectTimeout: timed out"), (404, b"Not Found"), (302, b"")],
)  # fmt: skip
def test_a_snapshot_that_fails_is_fetched_again_after_a_wait_that_doubles(
    status: int, body: bytes
) -> None:
    session = Session()
    session.wait(1.1)
    waits = []
    for _ in range(8):
        assert session.answer(body, status, after=0) == []
        asked = session.now
        while not session.requests:
            session.receive(encoded({"result": [], "id": 0}), after=0)
            session.wait(1)
        waits.append((session.now - asked) // SECOND)
    assert waits == [1, 2, 4, 8, 16, 32, 32, 32]
    assert waits[-1] * SECOND == RETRY_MOST
    session.answer(snapshot(5))
    assert is_live(session)


def test_a_symbol_that_is_gone_does_not_keep_a_connection_from_taking_over() -> None:
    session = Session("BTC-USDT", "OLD-USDT")
    session.wait(1.1)
    session.answer(snapshot(5))
    told: list[Told] = []
    for tries in range(6):
        assert is_live(session) == (tries >= 3)
        told += session.answer(b'{"code":-1121,"msg":"Invalid symbol."}', 400)
        while not session.requests:
            session.receive(encoded({"result": [], "id": 0}), after=0)
            session.wait(1)
    [gap] = told
    assert isinstance(gap, FeedGap)
    assert (gap.instrument, gap.channel) == ("binance:OLD-USDT", "book")
    assert gap.reason == "snapshot refused: HTTP 400"
    assert session.answer(snapshot(7)), "it is there again"
    assert not any(book.is_refused for book in session.protocol._books.values())


@pytest.mark.parametrize(("status", "minutes"), [(429, 1), (418, 5)])
def test_a_refusal_silences_every_book_for_a_while(status: int, minutes: int) -> None:
    session = Session("BTC-USDT", "ETH-USDT", "BNB-BTC")
    session.wait(1.1)
    assert len(session.requests) == 3
    session.answer(b'{"code":-1003}', status)
    session.answer(b'{"code":-1003}', 429)
    session.answer(b"", 500)
    refused = session.now
    session.receive(depth("BTCUSDT", 1, 1))  # would ask at once
    while not session.requests:
        session.receive(trade("BTCUSDT", int(session.now)), after=0)
        session.wait(1)
    waited = (session.now - refused) / SECOND
    assert minutes * 60 <= waited <= minutes * 60 + 3
    assert len(session.requests) == 1, "and then slowly"
    session.wait(3)
    assert len(session.requests) == 3


def test_a_good_answer_that_is_no_snapshot_breaks_the_session() -> None:
    for body in (b"", b"<html>", b'{"bids":[],"asks":[]}', b'{"a":' * 100_000, b"\xff"):
        session = Session()
        session.wait(1.1)
        with pytest.raises(VenueProtocolError, match="book snapshot"):
            session.answer(body)


def test_the_request_weight_is_not_overspent() -> None:
    session = Session(*[f"A{number}-USDT" for number in range(300)])
    session.wait(1.1)
    asked = [len(session.requests)]
    for _ in range(60):
        session.receive(encoded({"result": [], "id": 0}), after=0)
        session.wait(1)
        asked.append(len(session.requests))
    assert 40 <= asked[0] <= 42
    assert asked[-1] - asked[0] == 60
    assert asked[-1] * 50 <= 6000
    assert len({request.subject for request in session.requests}) == asked[-1]


# -- partial books ---------------------------------------------------------------------------------


def partial_session(*symbols: str) -> Session:
    return Session(*symbols, book="partial")


def test_the_documented_partial_book_is_a_whole_book() -> None:
    session = partial_session("BNB-BTC")
    assert session.messages[0]["params"] == ["bnbbtc@trade", "bnbbtc@depth20@100ms"]
    assert not is_live(session)
    told = session.receive(DOCUMENTED_PARTIAL)
    assert told == [
        BookSnapshot(
            instrument="binance:BNB-BTC",
            ts_event=session.now,
            ts_recv=session.now,
            bids=[(0.0024, 10.0)],
            asks=[],
            sequence=160,
        )
    ]
    assert is_live(session)
    session.wait(3)
    assert session.requests == []


def test_partial_books_may_be_of_other_depths() -> None:
    session = Session(book="partial", depth=5)
    assert session.messages[0]["params"] == ["btcusdt@trade", "btcusdt@depth5@100ms"]
    assert only(BookSnapshot, session.receive(partial(levels=5)))
    [letter] = session.receive(partial(levels=10))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "unknown event depth10@100ms"


def test_the_options_of_books_are_explained() -> None:
    assert VENUE.explain_options({"book": "partial", "depth": 10, "max_age_s": 60}) == ""
    assert "diff or partial, not 'best'" in VENUE.explain_options({"book": "best"})
    assert "5, 10 or 20, not 50" in VENUE.explain_options({"book": "partial", "depth": 50})
    assert "only with" in VENUE.explain_options({"depth": 10})
    assert "seconds" in VENUE.explain_options({"max_age_s": "long"})


def test_a_partial_book_has_the_time_of_the_last_trade_and_what_has_passed_since() -> None:
    session = partial_session()
    ahead = 10_000
    session.receive(trade(T=session.now // MILLISECOND + 1 + ahead))
    [book] = session.receive(partial(), after=SECOND)
    assert isinstance(book, BookSnapshot)
    assert book.ts_event - book.ts_recv == ahead * MILLISECOND


def test_a_partial_book_that_is_no_news_is_dropped() -> None:
    session = partial_session()
    assert sequences(session.receive(partial(last=10))) == [10]
    assert session.receive(partial(last=10)) == []
    assert session.receive(partial(last=9)) == []
    assert sequences(session.receive(partial(last=40))) == [40], "a jump means nothing"


def test_ids_that_stay_low_are_believed_after_a_while() -> None:
    session = partial_session()
    session.receive(partial(last=1000))
    told = [one for last in range(LATE_BOOKS) for one in session.receive(partial(last=1 + last))]
    assert [type(one).__name__ for one in told] == ["FeedGap", "BookSnapshot"]
    assert is_live(session)


def test_a_resync_of_a_partial_book_waits_for_the_next_one() -> None:
    session = partial_session("BTC-USDT", "ETH-USDT")
    session.receive(partial(last=10))
    session.receive(partial("ETHUSDT", 10))
    told = session.do(lambda protocol, now: protocol.resync(BTC, "crossed book", now))
    assert told == [
        FeedGap(instrument=BTC, ts_recv=session.now, reason="crossed book", channel="book")
    ]
    assert session.do(lambda protocol, now: protocol.resync(BTC, "again", now)) == []
    assert not is_live(session)
    assert sequences(session.receive(partial(last=10))) == [10]
    assert is_live(session)
    assert session.requests == []


def test_partial_books_come_and_go_at_run_time() -> None:
    session = partial_session()
    eth = instrument("ETH-USDT")
    session.do(lambda protocol, now: protocol.subscribe([eth], now))
    session.acknowledge()
    session.receive(partial("ETHUSDT", 10))
    session.do(lambda protocol, now: protocol.unsubscribe([ETH], now))
    assert session.messages[-1]["params"] == ["ethusdt@trade", "ethusdt@depth20@100ms"]
    assert session.receive(partial("ETHUSDT", 11)) == []
    [letter] = session.receive(partial("XRPUSDT", 11))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "unknown symbol"


@pytest.mark.parametrize("field", ["lastUpdateId", "bids", "asks"])
def test_a_partial_book_without_a_field_breaks_the_session(field: str) -> None:
    message = json.loads(partial())
    del message["data"][field]
    with pytest.raises(VenueProtocolError, match=rf"depth20@100ms: .*`{field}`"):
        partial_session().receive(encoded(message))


@pytest.mark.parametrize("frame", [b"", b"null", b"[]", b"[" * 100_000, b"\xff", b'{"stream":5}'])
def test_nonsense_breaks_a_session_of_partial_books_too(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        partial_session().receive(frame)


# -- subscriptions ---------------------------------------------------------------------------------


def test_it_subscribes_to_trades_and_depth() -> None:
    session = Session("BTC-USDT", "ETH-BTC")
    assert session.messages == [
        {
            "method": "SUBSCRIBE",
            "params": [
                "btcusdt@trade",
                "btcusdt@depth@100ms",
                "ethbtc@trade",
                "ethbtc@depth@100ms",
            ],
            "id": 1,
        }
    ]
    assert session.protocol.url == "ws://stream.simulated/stream"


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 1},
        {"code": 2, "msg": "Invalid request: invalid stream", "id": 1},
    ],
    ids=["nested", "flat"],
)
def test_a_subscription_that_is_refused_breaks_the_session(refusal: object) -> None:
    session = Session(is_acknowledged=False)
    with pytest.raises(SubscriptionError, match="invalid stream") as caught:
        session.receive(encoded(refusal))
    assert caught.value.channel == "btcusdt@trade"


def test_an_error_that_belongs_to_nothing_breaks_the_session() -> None:
    with pytest.raises(SubscriptionError, match="Invalid JSON"):
        Session().receive(encoded({"error": {"code": 3, "msg": "Invalid JSON"}, "id": None}))


def test_an_answer_may_take_its_limit_and_no_longer() -> None:
    session = Session(is_acknowledged=False)
    assert session.protocol.elapsed(START + ANSWER_WITHIN) == []
    with pytest.raises(SubscriptionError, match="btcusdt@trade: no answer in 10 s"):
        session.protocol.elapsed(START + ANSWER_WITHIN + 1)


def test_many_streams_are_subscribed_at_the_pace_that_binance_allows() -> None:
    symbols = [f"A{number}-USDT" for number in range(512)]
    session = Session(*symbols, is_acknowledged=False)
    sent_at = [session.now] * len(session.messages)
    while len(session.messages) < 11:
        session.wait(0.3)
        sent_at += [session.now] * (len(session.messages) - len(sent_at))
    assert max(len(message["params"]) for message in session.messages) == 100  # type: ignore[arg-type]
    streams = [stream for message in session.messages for stream in message["params"]]  # type: ignore[attr-defined]
    assert len(set(streams)) == len(streams) == 1024
    for at in sent_at:
        assert sum(at <= other < at + SECOND for other in sent_at) <= 4
    assert sent_at[-1] - sent_at[0] < 5 * SECOND


def test_more_streams_than_a_connection_carries_are_refused() -> None:
    symbols = [f"A{number}-USDT" for number in range(513)]
    with pytest.raises(ValueError, match="513 instruments"):
        BinanceProtocol(description(*symbols))
    session = Session(*symbols[:512])
    known = session.protocol.instruments
    with pytest.raises(ValueError, match="513 instruments"):
        session.do(lambda protocol, now: protocol.subscribe([instrument("B-USDT")], now))
    assert session.protocol.instruments == known
    assert VENUE.instruments_per_connection == 512


def test_an_instrument_is_added_and_dropped_at_run_time() -> None:
    session = Session("BTC-USDT")
    session.live(last=100)
    eth = instrument("ETH-USDT")
    assert session.do(lambda protocol, now: protocol.subscribe([eth, eth], now)) == []
    assert session.messages[-1]["params"] == ["ethusdt@trade", "ethusdt@depth@100ms"]
    assert not is_live(session)
    session.receive(encoded({"result": None, "id": 2}))
    session.wait(1.1)
    assert sequences(session.answer(snapshot(55))) == [55]
    assert is_live(session)
    assert list(session.protocol.instruments) == [BTC, ETH]

    [gap] = session.do(lambda protocol, now: protocol.unsubscribe([BTC, "binance:X-Y"], now))
    assert gap == FeedGap(instrument=BTC, ts_recv=session.now, reason="unsubscribed")
    assert session.messages[-1]["method"] == "UNSUBSCRIBE"
    assert session.messages[-1]["params"] == ["btcusdt@trade", "btcusdt@depth@100ms"]
    assert session.receive(trade("BTCUSDT")) == [], "the tail of what was asked for"
    assert session.receive(depth("BTCUSDT", 101, 101)) == []
    session.receive(encoded({"result": None, "id": 3}))
    assert is_live(session)
    assert list(session.protocol.instruments) == [ETH]


def test_nothing_to_drop_is_nothing_to_send() -> None:
    session = Session()
    assert session.do(lambda protocol, now: protocol.unsubscribe(["binance:X-Y"], now)) == []
    assert len(session.messages) == 1


def test_an_answer_asked_for_before_an_instrument_was_dropped_is_not_its_new_book() -> None:
    session = Session("BTC-USDT")
    session.wait(1.1)
    btc = instrument("BTC-USDT")
    session.do(lambda protocol, now: protocol.unsubscribe([BTC], now))
    session.do(lambda protocol, now: protocol.subscribe([btc], now))
    session.acknowledge()
    session.wait(2)
    assert len(session.requests) == 1
    assert session.answer(snapshot(50)) == []
    assert len(session.requests) == 1
    assert sequences(session.answer(snapshot(60))) == [60]


def test_the_answer_for_an_instrument_that_is_gone_is_nothing() -> None:
    session = Session("BTC-USDT")
    session.wait(1.1)
    session.do(lambda protocol, now: protocol.unsubscribe([BTC], now))
    assert session.answer(snapshot(50)) == []


def test_an_old_update_that_is_told_again_and_again_means_nothing() -> None:
    session = Session()
    session.live(100)
    assert session.receive(depth(first=101, last=110))
    for last in (110, 105):
        for _ in range(5 * LATE_BOOKS):
            assert session.receive(depth(first=101, last=last)) == []
    assert sequences(session.receive(depth(first=111, last=112))) == [112]


@pytest.mark.parametrize("book", ["diff", "partial"])
def test_a_resync_of_a_silent_stream_subscribes_to_it_again(book: str) -> None:
    session = Session("BTC-USDT", "ETH-USDT", book=book)
    session.wait(1.1)
    while session.requests:
        session.answer(snapshot(100))
    session.receive(partial("BTCUSDT", 100))
    session.receive(partial("ETHUSDT", 100))
    assert is_live(session)
    for number in range(10):  # trades go on, and so does the connection
        session.wait(1)
        session.receive(trade("ETHUSDT", number + 1))
    before = len(session.messages)
    [gap] = session.do(lambda protocol, now: protocol.resync(BTC, "silent", now))
    assert isinstance(gap, FeedGap)
    stream = "btcusdt@depth@100ms" if book == "diff" else "btcusdt@depth20@100ms"
    session.wait(2)
    sent = [(one["method"], one["params"]) for one in session.messages[before:]]
    assert sent == [("UNSUBSCRIBE", [stream]), ("SUBSCRIBE", [stream])], "trades are left alone"
    assert session.requests == [], "not before it is in force"
    session.acknowledge()
    session.wait(2)
    told = session.answer(snapshot(120)) if book == "diff" else session.receive(partial(last=120))
    assert [type(one) for one in told] == [BookSnapshot]
    assert is_live(session)


def test_a_resync_leaves_the_others_alone() -> None:
    session = Session("BTC-USDT", "ETH-USDT")
    session.live(last=100)
    told = session.do(lambda protocol, now: protocol.resync(ETH, "crossed book", now))
    assert told == [
        FeedGap(instrument=ETH, ts_recv=session.now, reason="crossed book", channel="book")
    ]
    assert [request.subject for request in session.requests] == ["ETHUSDT"]
    assert session.do(lambda protocol, now: protocol.resync(ETH, "again", now)) == []
    assert session.do(lambda protocol, now: protocol.resync("binance:X-Y", "", now)) == []
    assert sequences(session.receive(depth("BTCUSDT", 101, 101))) == [101]


# -- silence and age -------------------------------------------------------------------------------


def until_stale(session: Session) -> float:
    began = session.now
    with pytest.raises(StaleFeedError, match="silent for"):
        session.wait(600)
    return (session.now - began) / SECOND


def test_a_quiet_connection_is_asked_before_it_is_given_up() -> None:
    session = Session()
    session.live()
    session.wait(QUIET / SECOND - 2)
    assert len(session.messages) == 1
    session.wait(3)
    assert session.messages[-1] == {"method": "LIST_SUBSCRIPTIONS", "id": 0}
    session.receive(encoded({"result": ["btcusdt@trade"], "id": 0}))
    assert until_stale(session) == pytest.approx((QUIET + PROBE_WITHIN) / SECOND, abs=2)


@pytest.mark.parametrize("cut_after", [0.05, 0.5, 0.95])
def test_a_busy_connection_is_given_up_soon(cut_after: float) -> None:
    session = Session()
    session.live()
    for number in range(60):  # two seconds of 30 messages
        session.receive(trade(t=number + 1), after=SECOND // 30)
        if number % 30 == 29:
            session.do(lambda protocol, now: protocol.elapsed(now))
    for number in range(int(30 * cut_after)):  # silence begins within a second
        session.receive(trade(t=number + 61), after=SECOND // 30)
    assert until_stale(session) <= 7


def test_any_message_ends_the_silence() -> None:
    session = Session()
    session.live()
    for number in range(20):
        session.wait(25)
        session.receive(trade(t=number + 1))
    assert session.messages.count({"method": "LIST_SUBSCRIPTIONS", "id": 0}) == 20


@pytest.mark.parametrize(("max_age_s", "age"), [(0, MAX_AGE // SECOND), (100, 100)])
def test_an_old_connection_wants_a_replacement(max_age_s: int, age: int) -> None:
    protocol = BinanceProtocol(description("BTC-USDT", max_age_s=max_age_s))
    protocol.opened(START)
    protocol.received(encoded({"result": None, "id": 1}), START + 1)
    for second in (age // 2, age):
        protocol.received(trade(t=second), START + second * SECOND - 1)
        protocol.elapsed(START + second * SECOND)
        assert not protocol.wants_replacement
    protocol.elapsed(START + age * SECOND + 1)
    assert protocol.wants_replacement


def test_a_snapshot_without_updates_tells_the_time_by_the_connections_other_books() -> None:
    """Our clock is 10 s behind; a bar must not take that for the venue's time."""
    session = Session("BTC-USDT", "ETH-USDT")
    ahead = 10_000
    session.receive(depth("BTCUSDT", 1, 1, E=session.now // MILLISECOND + 1 + ahead))
    session.wait(2)
    assert [request.subject for request in session.requests] == ["BTCUSDT", "ETHUSDT"]
    session.answer(snapshot(1))
    [book] = session.answer(snapshot(9))
    assert isinstance(book, BookSnapshot)
    assert book.instrument == ETH
    assert book.ts_event - book.ts_recv == ahead * MILLISECOND


# -- the list of instruments -----------------------------------------------------------------------

LISTED = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "stepSize": "0.00001000"},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
    ],
}


def test_the_list_of_instruments_holds_what_trades() -> None:
    listing = {"timezone": "UTC", "symbols": [LISTED, LISTED | {"symbol": "X", "status": "BREAK"}]}
    [found] = VENUE.read_instruments(encoded(listing))
    assert found == instrument("BTC-USDT").__class__(
        venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT",
        tick=0.01, step=0.00001,
    )  # fmt: skip
    assert VENUE.instruments_url("http://x") == "http://x/api/v3/exchangeInfo"


def test_an_instrument_without_filters_has_no_known_steps() -> None:
    [found] = VENUE.read_instruments(encoded({"symbols": [LISTED | {"filters": []}]}))
    assert (found.tick, found.step) == (0.0, 0.0)


@pytest.mark.parametrize("step", ["nan", "inf", "-1", "x", ""])
def test_a_step_that_is_no_number_is_refused(step: str) -> None:
    filters = [{"filterType": "LOT_SIZE", "stepSize": step}]
    with pytest.raises(VenueProtocolError, match="exchangeInfo"):
        VENUE.read_instruments(encoded({"symbols": [LISTED | {"filters": filters}]}))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"symbols":[{}]}', b"\xff", b"[" * 100_000])
def test_what_is_no_list_of_instruments_is_refused(body: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="exchangeInfo"):
        VENUE.read_instruments(body)


def test_names_that_are_no_latin_letters_are_followed_too() -> None:
    session = Session("币安人生-USDT")
    assert session.messages[0]["params"] == ["币安人生usdt@trade", "币安人生usdt@depth@100ms"]
    assert len(only(Trade, session.receive(trade("币安人生USDT")))) == 1


@pytest.mark.parametrize("time", [9 * 10**15, 10**17, 0, -1])
def test_a_time_that_does_not_fit_is_the_venues_fault(time: int) -> None:
    session = Session("BTC-USDT")
    with pytest.raises(VenueProtocolError):
        session.receive(trade(T=time))


@pytest.mark.parametrize("time", [8_999_999_999_999, 9_000_000_000_000, 99_999_999_999_999])
def test_every_time_that_passes_fits_a_row(time: int) -> None:
    session = Session("BTC-USDT")
    [told] = only(Trade, session.receive(trade(T=time)))
    assert 0 < told.ts_event < 2**63


# -- what outlives a connection --------------------------------------------------------------------


def test_a_quiet_book_is_no_older_than_what_the_connection_before_knew() -> None:
    before = Session()
    before.live(last=100)
    session = Session(is_acknowledged=False)
    session.protocol.inherit(before.protocol)
    session.acknowledge()
    session.wait(1.1)
    assert session.answer(snapshot(90)) == [], "a stale answer, and no update that would show it"
    assert not is_live(session)
    session.wait(1.1)
    assert sequences(session.answer(snapshot(100))) == [100]


def test_ids_that_begin_anew_are_believed_in_the_end() -> None:
    session = Session()
    session.live(last=1000)
    for number in range(1, LATE_BOOKS):
        assert session.receive(depth(first=number, last=number)) == []
    [gap] = session.receive(depth(first=LATE_BOOKS, last=LATE_BOOKS))
    assert isinstance(gap, FeedGap)
    assert "anew" in gap.reason
    assert sequences(session.answer(snapshot(LATE_BOOKS))) == [LATE_BOOKS]
