"""Massive's aggregates of crypto.

Source (read 2026-11-27): massive-com/client-python `.massive/rest.json`, 2026-07-09.

`GET /v2/aggs/ticker/{X:BTCUSD}/range/1/{timespan}/{from}/{to}?sort=asc&limit=50000`, ms, both ends
inclusive; the key goes in a header. No bar where nothing traded. `limit` counts the minutes (or
seconds) that a bar is made of, so 50,000 is 833 hours; an answer that is within it is one page.
Only a multiplier of 1 is asked for, and nothing longer than an hour: where longer ones begin is not
documented, and a week begins on Sunday. `vw` may be missing.
"""

from urllib.parse import quote, urlencode

import msgspec

from connectors.candles import Amount, Count, Milliseconds, Price, candle_bar, in_order
from market.errors import VenueProtocolError
from market.events import Bar
from market.instruments import Instrument
from market.intervals import Interval

MILLISECOND = 1_000_000
LIMIT = 50_000
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_MOST = {"1s": LIMIT, "1m": LIMIT, "1h": LIMIT // 60}
_STATUSES = frozenset({"OK", "DELAYED"})


class _Bar(msgspec.Struct):
    """{"v":53.5,"vw":9874.5529,"o":9557.9,"c":10094.75,"h":10429.26,"l":9490,"t":1590984000000,
    "n":1000}"""  # noqa: D205, D209, D415

    o: Price
    h: Price
    l: Price  # noqa: E741 - the venue's name
    c: Price
    v: Amount
    t: Milliseconds
    vw: Price | None = None
    n: Count = 0


class _Answer(msgspec.Struct):
    """{"ticker":"X:BTCUSD","queryCount":2,"resultsCount":2,"adjusted":true,"results":[…],
    "status":"OK","request_id":"0cf72b6da685bcd386548ffe2895904a","count":2}"""  # noqa: D205, D209, D415

    status: str
    ticker: str = ""
    results: list[_Bar] = []
    next_url: str = ""
    error: str = ""
    message: str = ""


_aggregates = msgspec.json.Decoder(_Answer).decode


class MassiveCandles:
    """See `connectors.contract.Candles`."""

    intervals = {"1s": "second", "1m": "minute", "1h": "hour"}  # noqa: RUF012 - a fact
    is_ranged = True
    tells_sides = False
    weight = 1

    def most(self, interval: str) -> int:
        """As many as 50,000 of what they are made of."""
        return _MOST[interval]

    def url(
        self, rest_url: str, instrument: Instrument, interval: str, start: int, end: int
    ) -> str:
        """Address of the aggregates that start in `[start, end)`."""
        ticker = quote(_ticker(instrument), safe=":")
        first, last = start // MILLISECOND, end // MILLISECOND - 1
        query = urlencode({"adjusted": "true", "sort": "asc", "limit": LIMIT})
        timespan = self.intervals[interval]
        return f"{rest_url}/v2/aggs/ticker/{ticker}/range/1/{timespan}/{first}/{last}?{query}"

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read aggregates.

        Raises:
            VenueProtocolError: it is none, of another ticker, not all of them, or an error.
        """
        span = Interval.parse(interval)
        try:
            return in_order(_bar(bar, instrument, span) for bar in _read(body, instrument))
        except _UNREADABLE as error:
            raise VenueProtocolError(f"aggs: {error}", frame=body) from error

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


def _ticker(instrument: Instrument) -> str:
    return f"X:{instrument.base}{instrument.quote}"


def _read(body: bytes, instrument: Instrument) -> list[_Bar]:
    answer = _aggregates(body)
    if answer.status not in _STATUSES:
        raise ValueError(f"{answer.status} {answer.error or answer.message}".strip())
    if answer.ticker != _ticker(instrument):
        raise ValueError(f"aggregates of {answer.ticker!r}, expected {_ticker(instrument)!r}")
    if answer.next_url:
        raise ValueError("there is a next page, though no more was asked for than one may hold")
    return answer.results


def _bar(bar: _Bar, instrument: Instrument, span: Interval) -> Bar:
    return candle_bar(
        instrument,
        span,
        bar.t * MILLISECOND,
        (bar.o, bar.h, bar.l, bar.c),
        bar.v,
        notional=None if bar.vw is None else bar.v * bar.vw,
        count=bar.n,
    )
