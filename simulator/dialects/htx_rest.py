"""HTX spot's REST interface, as far as a market data client needs it: symbols, klines, trades."""

from urllib.parse import parse_qs, urlsplit

import msgspec

from market.intervals import Interval
from simulator.candle import Candle
from simulator.dialects.htx_streams import native_of
from simulator.frames import HttpAnswer
from simulator.listings import Listing
from simulator.market_model import MarketModel

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
KLINES = 150
MOST_KLINES = 2000
MOST_TRADES = 2000
PERIODS = {
    "1min": "1m",
    "5min": "5m",
    "15min": "15m",
    "30min": "30m",
    "60min": "1h",
    "4hour": "4h",
}
"""The venue has days and more too, from 00:00 in Singapore."""
_HUGE = 1_000_000
_JSON = {"Content-Type": "application/json;charset=UTF-8"}


class HtxRest:
    """Answers GETs.

    Args:
        model: the market.
    """

    def __init__(self, model: MarketModel) -> None:
        self._model = model
        self._listings = model.listings
        self._natives = {native_of(listing): listing for listing in model.listings}

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`, path and query; `now` is ns UTC."""
        parts = urlsplit(target)
        match parts.path:
            case "/v1/common/symbols":
                data: object = [_symbol(listing) for listing in self._listings]
            case "/v1/common/timestamp":
                data = now // MILLISECOND
            case "/market/history/kline":
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                return self._klines(query, now)
            case "/market/history/trade":
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                return self._trades(query, now)
            case _:
                return HttpAnswer(404, b"Not Found")
        body = msgspec.json.encode({"status": "ok", "data": data})
        return HttpAnswer(200, body, _JSON)

    def _klines(self, query: dict[str, str], now: int) -> HttpAnswer:
        native, period = query.get("symbol", ""), query.get("period", "")
        size = query.get("size", str(KLINES))
        listing = self._natives.get(native)
        if listing is None:
            return _refusal("invalid-parameter", "invalid symbol", now)
        if period not in PERIODS:
            return _refusal("invalid-parameter", "invalid period", now)
        if not (size.isascii() and size.isdigit() and 1 <= int(size) <= MOST_KLINES):
            return _refusal("invalid-parameter", "invalid size, valid range: [1,2000]", now)
        span = Interval.parse(PERIODS[period])
        first = span.start_of(now) - (int(size) - 1) * span.length
        found = self._model.candles(
            listing.symbol, PERIODS[period], first, now + 1, now, is_flat=True
        )
        body = {
            "ch": f"market.{native}.kline.{period}",
            "status": "ok",
            "ts": now // MILLISECOND,
            "data": [_kline(listing, candle) for candle in reversed(found)],
        }
        return HttpAnswer(200, msgspec.json.encode(body), _JSON)

    def _trades(self, query: dict[str, str], now: int) -> HttpAnswer:
        """Answer with the newest trades, each an order of its own, newest first."""
        native, size = query.get("symbol", ""), query.get("size", "1")
        listing = self._natives.get(native)
        if listing is None:
            return _refusal("invalid-parameter", "invalid symbol", now)
        if not (size.isascii() and size.isdigit() and 1 <= int(size) <= MOST_TRADES):
            return _refusal("invalid-parameter", "invalid size, valid range: [1,2000]", now)
        found = self._model.trades(listing.symbol).newest(int(size), now)
        body = {
            "ch": f"market.{native}.trade.detail",
            "status": "ok",
            "ts": now // MILLISECOND,
            "data": [
                {
                    "id": trade.trade_id,
                    "ts": trade.ts // MILLISECOND,
                    "data": [
                        {
                            "id": trade.trade_id,
                            "ts": trade.ts // MILLISECOND,
                            "trade-id": trade.trade_id,
                            "amount": float(listing.size_text(trade.size)),
                            "price": float(listing.price_text(trade.price)),
                            "direction": "buy" if trade.buyer_took else "sell",
                        }
                    ],
                }
                for trade in reversed(found)
            ],
        }
        return HttpAnswer(200, msgspec.json.encode(body), _JSON)


def _symbol(listing: Listing) -> dict[str, object]:
    least = 10.0**-listing.size_decimals
    return {
        "base-currency": listing.base.lower(),
        "quote-currency": listing.quote.lower(),
        "price-precision": listing.price_decimals,
        "amount-precision": listing.size_decimals,
        "symbol-partition": "main",
        "symbol": native_of(listing),
        "state": "online" if listing.is_trading else "offline",
        "value-precision": 8,
        "min-order-amt": least,
        "max-order-amt": _HUGE,
        "min-order-value": 5,
        "limit-order-min-order-amt": least,
        "limit-order-max-order-amt": _HUGE,
        "sell-market-min-order-amt": least,
        "sell-market-max-order-amt": _HUGE,
        "buy-market-max-order-value": _HUGE,
        "api-trading": "enabled" if listing.is_trading else "disabled",
    }


def _refusal(code: str, text: str, now: int) -> HttpAnswer:
    body = {
        "status": "error",
        "err-code": code,
        "err-msg": text,
        "data": None,
        "ts": now // MILLISECOND,
    }
    return HttpAnswer(200, msgspec.json.encode(body), _JSON)


def _kline(listing: Listing, candle: Candle) -> dict[str, int | float]:
    return {
        "id": candle.start // SECOND,
        "open": float(listing.price_text(candle.open)),
        "close": float(listing.price_text(candle.close)),
        "low": float(listing.price_text(candle.low)),
        "high": float(listing.price_text(candle.high)),
        "amount": float(listing.size_text(candle.volume)),
        "vol": float(listing.worth_text(candle.worth)),
        "count": candle.count,
    }
