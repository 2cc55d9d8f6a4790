"""Binance spot's klines.

Source (read 2026-11-27): binance-spot-api-docs `rest-api.md`, Kline/Candlestick data, 2026-07-21.

`GET /api/v3/klines?symbol=&interval=&startTime=&endTime=&limit=`, weight 2, at most 1000, oldest
first; a kline is known by its open time, and `endTime` is inclusive. An interval in which nothing
traded has a flat one with the volume 0. Weeks start on Monday. `3d` and `1M` are not used: they
are no intervals of ours.
"""

from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Count, Milliseconds, Price, Worth, candle_bar, in_order
from market.errors import VenueProtocolError
from market.events import Bar
from market.instruments import Instrument
from market.intervals import Interval

MILLISECOND = 1_000_000
MOST = 1000
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_NAMES = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")


class _Kline(msgspec.Struct, array_like=True):
    """[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",
    1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]"""  # noqa: D205, D209, D415

    open_time: Milliseconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    close_time: Milliseconds
    quote_volume: Worth
    trades: Count
    taker_buy_volume: Amount
    taker_buy_quote_volume: Worth


class _Error(msgspec.Struct):
    """{"code":-1121,"msg":"Invalid symbol."}"""  # noqa: D415

    code: int
    msg: str


_klines = msgspec.json.Decoder(list[_Kline], strict=False).decode
_error = msgspec.json.Decoder(_Error).decode


class BinanceCandles:
    """See `connectors.contract.Candles`."""

    intervals = {name: name for name in _NAMES}  # noqa: RUF012 - a fact, never changed
    is_ranged = True
    tells_sides = True
    weight = 2

    def most(self, interval: str) -> int:
        """1000 of any interval."""
        del interval
        return MOST

    def url(
        self, rest_url: str, instrument: Instrument, interval: str, start: int, end: int
    ) -> str:
        """Address of the klines that open in `[start, end)`."""
        query = {
            "symbol": instrument.native,
            "interval": self.intervals[interval],
            "startTime": start // MILLISECOND,
            "endTime": end // MILLISECOND - 1,
            "limit": MOST,
        }
        return f"{rest_url}/api/v3/klines?{urlencode(query)}"

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read klines.

        Raises:
            VenueProtocolError: it is no list of them, or the venue's error.
        """
        span = Interval.parse(interval)
        try:
            return in_order(_bar(kline, instrument, span) for kline in _klines(body))
        except _UNREADABLE as error:
            raise VenueProtocolError(f"klines: {_said(body) or error}", frame=body) from error

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


def _bar(kline: _Kline, instrument: Instrument, span: Interval) -> Bar:
    return candle_bar(
        instrument,
        span,
        kline.open_time * MILLISECOND,
        (kline.open, kline.high, kline.low, kline.close),
        kline.volume,
        notional=kline.quote_volume,
        bought=kline.taker_buy_volume,
        count=kline.trades,
    )


def _said(body: bytes) -> str:
    try:
        error = _error(body)
    except _UNREADABLE:
        return ""
    return f"{error.msg} ({error.code})"
