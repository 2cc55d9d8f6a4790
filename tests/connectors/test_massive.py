"""Massive's protocol object, case by case; any bytes are the contract test's business."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import KEY, DeadLetter, Login, Request, Told
from connectors.massive import (
    ANSWER_WITHIN,
    PARAMS_PER_MESSAGE,
    PROBE,
    PROBE_WITHIN,
    QUIET,
    TRADES_REMEMBERED,
    MassiveProtocol,
)
from market.errors import (
    StaleFeedError,
    SubscriptionError,
    VenueProtocolError,
    VenueRefusalError,
)
from market.events import Aggregate, FeedGap, Quote, Side, Trade
from tests.connectors.massive_session import (
    AUTHENTICATED,
    CONNECTED,
    DOCUMENTED_FAIR_VALUE,
    DOCUMENTED_LEVELS,
    DOCUMENTED_MINUTE,
    DOCUMENTED_QUOTE,
    DOCUMENTED_TRADE,
    MILLISECOND,
    SECOND,
    START,
    VENUE,
    VENUE_MS,
    Session,
    acknowledgement,
    bar,
    description,
    encoded,
    instrument,
    only,
    quote,
    status,
    trade,
)

BTC, ETH = "massive:BTC-USD", "massive:ETH-USD"


def is_live(session: Session) -> bool:
    return session.protocol.is_live


# -- what a message becomes ------------------------------------------------------------------------


def test_the_documented_trade_becomes_a_trade_of_the_taker() -> None:
    session = Session()
    assert session.receive(DOCUMENTED_TRADE) == [
        Trade(
            instrument=BTC,
            ts_event=1_610_462_007_425 * MILLISECOND,
            ts_recv=session.now,
            price=33021.9,
            size=0.01616617,
            side=Side.BUY,
            trade_id="3-14272084",  # unique at exchange 3
        )
    ]


def test_the_documented_quote_becomes_a_quote_of_its_exchange() -> None:
    session = Session()
    assert session.receive(DOCUMENTED_QUOTE) == [
        Quote(
            instrument=BTC,
            ts_event=1_610_462_411_115 * MILLISECOND,
            ts_recv=session.now,
            bid=33052.79,
            bid_size=0.48,
            ask=33073.19,
            ask_size=0.601,
            exchange="1",
        )
    ]


def test_the_documented_minute_becomes_an_aggregate() -> None:
    session = Session("BCD-USD", aggregates=True)
    assert session.receive(DOCUMENTED_MINUTE) == [
        Aggregate(
            instrument="massive:BCD-USD",
            interval="1m",
            start=1_610_463_240_000 * MILLISECOND,
            end=1_610_463_300_000 * MILLISECOND,
            ts_recv=session.now,
            open=0.772,
            high=0.784,
            low=0.771,
            close=0.784,
            volume=951.6112,
            vwap=0.7756,
            mean_size=73.0,
        )
    ]


def test_a_second_is_an_aggregate_of_a_second() -> None:
    [told] = Session(aggregates=True).receive(bar("XAS"))
    assert isinstance(told, Aggregate)
    assert told.interval == "1s"
    assert told.end - told.start == SECOND


def test_one_frame_may_mix_kinds_pairs_and_what_we_do_not_know() -> None:
    session = Session("BTC-USD", "ETH-USD")
    parts = [json.loads(frame)[0] for frame in (
        trade("ETH-USD", "a"), quote("BTC-USD"), DOCUMENTED_LEVELS, trade("BTC-USD", 7),
        status("success", "subscribed to: XT.BTC-USD"),
    )]  # fmt: skip
    told = session.receive(encoded(parts))
    assert [type(one) for one in told] == [Trade, Quote, DeadLetter, Trade]
    letter = told[2]
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "unknown event XL2"
    assert json.loads(letter.frame) == parts[2]  # that event alone


@pytest.mark.parametrize(
    ("conditions", "side"),
    [([1], Side.SELL), ([2], Side.BUY), ([0], Side.UNKNOWN), ([], Side.UNKNOWN),
     (None, Side.UNKNOWN), ([0, 2], Side.BUY), ([1, 2], Side.UNKNOWN), ([17], Side.UNKNOWN)],
)  # fmt: skip
def test_the_aggressor_is_in_the_conditions_or_nowhere(
    conditions: list[int] | None, side: Side
) -> None:
    [told] = Session().receive(trade(c=conditions))
    assert isinstance(told, Trade)
    assert told.side is side


@pytest.mark.parametrize(
    ("changed", "bid", "ask"),
    [
        ({"bp": 0, "bs": 0}, None, 100.5),
        ({"ap": 0, "as": 0}, 99.5, None),
        ({"bp": 99.5, "bs": 0}, None, 100.5),
        ({"bp": 0, "ap": 0}, None, None),
    ],
)
def test_a_side_without_price_or_size_is_empty(
    changed: dict[str, int | float], bid: float | None, ask: float | None
) -> None:
    one = json.loads(quote())[0] | changed
    [told] = Session().receive(encoded([one]))
    assert isinstance(told, Quote)
    assert (told.bid, told.ask) == (bid, ask)
    assert (told.bid_size > 0, told.ask_size > 0) == (bid is not None, ask is not None)


def test_a_side_that_is_left_out_is_empty() -> None:
    one = json.loads(quote())[0]
    del one["ap"], one["as"]
    [told] = Session().receive(encoded([one]))
    assert isinstance(told, Quote)
    assert told.ask is None


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (DOCUMENTED_LEVELS, "unknown event XL2"),
        (DOCUMENTED_FAIR_VALUE, "unknown event FMV"),
        (encoded([{"ev": "AM", "sym": "X:BTC-USD"}]), "unknown event AM"),
        (encoded([{}]), "unknown event"),
        (status("news", "hello"), "unknown status news"),
        (status("success", "hello"), "unknown status success"),
        (status("error", "bad request"), "error bad request"),
        (acknowledgement("XT.NO-SUCH"), "answer to nothing"),
        (trade("NO-SUCH"), "unknown symbol"),
        (quote("NO-SUCH"), "unknown symbol"),
        (bar(pair="NO-SUCH"), "unknown symbol"),
        (trade(s=0), "trade of nothing"),
        (bar(e=VENUE_MS + 1), "XA of another length"),
        (bar(h=100.5), "XA that contradicts itself"),
        (bar(l=100.5), "XA that contradicts itself"),
    ],
)  # fmt: skip
def test_what_we_do_not_know_becomes_a_dead_letter(frame: bytes, reason: str) -> None:
    session = Session()
    assert session.receive(frame) == [
        DeadLetter("massive", reason, encoded(json.loads(frame)[0]) if "event" in reason else frame,
                   session.now)
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["pair", "p", "t", "s"])
def test_a_trade_without_a_field_breaks_the_session(field: str) -> None:
    one = json.loads(trade())[0]
    del one[field]
    with pytest.raises(VenueProtocolError, match=rf"XT: .*`{field}`"):
        Session().receive(encoded([one]))


@pytest.mark.parametrize("number", ["nan", "inf", -1, 1e18, None, True, [], "5"])
@pytest.mark.parametrize("make", [lambda n: trade(p=n), lambda n: quote(bp=n), lambda n: bar(c=n)])
def test_a_number_that_is_none_never_passes(number: object, make: object) -> None:
    assert callable(make)
    with pytest.raises(VenueProtocolError):
        Session().receive(make(number))


@pytest.mark.parametrize(
    "frame",
    [b"", b"null", b"{}", b"5", b"\xff", b"[1]", b"[null]", b'[{"ev":5}]', b"[" * 100_000,
     b'[{"ev":"\\ud800"}]', b'{"ev":"status","status":"connected"}'],
)  # fmt: skip
def test_nonsense_breaks_the_session(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        Session().receive(frame)


@pytest.mark.parametrize("time", [0, -1, 9 * 10**12, 10**17])
def test_a_time_that_does_not_fit_is_the_venues_fault(time: int) -> None:
    with pytest.raises(VenueProtocolError):
        Session().receive(trade(t=time))


def test_prices_as_small_as_they_come_are_read() -> None:
    [told] = Session("SHIB-USD").receive(trade("SHIB-USD", p=8.77e-06, s=1e-08))
    assert isinstance(told, Trade)
    assert (told.price, told.size) == (8.77e-06, 1e-08)


# -- trades are told once --------------------------------------------------------------------------


def test_a_trade_that_was_told_is_not_told_again() -> None:
    session = Session()
    assert len(session.receive(trade(i=7))) == 1
    assert session.receive(trade(i=7)) == []
    assert session.receive(trade(i="7")) == []  # number or text, it is the same
    assert len(session.receive(trade(i=7, x=2))) == 1  # another exchange's
    assert len(session.receive(trade(i=3))) == 1  # ids need not rise


def test_a_trade_without_an_id_is_known_by_itself() -> None:
    session = Session()
    [first] = only(Trade, session.receive(trade(i=None)))
    assert first.trade_id == f"1-{VENUE_MS}-100.5-2.0"
    assert session.receive(trade(i=None)) == []
    assert len(session.receive(trade(i=None, s=3))) == 1


def test_only_so_many_trades_are_remembered() -> None:
    session = Session()
    for number in range(TRADES_REMEMBERED + 1):
        session.receive(trade(i=number))
    assert session.receive(trade(i=1)) == []
    assert len(session.receive(trade(i=0))) == 1


# -- the quote rule --------------------------------------------------------------------------------


def test_an_older_quote_of_an_exchange_says_nothing() -> None:
    session = Session()
    session.receive(quote(t=VENUE_MS, r=VENUE_MS + 5))
    assert session.receive(quote(t=VENUE_MS - 1, r=VENUE_MS + 6)) == []
    assert session.receive(quote(t=VENUE_MS, r=VENUE_MS + 4)) == []
    assert len(session.receive(quote(t=VENUE_MS, r=VENUE_MS + 5))) == 1
    assert len(session.receive(quote(t=VENUE_MS - 1, x=2))) == 1  # another exchange's


def test_a_clock_that_was_far_ahead_is_believed_again() -> None:
    session = Session()
    session.receive(quote(t=VENUE_MS + 5_001))
    assert len(session.receive(quote(t=VENUE_MS))) == 1
    assert session.receive(quote(t=VENUE_MS - 1)) == []


@given(st.permutations(range(6)))
def test_in_any_order_the_newest_quote_is_the_last_that_is_told(order: list[int]) -> None:
    session = Session()
    told = [one for n in order for one in session.receive(quote(t=VENUE_MS + n, bp=90 + n))]
    bids = [one.bid for one in only(Quote, told)]
    assert bids == sorted(bids)  # type: ignore[type-var]
    assert bids[-1] == 95


# -- the session -----------------------------------------------------------------------------------


def test_the_key_is_sent_after_the_greeting_and_subscriptions_after_the_key() -> None:
    protocol = MassiveProtocol(description("BTC-USD", "ETH-USD"))
    protocol.opened(START)
    assert protocol.outgoing() == []
    protocol.received(CONNECTED, START)
    [login] = protocol.outgoing()
    assert isinstance(login, Login)
    assert json.loads(login.message) == {"action": "auth", "params": KEY.decode()}
    protocol.received(AUTHENTICATED, START)
    assert protocol.outgoing() == [
        b'{"action":"subscribe","params":"XT.BTC-USD,XQ.BTC-USD,XT.ETH-USD,XQ.ETH-USD"}'
    ]
    assert protocol.url == "ws://stream.simulated/crypto"


def test_greeting_and_answer_may_share_a_frame_and_are_answered_once() -> None:
    session = Session(is_acknowledged=False)
    session.receive(encoded([*json.loads(CONNECTED), *json.loads(CONNECTED)]))
    assert session.logins == 1


def test_bars_are_subscribed_where_they_are_wanted() -> None:
    assert Session().params == ["XT.BTC-USD", "XQ.BTC-USD"]
    wanted = ["XT.BTC-USD", "XQ.BTC-USD", "XA.BTC-USD", "XAS.BTC-USD"]
    assert Session(aggregates=True).params == wanted


def test_it_is_live_when_everything_is_confirmed_and_quoted() -> None:
    session = Session("BTC-USD", "ETH-USD", is_acknowledged=False)
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    session.receive(quote("BTC-USD"))
    session.receive(quote("ETH-USD"))
    assert not is_live(session)
    session.acknowledge()
    assert is_live(session)
    assert list(session.protocol.instruments) == [BTC, ETH]


def test_a_long_list_is_cut_into_messages() -> None:
    session = Session(*[f"A{number}-USD" for number in range(120)], is_acknowledged=False)
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    sizes = [len(message["params"].split(",")) for message in session.messages]
    assert sizes == [PARAMS_PER_MESSAGE, PARAMS_PER_MESSAGE, 40]
    assert len(set(session.params)) == 240


@pytest.mark.parametrize(
    "message", ["authentication failed", "Your plan doesn't include websocket access."]
)
def test_a_key_that_is_refused_names_the_variable_and_waits_long(message: str) -> None:
    session = Session(is_acknowledged=False)
    session.receive(CONNECTED)
    with pytest.raises(VenueRefusalError, match="MASSIVE_API_KEY") as caught:
        session.receive(status("auth_failed", message))
    assert message in str(caught.value)
    assert "POLYGON_API_KEY" in str(caught.value)
    assert caught.value.retry_after_s >= 600


def test_a_place_that_is_taken_is_left_alone_for_a_while() -> None:
    session = Session()
    with pytest.raises(VenueRefusalError, match="one connection") as caught:
        session.receive(status("max_connections", "Maximum number exceeded. "))
    assert caught.value.retry_after_s >= 60


def test_a_login_that_is_late_is_tried_again() -> None:
    session = Session(is_acknowledged=False)
    with pytest.raises(SubscriptionError, match="login too late"):
        session.receive(status("auth_timeout", "no auth"))


def test_a_refusal_names_what_stays_unconfirmed() -> None:
    session = Session("BTC-USD", is_acknowledged=False)
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    assert session.receive(status("error", "not authorized")) == []
    with pytest.raises(VenueRefusalError, match=r"not authorized for XQ\.BTC-USD"):
        session.receive(acknowledgement("XT.BTC-USD"))


def test_a_refusal_of_everything_is_told_at_once() -> None:
    session = Session("BTC-USD", is_acknowledged=False)
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    session.receive(status("error", "not authorized"))
    with pytest.raises(VenueRefusalError, match=r"XT\.BTC-USD, XQ\.BTC-USD"):
        session.receive(status("error", "not authorized"))


@pytest.mark.parametrize(
    ("frames", "late"),
    [([], "'connected'"), ([CONNECTED], "'auth_success'"),
     ([CONNECTED, AUTHENTICATED], r"XT\.BTC-USD: no answer"),
     ([CONNECTED, AUTHENTICATED, acknowledgement("XT.BTC-USD")], r"XQ\.BTC-USD: no answer")],
)  # fmt: skip
def test_an_answer_may_take_its_limit_and_no_longer(frames: list[bytes], late: str) -> None:
    session = Session(is_acknowledged=False)
    for frame in frames:
        session.receive(frame, after=0)
    assert session.protocol.elapsed(START + ANSWER_WITHIN) == []
    with pytest.raises(SubscriptionError, match=late):
        session.protocol.elapsed(START + ANSWER_WITHIN + 1)


def test_a_refusal_that_nothing_follows_is_a_refusal_at_the_limit() -> None:
    session = Session("BTC-USD", is_acknowledged=False)
    for frame in (CONNECTED, AUTHENTICATED, status("error", "not authorized")):
        session.receive(frame, after=0)
    with pytest.raises(VenueRefusalError):
        session.protocol.elapsed(START + ANSWER_WITHIN + 1)


# -- changes while the connection is up ------------------------------------------------------------


def test_an_instrument_is_added_and_dropped_at_run_time() -> None:
    session = Session("BTC-USD")
    session.receive(quote("BTC-USD"))
    eth = instrument("ETH-USD")
    assert session.do(lambda protocol, now: protocol.subscribe([eth, eth], now)) == []
    assert session.messages[-1] == {"action": "subscribe", "params": "XT.ETH-USD,XQ.ETH-USD"}
    assert not is_live(session)
    session.acknowledge()
    session.receive(quote("ETH-USD"))
    assert is_live(session)

    [gap] = session.do(lambda protocol, now: protocol.unsubscribe([BTC, "massive:X-Y"], now))
    assert gap == FeedGap(instrument=BTC, ts_recv=session.now, reason="unsubscribed")
    assert session.messages[-1] == {"action": "unsubscribe", "params": "XT.BTC-USD,XQ.BTC-USD"}
    assert session.receive(quote("BTC-USD")) == []  # the tail
    session.acknowledge()
    assert is_live(session)
    assert list(session.protocol.instruments) == [ETH]


def test_what_is_asked_for_before_the_login_waits() -> None:
    session = Session("BTC-USD", is_acknowledged=False)
    eth = instrument("ETH-USD")
    session.do(lambda protocol, now: protocol.subscribe([eth], now))
    assert session.messages == []
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    assert session.params == ["XT.BTC-USD", "XQ.BTC-USD", "XT.ETH-USD", "XQ.ETH-USD"]


def test_a_resync_waits_for_the_next_quote_and_leaves_the_others_alone() -> None:
    session = Session("BTC-USD", "ETH-USD")
    session.receive(quote("BTC-USD"))
    session.receive(quote("ETH-USD"))
    assert session.do(lambda protocol, now: protocol.resync(ETH, "crossed", now)) == [
        FeedGap(instrument=ETH, ts_recv=session.now, reason="crossed", channel="book")
    ]
    assert not is_live(session)
    assert len(session.receive(quote("ETH-USD"))) == 1
    assert is_live(session)
    assert session.do(lambda protocol, now: protocol.resync("massive:X-Y", "", now)) == []


def test_nothing_is_ever_fetched() -> None:
    protocol = MassiveProtocol(description("BTC-USD"))
    told = protocol.fetched(Request(url="x", subject="x"), 200, b"{}", START)
    assert [type(one) for one in told] == [DeadLetter]


# -- silence ---------------------------------------------------------------------------------------


def until_stale(session: Session) -> float:
    began = session.now
    with pytest.raises(StaleFeedError, match="silent for"):
        session.wait(600)
    return (session.now - began) / SECOND


def test_a_quiet_connection_is_asked_before_it_is_given_up() -> None:
    session = Session()
    session.wait(QUIET / SECOND - 2)
    assert len(session.messages) == 1
    session.wait(3)
    assert session.messages[-1] == {"action": "subscribe", "params": PROBE}
    assert session.receive(acknowledgement(PROBE)) == []
    session.wait(QUIET / SECOND + 2)
    assert session.messages[-1] == {"action": "unsubscribe", "params": PROBE}
    assert session.receive(acknowledgement(PROBE, action="unsubscribed")) == []
    assert until_stale(session) == pytest.approx((QUIET + PROBE_WITHIN) / SECOND, abs=2)


def test_a_busy_connection_is_given_up_within_five_seconds() -> None:
    session = Session()
    for number in range(60):  # two seconds of 30 messages
        session.receive(trade(i=number), after=SECOND // 30)
        if number % 30 == 29:
            session.do(lambda protocol, now: protocol.elapsed(now))
    assert until_stale(session) <= 6


# -- the list of instruments -----------------------------------------------------------------------

LISTED = {
    "ticker": "X:BTCUSD", "name": "Bitcoin - United States Dollar", "market": "crypto",
    "locale": "global", "active": True, "currency_symbol": "USD", "base_currency_symbol": "BTC",
}  # fmt: skip


def test_the_list_of_instruments_holds_what_trades() -> None:
    listing = {
        "status": "OK",
        "results": [
            LISTED,
            LISTED | {"ticker": "X:OLDUSD", "active": False},
            LISTED | {"ticker": "C:EURUSD", "market": "fx"},
            {"ticker": "X:ODD", "active": True},
        ],
    }
    assert VENUE.read_instruments(encoded(listing)) == [instrument("BTC-USD")]
    assert VENUE.instruments_url("http://x") == (
        "http://x/v3/reference/tickers?market=crypto&active=true&limit=1000"
    )


def test_the_next_page_is_asked_for_without_a_key_in_its_address() -> None:
    body = encoded({"results": [], "next_url": "https://api.massive.com/v3/x?cursor=abc&apiKey=k"})
    assert VENUE.more_instruments_url(body) == "https://api.massive.com/v3/x?cursor=abc"
    assert VENUE.more_instruments_url(encoded({"status": "OK", "results": []})) == ""


def test_an_option_that_is_none_is_explained() -> None:
    assert VENUE.explain_options({"aggregates": True}) == ""
    assert "aggregates" in VENUE.explain_options({"aggregate": True})
    assert "true or false" in VENUE.explain_options({"aggregates": 1})


def test_both_names_of_the_host_are_configuration() -> None:
    for host in ("wss://socket.massive.com", "wss://socket.polygon.io"):
        described = description("BTC-USD")
        assert host.startswith("wss://socket.")
        protocol = VENUE.protocol(type(described)(
            venue="massive", instruments=described.instruments, websocket_url=host,
            rest_url="https://api.polygon.io",
        ))  # fmt: skip
        assert protocol.url == f"{host}/crypto"


def test_what_is_told_has_our_clock() -> None:
    session = Session(aggregates=True)
    told: list[Told] = []
    for frame in (trade(), quote(), bar()):
        told += session.receive(frame)
        last = told[-1]
        assert not isinstance(last, DeadLetter)
        assert last.ts_recv == session.now
