"""Massive's REST interface: the list of crypto tickers, page by page, and aggregates."""

import base64
import binascii
from itertools import islice
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import msgspec

from market.intervals import Interval
from simulator.candle import Candle
from simulator.dialects.massive_streams import EXCHANGE
from simulator.frames import HttpAnswer
from simulator.listings import Listing
from simulator.market_model import MarketModel
from simulator.true_book import Print

PATH = "/v3/reference/tickers"
HOST = "https://api.massive.com"
"""`next_url` is a whole address of the venue's own, wherever the page was asked for."""
LIMIT = 100
MOST = 1000
AGGREGATES = "/v2/aggs/ticker/"
TRADES = "/v3/trades/"
MILLISECOND = 1_000_000
BASE_LIMIT = 5000
MOST_BASE = 50_000
TIMESPANS = {"second": ("1s", 1), "minute": ("1m", 1), "hour": ("1h", 60)}
"""Interval, and how many of what the limit counts it is made of; the venue has longer ones too."""


class MassiveRest:
    """Answers GETs.

    A key in the address (`apiKey`) must be right; one in a header is not seen here.

    Args:
        model: whose listings are told.
        key: what is accepted.
    """

    def __init__(self, model: MarketModel, *, key: str) -> None:
        self._tickers = sorted(map(_ticker, model.listings), key=lambda one: str(one["ticker"]))
        self._key = key
        self._model = model
        self._listings = {f"X:{one.base}{one.quote}": one for one in model.listings}

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`, path and query."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path != PATH and not parts.path.startswith((AGGREGATES, TRADES)):
            return _answer(404, {"status": "NOT_FOUND", "message": "Page not found."})
        if query.get("apiKey", self._key) != self._key:
            return _answer(401, {"status": "ERROR", "error": "Unknown API Key"})
        if parts.path.startswith(TRADES):
            return self._trades(parts.path.removeprefix(TRADES), query, now)
        if parts.path != PATH:
            return self._aggregates(parts.path.removeprefix(AGGREGATES), query, now)
        if "cursor" in query:
            try:
                query = _opened(query["cursor"])
            except (binascii.Error, UnicodeDecodeError, KeyError):
                return _answer(400, {"status": "ERROR", "error": "Invalid cursor"})
        limit = query.get("limit", str(LIMIT))
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit) <= MOST):
            return _answer(400, {"status": "ERROR", "error": f"limit: 1 to {MOST}"})
        return _answer(200, self._page(query, int(limit)))

    def _aggregates(self, path: str, query: dict[str, str], now: int) -> HttpAnswer:
        """Answer `{ticker}/range/1/{timespan}/{from}/{to}`, both ends inclusive, in ms."""
        try:
            ticker, _, multiplier, timespan, begins, ends = path.split("/")
            first, last = int(begins) * MILLISECOND, int(ends) * MILLISECOND + 1
            interval, base = TIMESPANS[timespan]
            limit = min(int(query.get("limit", BASE_LIMIT)), MOST_BASE) // base
        except (KeyError, ValueError):
            return _answer(400, {"status": "ERROR", "error": "Could not parse the request"})
        if multiplier != "1" or limit < 1:
            return _answer(400, {"status": "ERROR", "error": "multiplier: only 1 is simulated"})
        listing = self._listings.get(ticker)
        found: list[Candle] = []
        page: dict[str, object] = {
            "ticker": ticker,
            "queryCount": 0,
            "resultsCount": 0,
            "adjusted": query.get("adjusted", "true") == "true",
        }
        if listing is not None:
            span = Interval.parse(interval)
            until = min(last, -(-first // span.length) * span.length + limit * span.length)
            found = self._model.candles(listing.symbol, interval, first, until, now)
            page["queryCount"] = len(found) * base
            page["resultsCount"] = len(found)
            page["results"] = [_aggregate(listing, candle) for candle in found]
            if until < min(last, now):
                rest = f"{until // MILLISECOND}/{ends}"
                page["next_url"] = f"{HOST}{AGGREGATES}{ticker}/range/1/{timespan}/{rest}"
        page |= {"status": "OK", "request_id": "0cf72b6da685bcd386548ffe2895904a"}
        page["count"] = len(found)
        return _answer(200, page)

    def _trades(self, ticker: str, query: dict[str, str], now: int) -> HttpAnswer:
        """Answer `{ticker}` from a time on, in ns; a cursor holds what was asked for."""
        if "cursor" in query:
            try:
                query = _opened(query["cursor"])
            except (binascii.Error, UnicodeDecodeError, KeyError):
                return _answer(400, {"status": "ERROR", "error": "Invalid cursor"})
        try:
            first = int(query.get("timestamp.gte", "0"))
            last = min(int(query.get("timestamp.lt", str(now + 1))), now + 1)
            limit = min(int(query.get("limit", str(MOST))), MOST_BASE)
            skip = int(query.get("after", "0"))
        except ValueError:
            return _answer(400, {"status": "ERROR", "error": "Could not parse the request"})
        listing = self._listings.get(unquote(ticker).replace("-", ""))
        rows: list[dict[str, object]] = []
        found: list[Print] = []
        if listing is not None:
            trades = self._model.trades(listing.symbol).between(first, last)
            found = list(islice(trades, skip, skip + limit + 1))
            rows = [
                {
                    "conditions": [2 if trade.buyer_took else 1],
                    "exchange": EXCHANGE,
                    "id": str(trade.trade_id),
                    "participant_timestamp": trade.ts,
                    "price": float(listing.price_text(trade.price)),
                    "size": float(listing.size_text(trade.size)),
                }
                for trade in found[:limit]
            ]
        page: dict[str, object] = {
            "status": "OK",
            "request_id": "a47d1beb8c11b6ae897ab76cdbbf35a3",
            "results": rows,
        }
        if len(found) > limit:
            state = query | {"after": str(skip + limit), "timestamp.lt": str(last)}
            state.pop("apiKey", None)
            cursor = base64.urlsafe_b64encode(urlencode(state).encode()).decode()
            page["next_url"] = f"{HOST}{TRADES}{ticker}?{urlencode({'cursor': cursor})}"
        return _answer(200, page)

    def _page(self, query: dict[str, str], limit: int) -> dict[str, object]:
        is_active = query.get("active", "true") == "true"
        found = [
            ticker
            for ticker in self._tickers
            if ticker["active"] == is_active
            and query.get("market", "crypto") == "crypto"
            and str(ticker["ticker"]) > query.get("after", "")
        ]
        page: dict[str, object] = {
            "results": found[:limit],
            "status": "OK",
            "request_id": "31d59dda80e5457195072dc8b3b2a9d6",
            "count": len(found[:limit]),
        }
        if len(found) > limit:
            state = query | {"after": str(found[limit - 1]["ticker"]), "limit": str(limit)}
            state.pop("apiKey", None)
            cursor = base64.urlsafe_b64encode(urlencode(state).encode()).decode()
            page["next_url"] = f"{HOST}{PATH}?{urlencode({'cursor': cursor})}"
        return page


def _opened(cursor: str) -> dict[str, str]:
    text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    state = {name: values[-1] for name, values in parse_qs(text).items()}
    return {"after": state["after"], **state}


def _ticker(listing: Listing) -> dict[str, object]:
    return {
        "ticker": f"X:{listing.base}{listing.quote}",
        "name": f"{listing.base} - {listing.quote}",
        "market": "crypto",
        "locale": "global",
        "active": listing.is_trading,
        "currency_symbol": listing.quote,
        "currency_name": listing.quote,
        "base_currency_symbol": listing.base,
        "base_currency_name": listing.base,
        "last_updated_utc": "2026-11-20T00:00:00Z",
    }


def _aggregate(listing: Listing, candle: Candle) -> dict[str, float | int]:
    scale = 10**listing.price_decimals
    return {
        "v": float(listing.size_text(candle.volume)),
        "vw": round(candle.worth / candle.volume / scale, 8),
        "o": float(listing.price_text(candle.open)),
        "c": float(listing.price_text(candle.close)),
        "h": float(listing.price_text(candle.high)),
        "l": float(listing.price_text(candle.low)),
        "t": candle.start // MILLISECOND,
        "n": candle.count,
    }


def _answer(status: int, body: object) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(body), {"Content-Type": "application/json"})
