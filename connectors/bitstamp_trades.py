"""Bitstamp spot's trades of the last day.

Source (read 2026-11-27): bitstamp.net/api, Market info, Get transactions, as the clients crypto-
rest-client, ccxt and bitstamper have it.

`GET /api/v2/transactions/{market}/?time=minute|hour|day`, newest first: `date` in whole seconds,
`tid`, `price`, `amount`, all as text, `type` 0 buy and 1 sell. The stream's ids are the same, its
times are microseconds.
"""

import msgspec

from connectors.bitstamp_candles import RATE_LIMIT_CODES
from connectors.candles import Amount, Price, Seconds
from connectors.contract import Request
from connectors.newest_trades import NewestTrades
from market.events import Side, Trade
from market.instruments import Instrument
from market.intervals import SECOND

PERIODS = (("minute", 60), ("hour", 3600), ("day", 86_400))
MARGIN = 5 * SECOND
"""The answer may be of a moment ago, and its times are whole seconds."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Row(msgspec.Struct):
    """{"date":"1562650233","tid":"93215787","amount":"0.01414016","type":"1","price":"12700.00"}"""  # noqa: D415

    date: Seconds
    tid: int
    amount: Amount
    type: int
    price: Price


class _Error(msgspec.Struct):
    """{"status":"error","reason":"Request rate limit exceeded.","response_code":"400.002"}"""  # noqa: D415

    reason: str
    response_code: str = ""


_rows = msgspec.json.Decoder(list[_Row], strict=False).decode
_error = msgspec.json.Decoder(_Error).decode


class BitstampTrades:
    """See `connectors.contract.PastTrades`."""

    keeps = "the last 24 hours, with times in whole seconds"

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> NewestTrades:
        """Begin a walk: one request for the shortest time that reaches back far enough."""
        name, seconds = next(
            (period for period in PERIODS if now - start <= period[1] * SECOND - MARGIN),
            PERIODS[-1],
        )
        url = f"{rest_url}/api/v2/transactions/{instrument.native}/?time={name}"
        since = now - seconds * SECOND + MARGIN
        return NewestTrades(Request(url, instrument.id), _read, instrument, start, end, since=since)

    def is_rate_limit(self, body: bytes) -> bool:
        """A limit is an error of its own with HTTP status 400."""
        try:
            return _error(body).response_code in RATE_LIMIT_CODES
        except _UNREADABLE:
            return False


def _read(body: bytes, instrument: Instrument, now: int) -> tuple[list[Trade], int]:
    try:
        rows = _rows(body)
    except msgspec.DecodeError:
        try:
            said = _error(body)
        except msgspec.DecodeError:
            said = None
        if said is None:
            raise
        raise ValueError(f"{said.reason} ({said.response_code})") from None
    trades = [
        Trade(
            instrument=instrument.id,
            ts_event=row.date * SECOND,
            ts_recv=now,
            price=row.price,
            size=row.amount,
            side=Side.SELL if row.type else Side.BUY,
            trade_id=str(row.tid),
        )
        for row in rows
    ]
    return trades, len(rows)
