"""Binance spot's trades of the past.

Source (read 2026-11-27): binance-spot-api-docs `rest-api.md`, Compressed/Aggregate trades list and
Old trade lookup, 2026-07-21.

The ids of `@trade`, which our stream is, are those of `GET /api/v3/historicalTrades?symbol=&fromId=
&limit=1000` (weight 25, oldest first, no key), which knows no times. `GET /api/v3/aggTrades
?symbol=&startTime=&limit=1` (weight 4) tells the first trade at or after a time: `f` of the first
aggregate. `data-api.binance.vision` has only the second.
"""

from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Milliseconds, Price
from connectors.contract import Request
from market.errors import VenueProtocolError
from market.events import Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
MOST = 1000
WEIGHT, FIRST_WEIGHT = 25, 4
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Aggregate(msgspec.Struct):
    """{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,
    "m":true,"M":true}"""  # noqa: D205, D209, D415

    f: int
    T: Milliseconds


class _Trade(msgspec.Struct):
    """{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",
    "time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}"""  # noqa: D205, D209, D415

    id: int
    price: Price
    qty: Amount
    time: Milliseconds
    isBuyerMaker: bool  # noqa: N815 - the venue's name


class _Error(msgspec.Struct):
    """{"code":-1121,"msg":"Invalid symbol."}"""  # noqa: D415

    code: int
    msg: str


_aggregates = msgspec.json.Decoder(list[_Aggregate]).decode
_trades = msgspec.json.Decoder(list[_Trade], strict=False).decode
_error = msgspec.json.Decoder(_Error).decode


class BinanceTrades:
    """See `connectors.contract.PastTrades`."""

    keeps = "all trades"

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> "BinanceTradeWalk":
        """Begin a walk."""
        del now
        return BinanceTradeWalk(rest_url, instrument, start, end)

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


class BinanceTradeWalk:
    """See `connectors.contract.TradeWalk`: first the first id, then page by page."""

    def __init__(self, rest_url: str, instrument: Instrument, start: int, end: int) -> None:
        self._rest_url = rest_url
        self._instrument = instrument
        self._start = start
        self._end = end
        self._next_id: int | None = None
        self._is_done = start >= end
        self.covered = (start, start)

    def request(self) -> Request | None:
        """What to fetch next."""
        if self._is_done:
            return None
        native = self._instrument.native
        if self._next_id is None:
            query = {
                "symbol": native,
                "startTime": -(-self._start // MILLISECOND),
                "limit": 1,
            }
            url = f"{self._rest_url}/api/v3/aggTrades?{urlencode(query)}"
            return Request(url, self._instrument.id, FIRST_WEIGHT)
        query = {"symbol": native, "fromId": self._next_id, "limit": MOST}
        url = f"{self._rest_url}/api/v3/historicalTrades?{urlencode(query)}"
        return Request(url, self._instrument.id, WEIGHT)

    def answered(self, body: bytes, now: int) -> list[Trade]:
        """Take an answer.

        Raises:
            VenueProtocolError: it is none, or the venue's error.
        """
        try:
            if self._next_id is None:
                self._begin(_aggregates(body))
                return []
            rows = _trades(body)
            if any(row.id < self._next_id for row in rows):
                raise ValueError(f"a trade before the one that was asked for, {self._next_id}")
        except _UNREADABLE as error:
            raise VenueProtocolError(f"trades: {_said(body) or error}", frame=body) from error
        rows.sort(key=lambda row: row.id)
        told = [_trade(row, self._instrument.id, now) for row in rows]
        if rows:
            self._next_id = rows[-1].id + 1
        if len(rows) < MOST or told[-1].ts_event >= self._end:
            self._end_here()
        else:
            # Others of this very moment may follow.
            self.covered = (self._start, max(self._start, told[-1].ts_event))
        return [trade for trade in told if self._start <= trade.ts_event < self._end]

    def _begin(self, found: list[_Aggregate]) -> None:
        if not found or self._end <= found[0].T * MILLISECOND:
            self._end_here()
        else:
            self._next_id = found[0].f

    def _end_here(self) -> None:
        self._is_done = True
        self.covered = (self._start, self._end)


def _trade(row: _Trade, instrument: str, now: int) -> Trade:
    return Trade(
        instrument=instrument,
        ts_event=row.time * MILLISECOND,
        ts_recv=now,
        price=row.price,
        size=row.qty,
        side=Side.SELL if row.isBuyerMaker else Side.BUY,
        trade_id=str(row.id),
    )


def _said(body: bytes) -> str:
    try:
        error = _error(body)
    except _UNREADABLE:
        return ""
    return f"{error.msg} ({error.code})"
