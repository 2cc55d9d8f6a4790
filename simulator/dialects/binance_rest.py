"""Binance spot's REST interface: ping, time, exchangeInfo, depth, klines, with their weights."""

from itertools import islice
from urllib.parse import parse_qs, urlsplit

import msgspec

from market.intervals import Interval
from simulator.candle import Candle
from simulator.frames import HttpAnswer
from simulator.listings import Listing, decimal_text
from simulator.market_model import MarketModel

MILLISECOND = 1_000_000
MINUTE = 60_000 * MILLISECOND
DEPTH_LIMIT = 100
DEEPEST = 5000
KLINES_LIMIT = 500
MOST_KLINES = 1000
INTERVALS = (
    *("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w"),
)
"""The venue has `3d` and `1M` too."""
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (DEEPEST, 250))
_HUGE = 9_000
TRADES_LIMIT = 500
MOST_TRADES = 1000


class _BadRequest(Exception):  # noqa: N818 - it is an answer
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class BinanceRest:
    """Answers GETs from the true books as they are at the moment of asking.

    Args:
        model: the market.
        weight_per_minute: what may be used in a minute of the clock; more gets 429.
    """

    def __init__(self, model: MarketModel, *, weight_per_minute: int) -> None:
        self._model = model
        self._limit = weight_per_minute
        self._minute = 0
        self._used = 0
        self._now = 0
        self._refused: dict[str, int] = {}
        self._symbols = {listing.base + listing.quote: listing for listing in model.listings}

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`, path and query; `now` is ns UTC."""
        self._now = now
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if now // MINUTE != self._minute:
            self._minute, self._used = now // MINUTE, 0
        try:
            weight, body = self._answer(parts.path, query, now)
        except _BadRequest as error:
            return self._reply(400, {"code": error.code, "msg": error.text}, 1)
        if weight == 0:
            return HttpAnswer(404, b"Not Found")
        if self._used + weight > self._limit:
            wait = -(-((self._minute + 1) * MINUTE - now) // (1000 * MILLISECOND))
            text = (
                f"Too much request weight used; current limit is {self._limit} request weight "
                "per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling "
                "the API."
            )
            answer = {"code": -1003, "msg": text}
            return self._reply(429, answer, 0, {"Retry-After": str(max(1, wait))})
        return self._reply(200, body, weight)

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Do not know a symbol up to `until`, ns UTC."""
        self._refused[symbol] = until

    def _reply(
        self, status: int, body: object, weight: int, headers: dict[str, str] | None = None
    ) -> HttpAnswer:
        self._used += weight
        used = str(self._used)
        return HttpAnswer(
            status,
            msgspec.json.encode(body),
            {
                "Content-Type": "application/json;charset=UTF-8",
                "X-MBX-USED-WEIGHT": used,
                "X-MBX-USED-WEIGHT-1M": used,
                **(headers or {}),
            },
        )

    def _answer(self, path: str, query: dict[str, str], now: int) -> tuple[int, object]:
        """Return the weight and the answer; weight 0 for a path that is not there."""
        match path:
            case "/api/v3/ping":
                return 1, {}
            case "/api/v3/time":
                return 1, {"serverTime": now // MILLISECOND}
            case "/api/v3/exchangeInfo":
                return 20, self._exchange_info(query, now)
            case "/api/v3/depth":
                return self._depth(query)
            case "/api/v3/klines":
                return 2, self._klines(query, now)
            case "/api/v3/aggTrades":
                return 4, self._aggregates(query, now)
            case "/api/v3/historicalTrades":
                return 25, self._trades(query, now)
            case _:
                return 0, None

    def _aggregates(self, query: dict[str, str], now: int) -> object:
        """Answer from a start time; every trade is an aggregate of its own, under its own id."""
        listing = self._asked(query)
        limit = min(_number(query, "limit", TRADES_LIMIT), MOST_TRADES)
        first = _number(query, "startTime", 0) * MILLISECOND
        found = self._model.trades(listing.symbol).between(first, now + 1)
        return [
            {
                "a": trade.trade_id,
                "p": listing.price_text(trade.price),
                "q": listing.size_text(trade.size),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": trade.ts // MILLISECOND,
                "m": not trade.buyer_took,
                "M": True,
            }
            for trade in islice(found, limit)
        ]

    def _trades(self, query: dict[str, str], now: int) -> object:
        listing = self._asked(query)
        limit = min(_number(query, "limit", TRADES_LIMIT), MOST_TRADES)
        log = self._model.trades(listing.symbol)
        if "fromId" in query:
            found = list(islice(log.from_id(_number(query, "fromId", 0)), limit))
        else:
            found = log.newest(limit, now)
        return [
            {
                "id": trade.trade_id,
                "price": listing.price_text(trade.price),
                "qty": listing.size_text(trade.size),
                "quoteQty": listing.worth_text(trade.price * trade.size),
                "time": trade.ts // MILLISECOND,
                "isBuyerMaker": not trade.buyer_took,
                "isBestMatch": True,
            }
            for trade in found
            if trade.ts <= now
        ]

    def _asked(self, query: dict[str, str]) -> Listing:
        if not query.get("symbol"):
            raise _BadRequest(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        return self._listing(query["symbol"])

    def _listing(self, native: str) -> Listing:
        listing = self._symbols.get(native)
        if listing is None or self._now < self._refused.get(listing.symbol, 0):
            raise _BadRequest(-1121, "Invalid symbol.")
        return listing

    def _klines(self, query: dict[str, str], now: int) -> object:
        for name in ("symbol", "interval"):
            if not query.get(name):
                raise _BadRequest(
                    -1102,
                    f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
                )
        listing = self._listing(query["symbol"])
        if query["interval"] not in INTERVALS:
            raise _BadRequest(-1120, "Invalid interval.")
        limit = min(_number(query, "limit", KLINES_LIMIT), MOST_KLINES)
        span = Interval.parse(query["interval"])
        # Times are those of opening, both inclusive; a start counts more than an end.
        last = min(_number(query, "endTime", now // MILLISECOND) * MILLISECOND, now) + 1
        if "startTime" in query:
            first = _number(query, "startTime", 0) * MILLISECOND
            last = min(last, first + limit * span.length)
        else:
            first = span.start_of(last - 1) - (limit - 1) * span.length
        found = self._model.candles(
            listing.symbol, query["interval"], first, last, now, is_flat=True
        )
        return [_kline(listing, candle, span) for candle in found[:limit]]

    def _depth(self, query: dict[str, str]) -> tuple[int, object]:
        if not query.get("symbol"):
            raise _BadRequest(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        listing = self._listing(query["symbol"])
        text = query.get("limit", str(DEPTH_LIMIT))
        if not (text.isascii() and text.isdigit() and int(text)):
            raise _BadRequest(
                -1100,
                "Illegal characters found in parameter 'limit'; legal range is '1' to '5000'.",
            )
        limit = min(int(text), DEEPEST)
        weight = next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)
        book = self._model.true_book(listing.symbol)
        bids, asks = book.bids, book.asks
        return weight, {
            "lastUpdateId": book.update_id,
            "bids": [
                (listing.price_text(price), listing.size_text(bids.sizes[price]))
                for price in bids.prices[: -limit - 1 : -1]
            ],
            "asks": [
                (listing.price_text(price), listing.size_text(asks.sizes[price]))
                for price in asks.prices[:limit]
            ],
        }

    def _exchange_info(self, query: dict[str, str], now: int) -> object:
        listings = list(self._symbols.values())
        if "symbol" in query:
            listings = [self._listing(query["symbol"])]
        elif "symbols" in query:
            try:
                names = msgspec.json.decode(query["symbols"], type=list[str])
            except msgspec.DecodeError as error:
                raise _BadRequest(
                    -1100, "Illegal characters found in parameter 'symbols'."
                ) from error
            listings = [self._listing(name) for name in names]
        return {
            "timezone": "UTC",
            "serverTime": now // MILLISECOND,
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": self._limit,
                },
                {
                    "rateLimitType": "RAW_REQUESTS",
                    "interval": "MINUTE",
                    "intervalNum": 5,
                    "limit": 61_000,
                },
            ],
            "exchangeFilters": [],
            "symbols": [_symbol(listing) for listing in listings],
        }


def _symbol(listing: Listing) -> dict[str, object]:
    tick = decimal_text(1, listing.price_decimals, 8)
    step = decimal_text(1, listing.size_decimals, 8)
    return {
        "symbol": listing.base + listing.quote,
        "status": "TRADING" if listing.is_trading else "BREAK",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": decimal_text(listing.price * 100, listing.price_decimals, 8),
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": step,
                "maxQty": decimal_text(_HUGE, 0, 8),
                "stepSize": step,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def _number(query: dict[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise _BadRequest(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
        )
    return int(text)


def _kline(listing: Listing, candle: Candle, span: Interval) -> list[int | str]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [
        candle.start // MILLISECOND,
        *map(listing.price_text, prices),
        listing.size_text(candle.volume),
        (candle.start + span.length) // MILLISECOND - 1,
        listing.worth_text(candle.worth),
        candle.count,
        listing.size_text(candle.bought),
        listing.worth_text(candle.bought_worth),
        "0",
    ]
