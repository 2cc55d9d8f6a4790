"""Massive's trades of crypto.

Source (read 2026-11-27): massive-com/client-python `.massive/rest.json`, 2026-07-09.

`GET /v3/trades/{X:BTC-USD}?timestamp.gte=&timestamp.lt=&order=asc&sort=timestamp&limit=50000`, in
ns, page by page by `next_url`; the key goes in a header. `id` is unique at its `exchange` only:
with it, it is the stream's (`x`, `i`). Conditions 1 and 2 tell the side, as in the stream, whose
times are milliseconds.
"""

from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from connectors.candles import Amount, Price
from connectors.contract import Request
from market.errors import VenueProtocolError
from market.events import Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
MOST = 50_000
SELLER, BUYER = 1, 2
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_STATUSES = frozenset({"OK", "DELAYED"})


class _Row(msgspec.Struct):
    """{"conditions":[1],"exchange":1,"id":"191450340","participant_timestamp":1625097600103000000,
    "price":35060,"size":1.0434526}"""  # noqa: D205, D209, D415

    price: Price
    size: Amount
    participant_timestamp: Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**18)]
    exchange: int = 0
    id: str | int | None = None
    conditions: list[int] = []


class _Answer(msgspec.Struct):
    """{"next_url":"https://api.massive.com/v3/trades/X:BTC-USD?cursor=…","request_id":"a47d1be",
    "results":[…],"status":"OK"}"""  # noqa: D205, D209, D415

    status: str
    results: list[_Row] = []
    next_url: str = ""
    error: str = ""
    message: str = ""


_answer = msgspec.json.Decoder(_Answer).decode


class MassiveTrades:
    """See `connectors.contract.PastTrades`."""

    keeps = "all trades, as far as the plan of the key goes"

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> "MassiveTradeWalk":
        """Begin a walk."""
        del now
        return MassiveTradeWalk(rest_url, instrument, start, end)

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


class MassiveTradeWalk:
    """See `connectors.contract.TradeWalk`."""

    def __init__(self, rest_url: str, instrument: Instrument, start: int, end: int) -> None:
        ticker = quote(f"X:{instrument.base}-{instrument.quote}")
        query = {
            "timestamp.gte": start,
            "timestamp.lt": end,
            "order": "asc",
            "sort": "timestamp",
            "limit": MOST,
        }
        self._rest_url = rest_url
        self._instrument = instrument
        self._start = start
        self._end = end
        self._asked: set[str] = set()
        self._url = f"{rest_url}/v3/trades/{ticker}?{urlencode(query)}" if start < end else ""
        self.covered = (start, start)

    def request(self) -> Request | None:
        """What to fetch next."""
        return Request(self._url, self._instrument.id) if self._url else None

    def answered(self, body: bytes, now: int) -> list[Trade]:
        """Take a page.

        Raises:
            VenueProtocolError: it is none, the venue's error, or a page that came before.
        """
        try:
            page = _answer(body)
            if page.status not in _STATUSES:
                raise ValueError(f"{page.status} {page.error or page.message}".strip())
            self._asked.add(self._url)
            self._url = self._following(page.next_url)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"trades: {error}", frame=body) from error
        rows = sorted(page.results, key=lambda row: row.participant_timestamp)
        if not self._url:
            self.covered = (self._start, self._end)
        elif rows:
            reached = min(rows[-1].participant_timestamp, self._end)
            self.covered = (self._start, max(self._start, reached))
        return [
            _trade(row, self._instrument.id, now)
            for row in rows
            if self._start <= row.participant_timestamp < self._end
        ]

    def _following(self, address: str) -> str:
        """Return the next page's address at the host that was asked: no other one sees the key."""
        if not address:
            return ""
        parts = urlsplit(address)
        url = f"{self._rest_url}{parts.path}?{parts.query}"
        if url in self._asked:
            raise ValueError("the pages go round in circles")
        return url


def _trade(row: _Row, instrument: str, now: int) -> Trade:
    milliseconds = row.participant_timestamp // MILLISECOND
    number = f"{milliseconds}-{row.price!r}-{row.size!r}" if row.id is None else row.id
    if BUYER in row.conditions:
        side = Side.BUY if SELLER not in row.conditions else Side.UNKNOWN
    else:
        side = Side.SELL if SELLER in row.conditions else Side.UNKNOWN
    return Trade(
        instrument=instrument,
        ts_event=row.participant_timestamp,
        ts_recv=now,
        price=row.price,
        size=row.size,
        side=side,
        trade_id=f"{row.exchange}-{number}",
    )
