"""Bybit v5's klines of spot.

Source (read 2026-11-27): bybit-exchange/docs `docs/v5/market/kline.mdx`, commit 072c197,
2026-07-24.

`GET /v5/market/kline?category=spot&symbol=&interval=&start=&end=&limit=`, at most 1000, NEWEST
first, numbers as text; a kline is known by its start and `end` is inclusive. Without `category`
the answer is of linear contracts: it is checked. Weeks start on Monday; `M` is no interval of ours.
"""

from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Milliseconds, Price, Worth, candle_bar, in_order
from market.errors import VenueProtocolError
from market.events import Bar
from market.instruments import Instrument
from market.intervals import Interval

MILLISECOND = 1_000_000
MOST = 1000
RATE_LIMIT_CODES = frozenset({10006, 10018})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Kline(msgspec.Struct, array_like=True):
    """["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"]"""  # noqa: D415

    start: Milliseconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    turnover: Worth


class _Result(msgspec.Struct):
    """{"symbol":"BTCUSDT","category":"spot","list":[…]}"""  # noqa: D415

    symbol: str
    category: str
    list: list[_Kline]


class _Answer(msgspec.Struct):
    """{"retCode":0,"retMsg":"OK","result":{…},"retExtInfo":{},"time":1672025956592}"""  # noqa: D415

    retCode: int  # noqa: N815 - the venue's name
    retMsg: str  # noqa: N815
    result: msgspec.Raw = msgspec.Raw(b"null")


_answer = msgspec.json.Decoder(_Answer).decode
_result = msgspec.json.Decoder(_Result, strict=False).decode


class BybitCandles:
    """See `connectors.contract.Candles`."""

    intervals = {  # noqa: RUF012 - a fact, never changed
        "1m": "1",
        "3m": "3",
        "5m": "5",
        "15m": "15",
        "30m": "30",
        "1h": "60",
        "2h": "120",
        "4h": "240",
        "6h": "360",
        "12h": "720",
        "1d": "D",
        "1w": "W",
    }
    is_ranged = True
    tells_sides = False
    weight = 1

    def most(self, interval: str) -> int:
        """1000 of any interval."""
        del interval
        return MOST

    def url(
        self, rest_url: str, instrument: Instrument, interval: str, start: int, end: int
    ) -> str:
        """Address of the klines that start in `[start, end)`."""
        query = {
            "category": "spot",
            "symbol": instrument.native,
            "interval": self.intervals[interval],
            "start": start // MILLISECOND,
            "end": end // MILLISECOND - 1,
            "limit": MOST,
        }
        return f"{rest_url}/v5/market/kline?{urlencode(query)}"

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read klines.

        Raises:
            VenueProtocolError: it is none, of another symbol or category, or the venue's error.
        """
        span = Interval.parse(interval)
        try:
            return in_order(_bar(kline, instrument, span) for kline in _read(body, instrument))
        except _UNREADABLE as error:
            raise VenueProtocolError(f"kline: {error}", frame=body) from error

    def is_rate_limit(self, body: bytes) -> bool:
        """Too many visits are an answer with HTTP status 200."""
        try:
            return _answer(body).retCode in RATE_LIMIT_CODES
        except _UNREADABLE:
            return False


def _read(body: bytes, instrument: Instrument) -> list[_Kline]:
    answer = _answer(body)
    if answer.retCode:
        raise ValueError(f"{answer.retMsg} ({answer.retCode})")
    result = _result(answer.result)
    if (result.category, result.symbol) != ("spot", instrument.native):
        raise ValueError(f"klines of {result.category} {result.symbol!r}")
    return result.list


def _bar(kline: _Kline, instrument: Instrument, span: Interval) -> Bar:
    return candle_bar(
        instrument,
        span,
        kline.start * MILLISECOND,
        (kline.open, kline.high, kline.low, kline.close),
        kline.volume,
        notional=kline.turnover,
    )
