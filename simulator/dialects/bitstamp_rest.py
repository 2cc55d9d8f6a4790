"""Bitstamp spot's REST interface: markets, order books and OHLC data, its cache and limits."""

from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import msgspec

from market.intervals import Interval
from simulator.candle import Candle
from simulator.dialects.bitstamp_streams import level_texts, top
from simulator.frames import HttpAnswer
from simulator.listings import Listing
from simulator.market_model import MarketModel

SECOND = 1_000_000_000
CACHED = SECOND
"""So long the edge gives the same answer for the same address, query included."""
PER_SECOND = 400
PERIOD = 600 * SECOND
PER_PERIOD = 10_000
MOST_CANDLES = 1000
STEPS = {
    Interval.parse(name).length // SECOND: name
    for name in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
}
"""The venue has three days (259200) too."""
TRADE_PERIODS = {"minute": 60, "hour": 3600, "day": 86_400}
_JSON = {"Content-Type": "application/json"}
_NOT_FOUND = HttpAnswer(
    404,
    b"<!DOCTYPE html><html><head><title>Page not found</title></head><body></body></html>",
    {"Content-Type": "text/html; charset=utf-8"},
)


class BitstampRest:
    """Answers GETs from the true books as they are at the moment of asking.

    `group` of a book is not looked at: every level is one order. What the documentation leaves
    open is decided so: a request above the limit gets 400 with `response_code` 400.002.

    Args:
        model: the market.
        microtimestamp: tells when a symbol's book changed last.
        requests_per_period: what may be asked in ten minutes of the clock.
    """

    def __init__(
        self,
        model: MarketModel,
        microtimestamp: Callable[[str], int],
        *,
        requests_per_period: int = PER_PERIOD,
    ) -> None:
        self._model = model
        self._microtimestamp = microtimestamp
        self._limit = requests_per_period
        self._period = 0
        self._used = 0
        self._recent: deque[int] = deque()
        self._refused: dict[str, int] = {}
        self._cache: dict[str, tuple[int, HttpAnswer]] = {}
        self._listings = {f"{one.base}{one.quote}".lower(): one for one in model.listings}

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`, path and query; `now` is ns UTC."""
        if not self._may_ask(now):
            return _refusal("Request rate limit exceeded.", "400.002")
        path = urlsplit(target).path.rstrip("/")
        if path == "/api/v2/markets":
            return HttpAnswer(200, self._markets(), _JSON)
        if path.startswith("/api/v2/ohlc/"):
            return self._ohlc(path.removeprefix("/api/v2/ohlc/"), urlsplit(target).query, now)
        if path.startswith("/api/v2/transactions/"):
            native = path.removeprefix("/api/v2/transactions/")
            return self._transactions(native, urlsplit(target).query, now)
        if not path.startswith("/api/v2/order_book/"):
            return _NOT_FOUND
        self._cache = {key: kept for key, kept in self._cache.items() if kept[0] > now}
        if target not in self._cache:
            answer = self._order_book(path.removeprefix("/api/v2/order_book/"), now)
            self._cache[target] = (now + CACHED, answer)
        return self._cache[target][1]

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Do not know a symbol's book up to `until`, ns UTC."""
        self._refused[symbol] = until

    def _may_ask(self, now: int) -> bool:
        if now // PERIOD != self._period:
            self._period, self._used = now // PERIOD, 0
        recent = self._recent
        while recent and recent[0] <= now - SECOND:
            recent.popleft()
        if self._used >= self._limit or len(recent) >= PER_SECOND:
            return False
        self._used += 1
        recent.append(now)
        return True

    def _order_book(self, native: str, now: int) -> HttpAnswer:
        listing = self._listings.get(native)
        if listing is None or now < self._refused.get(listing.symbol, 0):
            return _NOT_FOUND
        book = self._model.true_book(listing.symbol)
        stamp = self._microtimestamp(listing.symbol)
        bids, asks = len(book.bids), len(book.asks)
        body = {
            "timestamp": str(stamp // 1_000_000),
            "microtimestamp": str(stamp),
            "bids": level_texts(listing, top(book.bids, is_bid=True, levels=bids)),
            "asks": level_texts(listing, top(book.asks, is_bid=False, levels=asks)),
        }
        return HttpAnswer(200, msgspec.json.encode(body), _JSON)

    def _ohlc(self, native: str, text: str, now: int) -> HttpAnswer:
        listing = self._listings.get(native)
        if listing is None:
            return _NOT_FOUND
        query = {name: values[-1] for name, values in parse_qs(text).items()}
        try:
            step, limit = int(query["step"]), int(query["limit"])
            end = min(int(query.get("end", now // SECOND)) * SECOND, now)
            start = int(query.get("start", 0)) * SECOND
            interval = STEPS[step]
        except (KeyError, ValueError):
            return _refusal("Missing or invalid step, limit, start or end.", "400.001")
        if not 1 <= limit <= MOST_CANDLES:
            return _refusal("Limit must be between 1 and 1000.", "400.001")
        # As the venue is said to do it: an end counts more than a start, and the limit is filled.
        span = Interval.parse(interval)
        last = span.start_of(end)
        if "end" not in query and "start" in query:
            last = min(last, span.start_of(start) + (limit - 1) * span.length)
        first = last - (limit - 1) * span.length
        found = self._model.candles(listing.symbol, interval, first, last + 1, now, is_flat=True)
        if query.get("exclude_current_candle") == "true":
            found = [candle for candle in found if candle.start + span.length <= now]
        body = {
            "data": {
                "pair": f"{listing.base}/{listing.quote}",
                "ohlc": [_row(listing, candle) for candle in found],
            }
        }
        return HttpAnswer(200, msgspec.json.encode(body), _JSON)

    def _transactions(self, native: str, text: str, now: int) -> HttpAnswer:
        listing = self._listings.get(native)
        if listing is None:
            return _NOT_FOUND
        name = parse_qs(text).get("time", ["hour"])[-1]
        if name not in TRADE_PERIODS:
            return _refusal("Invalid time.", "400.001")
        first = now - TRADE_PERIODS[name] * SECOND
        found = list(self._model.trades(listing.symbol).between(first, now + 1))
        body = [
            {
                "date": str(trade.ts // SECOND),
                "tid": str(trade.trade_id),
                "amount": listing.size_text(trade.size),
                "type": "0" if trade.buyer_took else "1",
                "price": listing.price_text(trade.price, listing.price_decimals),
            }
            for trade in reversed(found)
        ]
        return HttpAnswer(200, msgspec.json.encode(body), _JSON)

    def _markets(self) -> bytes:
        markets = [
            {
                "name": f"{listing.base}/{listing.quote}",
                "market_symbol": native,
                "base_currency": listing.base,
                "base_decimals": listing.size_decimals,
                "counter_currency": listing.quote,
                "counter_decimals": listing.price_decimals,
                "minimum_order_value": "10",
                "trading": "Enabled" if listing.is_trading else "Disabled",
                "instant_order_counter_decimals": listing.price_decimals,
                "instant_and_market_orders": "Enabled" if listing.is_trading else "Disabled",
                "description": f"{listing.base} / {listing.quote}",
                "market_type": "SPOT",
            }
            for native, listing in self._listings.items()
        ]
        return msgspec.json.encode(markets)


def _refusal(reason: str, code: str) -> HttpAnswer:
    body = {"status": "error", "reason": reason, "response_code": code}
    return HttpAnswer(400, msgspec.json.encode(body), _JSON)


def _row(listing: Listing, candle: Candle) -> dict[str, str]:
    digits = listing.price_decimals
    return {
        "timestamp": str(candle.start // SECOND),
        "open": listing.price_text(candle.open, digits),
        "high": listing.price_text(candle.high, digits),
        "low": listing.price_text(candle.low, digits),
        "close": listing.price_text(candle.close, digits),
        "volume": listing.size_text(candle.volume),
    }
