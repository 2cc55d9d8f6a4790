"""HTX spot's klines.

Sources (read 2026-11-27): htx.com "newApiPages" Get Klines(Candles), after 2022-12; huobiapi docs
`spot/v1/en`, copy of 2021-06-25.

`GET /market/history/kline?symbol=&period=&size=`, at most 2000, newest first, JSON numbers. No
range can be asked for: the answer is the newest ones. `id` is the start in seconds, `amount` base
volume, `vol` quote volume. `1day` and longer start at 00:00 Singapore time, so days are made of
`4hour` ones, which start where ours do.
"""

from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Count, Price, Seconds, Worth, candle_bar, in_order
from market.errors import VenueProtocolError
from market.events import Bar
from market.instruments import Instrument
from market.intervals import SECOND, Interval

MOST = 2000
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Kline(msgspec.Struct):
    """{"id":1629769200,"open":49056.37,"close":49025.51,"low":49022.86,"high":49056.38,
    "amount":3.946281917950917,"vol":193489.67275732,"count":196}"""  # noqa: D205, D209, D415

    id: Seconds
    open: Price
    close: Price
    low: Price
    high: Price
    amount: Amount
    vol: Worth
    count: Count


class _Answer(msgspec.Struct, rename={"error": "err-code", "message": "err-msg"}):
    """{"ch":"market.btcusdt.kline.5min","status":"ok","ts":1629769247172,"data":[…]}"""  # noqa: D415

    status: str
    ch: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    message: str = ""


_answer = msgspec.json.Decoder(_Answer).decode
_klines = msgspec.json.Decoder(list[_Kline]).decode


class HtxCandles:
    """See `connectors.contract.Candles`."""

    intervals = {  # noqa: RUF012 - a fact, never changed
        "1m": "1min",
        "5m": "5min",
        "15m": "15min",
        "30m": "30min",
        "1h": "60min",
        "4h": "4hour",
    }
    is_ranged = False
    tells_sides = False
    weight = 1

    def most(self, interval: str) -> int:
        """2000 of any interval."""
        del interval
        return MOST

    def url(
        self, rest_url: str, instrument: Instrument, interval: str, start: int, end: int
    ) -> str:
        """Address of the newest klines, wherever the range lies."""
        del start, end
        query = {"symbol": instrument.native, "period": self.intervals[interval], "size": MOST}
        return f"{rest_url}/market/history/kline?{urlencode(query)}"

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read klines.

        Raises:
            VenueProtocolError: it is none, of another symbol or period, or the venue's error.
        """
        span = Interval.parse(interval)
        channel = f"market.{instrument.native}.kline.{self.intervals[interval]}"
        try:
            return in_order(_bar(kline, instrument, span) for kline in _read(body, channel))
        except _UNREADABLE as error:
            raise VenueProtocolError(f"kline: {error}", frame=body) from error

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


def _read(body: bytes, channel: str) -> list[_Kline]:
    answer = _answer(body)
    if answer.status != "ok":
        raise ValueError(f"{answer.message} ({answer.error})")
    if answer.ch != channel:
        raise ValueError(f"klines of {answer.ch!r}, expected {channel!r}")
    return _klines(answer.data)


def _bar(kline: _Kline, instrument: Instrument, span: Interval) -> Bar:
    return candle_bar(
        instrument,
        span,
        kline.id * SECOND,
        (kline.open, kline.high, kline.low, kline.close),
        kline.amount,
        notional=kline.vol,
        count=kline.count,
    )
