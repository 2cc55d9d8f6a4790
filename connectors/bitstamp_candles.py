"""Bitstamp's OHLC data.

Sources (read 2026-11-27): published clients of `GET /api/v2/ohlc/{market}/` (R and Python, 2021 to
2026) and a note of 2026 on what the endpoint does.

`?step=60&limit=1000&start=&end=`, seconds, numbers as text, at most 1000. `end` and `limit` count
more than `start`: with a `limit` beyond the range older ones come too. So `limit` is what the
range holds, and whoever asks leaves out what lies outside. Neither quote volume nor count nor side
is told. Three days (259200) are no interval of ours.
"""

from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Price, Seconds, candle_bar, in_order
from market.errors import VenueProtocolError
from market.events import Bar
from market.instruments import Instrument
from market.intervals import SECOND, Interval

MOST = 1000
RATE_LIMIT_CODES = frozenset({"400.002", "400.067", "400.068"})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_NAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


class _Row(msgspec.Struct):
    """{"high":"9064.77","timestamp":"1593961440","volume":"18.49436608","low":"9040.87",
    "close":"9064.77","open":"9040.87"}"""  # noqa: D205, D209, D415

    timestamp: Seconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class _Data(msgspec.Struct):
    """{"pair":"BTC/USD","ohlc":[…]}"""  # noqa: D415

    ohlc: list[_Row]


class _Answer(msgspec.Struct):
    """{"data":{…}}"""  # noqa: D415

    data: _Data


class _Error(msgspec.Struct):
    """{"status":"error","reason":"…","response_code":"400.002"}; older errors have `code`."""

    reason: str | dict[str, list[str]] = ""
    code: str = ""
    response_code: str = ""


_ohlc = msgspec.json.Decoder(_Answer, strict=False).decode
_error = msgspec.json.Decoder(_Error).decode


class BitstampCandles:
    """See `connectors.contract.Candles`."""

    intervals = {  # noqa: RUF012 - a fact, never changed
        name: str(Interval.parse(name).length // SECOND) for name in _NAMES
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
        """Address of the candles that start in `[start, end)`."""
        length = Interval.parse(interval).length
        query = {
            "step": self.intervals[interval],
            "limit": min(MOST, max(1, (end - start) // length)),
            "start": start // SECOND,
            "end": (end - length) // SECOND,
        }
        return f"{rest_url}/api/v2/ohlc/{instrument.native}/?{urlencode(query)}"

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read OHLC data.

        Raises:
            VenueProtocolError: it is none, or the venue's error.
        """
        span = Interval.parse(interval)
        try:
            return in_order(
                candle_bar(
                    instrument,
                    span,
                    row.timestamp * SECOND,
                    (row.open, row.high, row.low, row.close),
                    row.volume,
                )
                for row in _ohlc(body).data.ohlc
            )
        except _UNREADABLE as error:
            raise VenueProtocolError(f"ohlc: {_said(body) or error}", frame=body) from error

    def is_rate_limit(self, body: bytes) -> bool:
        """A limit is an error of its own with HTTP status 400."""
        try:
            return _error(body).response_code in RATE_LIMIT_CODES
        except _UNREADABLE:
            return False


def _said(body: bytes) -> str:
    try:
        error = _error(body)
    except _UNREADABLE:
        return ""
    return f"{error.reason} {error.response_code or error.code}".strip()
