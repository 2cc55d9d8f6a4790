"""Trades of the past: the stream's own ids, each once, and never more said than is known."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES
from connectors.contract import TradeWalk
from connectors.limiter import HostLimiter
from connectors.trade_history import TradeHistory, past_trades
from market.errors import HistoryError, VenueProtocolError
from market.events import Side, Trade
from simulator.dialects import DIALECTS
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.listings import choose
from simulator.market_model import MarketModel
from tests.connectors.candle_samples import listed
from tests.drawn_examples import examples
from tests.faults.feed_client import START, Rig

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
REST = "http://simulated"
every_venue = pytest.mark.parametrize("name", sorted(VENUES))

BINANCE_FIRST = (
    b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,'
    b'"m":true,"M":true}]'
)
BINANCE = (
    b'[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",'
    b'"time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]'
)
BITSTAMP = (
    b'[{"date":"1562650233","tid":"93215787","amount":"0.01414016","type":"1","price":"12700.00"}]'
)
BYBIT = (
    b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"execId":'
    b'"2100000000007764263","symbol":"BTCUSDT","price":"16618.49","size":"0.00012","side":"Buy",'
    b'"time":"1672052955758","isBlockTrade":false}]},"retExtInfo":{},"time":1672053054358}'
)
HTX = (
    b'{"ch":"market.btcusdt.trade.detail","status":"ok","ts":1544390318000,"data":[{"id":'
    b'31618787514,"ts":1544390317905,"data":[{"id":316187875145000000000,"ts":1544390317905,'
    b'"trade-id":102043494568,"amount":9.0,"price":0.1,"direction":"sell"}]}]}'
)
MASSIVE = (
    b'{"request_id":"a47d1be","results":[{"conditions":[1],"exchange":1,"id":"191450340",'
    b'"participant_timestamp":1625097600103000000,"price":35060.0,"size":1.0434526}],"status":"OK"}'
)
DOCUMENTED: dict[str, tuple[bytes, tuple[int, float, float, Side, str]]] = {
    "binance": (BINANCE, (1499865549590 * 10**6, 4.000001, 12.0, Side.SELL, "28457")),
    "bitstamp": (BITSTAMP, (1562650233 * SECOND, 12700.0, 0.01414016, Side.SELL, "93215787")),
    "bybit": (
        BYBIT, (1672052955758 * 10**6, 16618.49, 0.00012, Side.BUY, "2100000000007764263")
    ),
    "htx": (HTX, (1544390317905 * 10**6, 0.1, 9.0, Side.SELL, "102043494568")),
    "massive": (MASSIVE, (1625097600103000000, 35060.0, 1.0434526, Side.SELL, "1-191450340")),
}  # fmt: skip
REFUSALS = {
    "binance": (b'{"code":-1121,"msg":"Invalid symbol."}', "Invalid symbol"),
    "bitstamp": (
        b'{"status":"error","reason":"Invalid time.","response_code":"400.001"}', "Invalid time"
    ),
    "bybit": (b'{"retCode":10001,"retMsg":"params error","result":{}}', "params error"),
    "htx": (
        b'{"status":"error","err-code":"invalid-parameter","err-msg":"invalid symbol"}',
        "invalid symbol",
    ),
    "massive": (b'{"status":"ERROR","error":"Unknown API Key"}', "Unknown API Key"),
}  # fmt: skip
SYMBOL = {name: "BTC-USD" if name in {"bitstamp", "massive"} else "BTC-USDT" for name in VENUES}


def walk_of(name: str, start: int, end: int, now: int = START) -> TradeWalk:
    """A walk that waits for its first answer with trades."""
    past = past_trades(VENUES[name])
    walk = past.walk(REST, listed(name, SYMBOL[name]), start, end, now)
    request = walk.request()
    assert request is not None
    assert request.url.startswith(REST)
    if name == "binance":
        assert walk.answered(BINANCE_FIRST, now) == []
    return walk


def host(dialect: Dialect, now: Callable[[], int], asked: list[str] | None = None) -> TradeHistory:
    """A venue's REST interface without a socket."""

    def answer(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        if asked is not None:
            asked.append(target)
        told = dialect.requested(target, now())
        return httpx.Response(told.status, content=told.body, headers=told.headers)

    return TradeHistory(
        client=lambda: httpx.Client(transport=httpx.MockTransport(answer)),
        wait=lambda _: None,
        limiter=lambda venue, _: HostLimiter(venue.limits, iter(range(0, 10**18, 10**11)).__next__),
    )


@every_venue
def test_a_documented_answer_is_read(name: str) -> None:
    body, (ts, price, size, side, number) = DOCUMENTED[name]
    walk = walk_of(name, 0, 2**62)
    assert walk.answered(body, 7) == [
        Trade(
            instrument=f"{name}:{SYMBOL[name]}", ts_event=ts, ts_recv=7, price=price, size=size,
            side=side, trade_id=number,
        )
    ]  # fmt: skip
    assert walk.request() is None


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


@every_venue
def test_a_simulated_answer_has_the_shape_of_the_documented_one(name: str) -> None:
    model = MarketModel(choose([SYMBOL[name]]), seed=3, start=START)
    dialect = DIALECTS[name](model, DialectOptions())
    past = past_trades(VENUES[name])
    walk = past.walk(REST, listed(name, SYMBOL[name]), START - 2 * SECOND, START, START)
    bodies = []
    while (request := walk.request()) is not None:
        parts = urlsplit(request.url)
        bodies.append(dialect.requested(f"{parts.path}?{parts.query}", START).body)
        walk.answered(bodies[-1], START)
    documented = [DOCUMENTED[name][0]]
    if name == "binance":
        documented.insert(0, BINANCE_FIRST)
    for ours, theirs in zip(bodies, documented, strict=True):
        assert shape(json.loads(ours)) == shape(json.loads(theirs))


@every_venue
def test_what_the_venue_refuses_is_told_in_its_words(name: str) -> None:
    body, words = REFUSALS[name]
    with pytest.raises(VenueProtocolError, match=words):
        walk_of(name, 0, START).answered(body, START)


@every_venue
def test_the_trades_of_the_past_are_those_of_the_stream(name: str) -> None:
    rig = Rig(venue=name, symbols=(SYMBOL[name],), rate=0.5).run_for(50)
    streamed = {trade.trade_id: trade for trade in rig.client.trades[SYMBOL[name]]}
    now = rig.wire.now
    start, end = START + 20 * SECOND, now - 2 * SECOND
    pages = list(
        host(rig.dialect, lambda: now).pages(
            VENUES[name], listed(name, SYMBOL[name]), start, end, now=lambda: now, rest_url=REST
        )
    )
    covered = pages[-1].covered
    assert covered[1] == end
    assert covered[0] <= (start if name != "bybit" else end)
    told = {trade.trade_id: trade for page in pages for trade in page.trades}
    precision = SECOND if name == "bitstamp" else 0
    wanted = {
        number
        for number, trade in streamed.items()
        if covered[0] + precision <= trade.ts_event < end - precision
    }
    assert len(wanted) > 10
    assert wanted <= told.keys()
    for number in told.keys() & streamed.keys():
        ours, theirs = streamed[number], told[number]
        assert (ours.price, ours.size, ours.side) == (theirs.price, theirs.size, theirs.side)
        assert abs(ours.ts_event - theirs.ts_event) < SECOND


def test_binance_and_massive_go_on_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MarketModel(choose(["BTC-USDT", "BTC-USD"]), seed=3, start=START)
    start, end = START - 20 * MINUTE, START - MINUTE
    monkeypatch.setattr("connectors.binance_trades.MOST", 100)
    monkeypatch.setattr("connectors.massive_trades.MOST", 100)
    for name in ("binance", "massive"):
        asked: list[str] = []
        dialect = DIALECTS[name](model, DialectOptions())
        pages = list(
            host(dialect, lambda: START, asked).pages(
                VENUES[name], listed(name, SYMBOL[name]), start, end, now=lambda: START,
                rest_url=REST, key="never-in-an-address",
            )
        )  # fmt: skip
        assert len(asked) > 5
        assert not any("never" in target for target in asked)
        trades = [trade for page in pages for trade in page.trades]
        true = list(model.trades(SYMBOL[name]).between(start, end))
        assert len(trades) == len(true) == len({trade.trade_id for trade in trades})
        assert trades == sorted(trades, key=lambda trade: trade.ts_event)
        reached = [page.covered[1] for page in pages]
        assert reached == sorted(reached)
        assert reached[-1] == end
        for page in pages[1:-1]:
            assert all(trade.ts_event <= page.covered[1] for trade in page.trades)


@pytest.mark.parametrize(("name", "count", "most"), [("bybit", 60, 60), ("htx", 2000, 2000)])
def test_a_venue_that_tells_its_newest_says_how_far_they_go(
    name: str, count: int, most: int
) -> None:
    model = MarketModel(choose([SYMBOL[name]]), seed=3, start=START)
    dialect = DIALECTS[name](model, DialectOptions())
    pages = list(
        host(dialect, lambda: START).pages(
            VENUES[name], listed(name, SYMBOL[name]), START - 86_400 * SECOND, START,
            now=lambda: START, rest_url=REST,
        )
    )  # fmt: skip
    assert len(pages) == 1
    assert len(pages[0].trades) == count == most
    assert pages[0].covered == (pages[0].trades[0].ts_event + 1, START)


def test_blocks_of_bybit_are_left_out_and_still_count() -> None:
    rows = json.loads(BYBIT)["result"]["list"] * 60
    rows = [{**row, "execId": str(n), "isBlockTrade": n % 2 == 0} for n, row in enumerate(rows)]
    body = json.dumps(
        {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": rows}}
    ).encode()
    walk = walk_of("bybit", 0, 2**62)
    assert len(walk.answered(body, 0)) == 30
    assert walk.covered[0] > 0


def test_bitstamp_is_asked_for_the_shortest_time_that_reaches_back() -> None:
    past = past_trades(VENUES["bitstamp"])
    for ago, name in ((30, "minute"), (60, "hour"), (3000, "hour"), (4000, "day"), (10**6, "day")):
        request = past.walk(
            REST, listed("bitstamp", "BTC-USD"), START - ago * SECOND, START, START
        ).request()
        assert request is not None
        assert request.url.endswith(f"time={name}")


def test_a_page_that_goes_round_in_circles_is_noticed() -> None:
    walk = walk_of("massive", 0, 2**62)
    again = json.loads(MASSIVE) | {"next_url": "https://api.massive.com/v3/trades/X:A?cursor=1"}
    body = json.dumps(again).encode()
    walk.answered(body, 0)
    request = walk.request()
    assert request is not None
    assert request.url == f"{REST}/v3/trades/X:A?cursor=1"
    with pytest.raises(VenueProtocolError, match="round in circles"):
        walk.answered(body, 0)


def test_a_venue_without_trades_of_the_past_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(VENUES["htx"]), "past_trades", None)
    with pytest.raises(HistoryError, match="htx has no trades of the past"):
        past_trades(VENUES["htx"])


@every_venue
@examples(15)
@given(data=st.data())
def test_any_bytes_give_trades_or_a_protocol_error(name: str, data: st.DataObject) -> None:
    body = bytearray(DOCUMENTED[name][0])
    for _ in range(data.draw(st.integers(0, 3))):
        if body and data.draw(st.booleans()):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        else:
            del body[data.draw(st.integers(0, len(body))) :]
    assert past_trades(VENUES[name]).is_rate_limit(bytes(body)) in {True, False}
    try:
        trades = walk_of(name, 0, 2**62).answered(bytes(body), 0)
    except VenueProtocolError:
        return
    for trade in trades:
        assert 0 <= trade.ts_event < 2**63
        assert 0 < trade.price < 1e18
        assert 0 <= trade.size < 1e18
