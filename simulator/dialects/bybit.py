"""Bybit v5 spot, from the server's side: the public websocket, instruments and klines.

After the venue's public documentation as of July 2026, and refusals that others have published.

    path or endpoint                   what
    /v5/public/spot                    subscribe, unsubscribe, ping
    GET /v5/market/instruments-info    `category=spot`
    GET /v5/market/kline               `category=spot`
    GET /v5/market/time

    topic                    message                rhythm
    publicTrade.SYMBOL       trades of one moment   at once
    orderbook.50.SYMBOL      snapshot, then delta   20 ms, when something changed
    orderbook.200.SYMBOL     snapshot, then delta   100 ms

A request with one bad topic is refused whole, and the answer names that topic. The venue tells
nobody before it ends connections, so `shut_down` only ends them. What the documentation leaves
open is decided so: a client that says nothing for ten minutes is cut; more than 21,000 characters
of topics are refused; an unsubscription from what is not subscribed is acknowledged; the
acknowledgement comes before the first snapshot.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec

from market.intervals import Interval
from simulator.candle import Candle
from simulator.dialects.bybit_streams import TRADE_IDS, BybitStreams, Told
from simulator.frames import Close, Cut, Frame, HttpAnswer, Text
from simulator.listings import Listing, decimal_text
from simulator.market_model import MarketModel
from simulator.true_book import Change

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
PATH = "/v5/public/spot"
MOST_TOPICS = 10
MOST_CHARACTERS = 21_000
MOST_IDLE = 600 * SECOND
NEVER = 1 << 62
KLINES = 200
TRADES = 60
MOST_KLINES = 1000
INTERVALS = {
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "720": "12h",
    "D": "1d",
    "W": "1w",
}
"""The venue has months (`M`) too."""


class _Request(msgspec.Struct):
    """`{"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT"]}`."""

    op: str
    req_id: str = ""
    args: list[str] = []


class _Connection:
    """One client."""

    __slots__ = ("ends_at", "heard", "number", "topics")

    def __init__(self, number: str, ends_at: int, now: int) -> None:
        self.number = number
        self.ends_at = ends_at
        self.heard = now
        self.topics: dict[str, None] = {}


class BybitDialect:
    """Bybit spot for any number of connections; see `simulator.dialects.contract.Dialect`.

    Args:
        model: the market; the caller advances it and hands the changes on.
        max_age: ns after which a connection is cut; the venue publishes no such limit.
        depth_interval: ns between two messages of a 50-level topic; None for the venue's 20 ms.
        tells_what_left: a level that leaves the window is told with the size 0.
    """

    def __init__(
        self,
        model: MarketModel,
        *,
        max_age: int = NEVER,
        depth_interval: int | None = None,
        tells_what_left: bool = True,
    ) -> None:
        self._model = model
        self._max_age = max_age
        self._streams = BybitStreams(model, fast=depth_interval, tells_what_left=tells_what_left)
        self._connections: dict[str, _Connection] = {}
        self._opened = 0
        self._out: list[tuple[str, Frame]] = []
        self._next_check = model.now
        self._refused: dict[str, int] = {}
        self._symbols = {one.base + one.quote: one.symbol for one in model.listings}
        self._encoder = msgspec.json.Encoder()

    # connections

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no topics; None to let it in."""
        if urlsplit(path).path.rstrip("/") == PATH:
            return None
        return HttpAnswer(404, b"404 page not found")

    def opened(self, conn: str, path: str, now: int) -> None:  # noqa: ARG002 - the contract's
        """A client connected; nothing is said until it asks."""
        self._opened += 1
        number = f"{self._opened:08x}-0000-4000-8000-{self._model.now // SECOND:012x}"
        self._connections[conn] = _Connection(number, now + self._max_age, now)

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            for topic in connection.topics:
                self._streams.leave(conn, topic)

    def ponged(self, conn: str, payload: bytes, now: int) -> None:
        """The venue sends no websocket pings, so a pong means nothing."""

    def pinged(self, conn: str, now: int) -> None:
        """A websocket ping: whoever holds the socket has answered it."""
        if (connection := self._connections.get(conn)) is not None:
            connection.heard = now

    def received(self, conn: str, data: bytes, now: int) -> None:
        """A client sent a request."""
        connection = self._connections.get(conn)
        if connection is None:
            return
        connection.heard = now
        try:
            request = msgspec.json.decode(data, type=_Request)
        except msgspec.DecodeError:
            self._answer(conn, connection, _Request(""), "Params Error", is_good=False)
            return
        match request.op:
            case "ping":
                self._answer(conn, connection, request, "pong")
            case "subscribe":
                self._subscribe(conn, connection, request, now)
            case "unsubscribe":
                for topic in request.args:
                    if topic in connection.topics:
                        del connection.topics[topic]
                        self._streams.leave(conn, topic)
                self._answer(conn, connection, request, "")
            case _:
                self._answer(conn, connection, request, "Params Error", is_good=False)

    def _subscribe(self, conn: str, connection: _Connection, request: _Request, now: int) -> None:
        refusal = self._refusal(connection, request.args, now)
        if refusal:
            self._answer(conn, connection, request, refusal, is_good=False)
            return
        self._answer(conn, connection, request, "subscribe")
        for topic in request.args:
            connection.topics[topic] = None
            first = self._streams.join(conn, topic, now)
            if first is not None:
                self._tell(first)

    def _refusal(self, connection: _Connection, topics: list[str], now: int) -> str:
        """Say what is wrong with a subscription, in the venue's words; empty for nothing."""
        if not topics:
            return "Params Error"
        if len(topics) > MOST_TOPICS:
            return f"args size >{MOST_TOPICS}"
        if len(self._encoder.encode([*connection.topics, *topics])) > MOST_CHARACTERS:
            return f"args length >{MOST_CHARACTERS}"
        for topic in topics:
            if not self._streams.knows_kind(topic):
                return f"error:handler not found,topic:{topic}"
            symbol = self._symbols.get(topic.rpartition(".")[2], "")
            if not self._streams.knows(topic) or now < self._refused.get(symbol, 0):
                return f"Invalid symbol :[{topic}]"
            if topic in connection.topics:
                return f"error:already subscribed,topic:{topic}"
        return ""

    def _answer(
        self, conn: str, connection: _Connection, request: _Request, text: str, *,
        is_good: bool = True,
    ) -> None:  # fmt: skip
        answer: dict[str, object] = {"success": is_good, "ret_msg": text}
        answer["conn_id"] = connection.number
        if request.req_id or request.op != "ping":
            answer["req_id"] = request.req_id
        answer["op"] = request.op
        self._out.append((conn, Text(self._encoder.encode(answer))))

    def _end(self, conn: str, code: int, reason: str) -> None:
        self._out.append((conn, Close(code, reason)))
        self.closed(conn)

    # the market

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Tell what happened up to `now`; books at their rhythm."""
        for told in self._streams.advance(changes, now):
            self._tell(told)
        if now >= self._next_check:
            self._next_check = now + SECOND // 2
            for conn, connection in list(self._connections.items()):
                if now >= connection.ends_at:
                    self._end(conn, 1001, "Going away")
                elif now - connection.heard >= MOST_IDLE:
                    self._out.append((conn, Cut()))
                    self.closed(conn)

    def outgoing(self) -> list[tuple[str, Frame]]:
        """Return what is to be sent, in order, and forget it."""
        out, self._out = self._out, []
        return out

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of the REST interface."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/v5/market/time":
                seconds = {"timeSecond": str(now // SECOND), "timeNano": str(now)}
                return self._reply(0, "OK", seconds, now)
            case "/v5/market/instruments-info":
                return self._instruments(query, now)
            case "/v5/market/kline":
                return self._klines(query, now)
            case "/v5/market/recent-trade":
                return self._recent_trades(query, now)
            case _:
                return HttpAnswer(404, b"404 page not found")

    def shut_down(self, now: int, grace: int) -> None:
        """End the connections of now `grace` ns later; the venue announces nothing."""
        for connection in self._connections.values():
            connection.ends_at = min(connection.ends_at, now + grace)

    def restart(self, symbol: str) -> None:
        """Restart the book service of a symbol: a snapshot whose `u` is 1."""
        for told in self._streams.restart(symbol):
            self._tell(told)

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the next book message."""
        self._streams.falsify_book(symbol)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the next trade with a time `ahead` ns too late."""
        self._streams.falsify_trade_time(symbol, ahead)

    def unknown_message(self, conn: str) -> Text:  # noqa: ARG002 - the contract's
        """Return a message of a topic that does not exist."""
        return Text(b'{"topic":"weather.BTCUSDT","ts":1,"type":"snapshot","data":{"s":"BTCUSDT"}}')

    def jump_sequence(self, symbol: str) -> None:
        """Leave out an update id before the next delta."""
        self._streams.jump_sequence(symbol)

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Refuse subscriptions to a symbol, and leave it out of the list, up to `until`."""
        self._refused[symbol] = until

    def _tell(self, told: Told) -> None:
        text = Text(told.data, told.channel, told.symbol)
        self._out += [(conn, text) for conn in told.readers]

    def _instruments(self, query: dict[str, str], now: int) -> HttpAnswer:
        if query.get("category") != "spot":
            return self._reply(10001, "params error: category invalid", {}, now)
        listings = [
            one
            for one in self._model.listings
            if one.is_trading and now >= self._refused.get(one.symbol, 0)
        ]
        if "symbol" in query:
            listings = [one for one in listings if one.base + one.quote == query["symbol"]]
            if not listings:
                return self._reply(10001, "params error: symbol invalid", {}, now)
        symbols = [_symbol(number, listing) for number, listing in enumerate(listings, 1)]
        return self._reply(0, "OK", {"category": "spot", "list": symbols}, now)

    def _recent_trades(self, query: dict[str, str], now: int) -> HttpAnswer:
        """Answer with the newest trades, newest first."""
        native = query.get("symbol", "")
        symbol = self._symbols.get(native)
        if query.get("category") != "spot":
            return self._reply(10001, "params error: category invalid", {}, now)
        if symbol is None:
            return self._reply(10001, "params error: symbol invalid", {}, now)
        limit = query.get("limit", str(TRADES))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= TRADES):
            return self._reply(10001, "params error: limit invalid", {}, now)
        listing = next(one for one in self._model.listings if one.symbol == symbol)
        rows = [
            {
                "execId": str(TRADE_IDS + trade.trade_id),
                "symbol": native,
                "price": listing.price_text(trade.price),
                "size": listing.size_text(trade.size),
                "side": "Buy" if trade.buyer_took else "Sell",
                "time": str(trade.ts // MILLISECOND),
                "isBlockTrade": False,
            }
            for trade in reversed(self._model.trades(symbol).newest(int(limit), now))
        ]
        return self._reply(0, "OK", {"category": "spot", "list": rows}, now)

    def _klines(self, query: dict[str, str], now: int) -> HttpAnswer:
        """Answer with the newest of the range, newest first; a start and an end are inclusive."""
        native, interval = query.get("symbol", ""), INTERVALS.get(query.get("interval", ""))
        symbol = self._symbols.get(native)
        if query.get("category") != "spot":
            return self._reply(10001, "params error: category invalid", {}, now)
        if symbol is None:
            return self._reply(10001, "params error: symbol invalid", {}, now)
        try:
            limit = min(max(1, int(query.get("limit", KLINES))), MOST_KLINES)
            first = int(query.get("start", 0)) * MILLISECOND
            last = min(int(query.get("end", now // MILLISECOND)) * MILLISECOND, now) + 1
        except ValueError:
            return self._reply(10001, "params error: a time or limit invalid", {}, now)
        if interval is None:
            return self._reply(10001, "Invalid period!", {}, now)
        span = Interval.parse(interval)
        first = max(first, span.start_of(last - 1) - (limit - 1) * span.length)
        listing = next(one for one in self._model.listings if one.symbol == symbol)
        found = self._model.candles(symbol, interval, first, last, now, is_flat=True)
        rows = [_kline(listing, candle) for candle in reversed(found)]
        return self._reply(0, "OK", {"symbol": native, "category": "spot", "list": rows}, now)

    def _reply(self, code: int, text: str, result: object, now: int) -> HttpAnswer:
        body = {
            "retCode": code,
            "retMsg": text,
            "result": result,
            "retExtInfo": {},
            "time": now // MILLISECOND,
        }
        return HttpAnswer(200, self._encoder.encode(body), {"Content-Type": "application/json"})


def _symbol(number: int, listing: Listing) -> dict[str, object]:
    step = decimal_text(1, listing.size_decimals, listing.size_decimals)
    most = str(100 * listing.level_size)
    return {
        "symbolId": number,
        "symbol": listing.base + listing.quote,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": step,
            "quotePrecision": decimal_text(
                1, listing.price_decimals + 5, listing.price_decimals + 5
            ),
            "minOrderQty": step,
            "maxOrderQty": most,
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": most,
            "maxMarketOrderQty": most,
            "postOnlyMaxLimitOrderSize": most,
        },
        "priceFilter": {
            "tickSize": decimal_text(1, listing.price_decimals, listing.price_decimals)
        },
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }


def _kline(listing: Listing, candle: Candle) -> list[str]:
    digits = listing.price_decimals
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [
        str(candle.start // MILLISECOND),
        *(listing.price_text(price, digits) for price in prices),
        listing.size_text(candle.volume, listing.size_decimals),
        listing.worth_text(candle.worth, digits + listing.size_decimals),
    ]
