"""HTX spot's newest trades.

Source (read 2026-11-27): huobiapi/docs `spot/v1/en`, Get the Most Recent Trades, 2021-06-25.

`GET /market/history/trade?symbol=&size=2000`: the newest 2000 and no others. `data` holds one item
for each taker's order, whose `data` are its trades; `trade-id` is the stream's `tradeId`.
"""

from typing import Literal
from urllib.parse import urlencode

import msgspec

from connectors.candles import Amount, Milliseconds, Price
from connectors.contract import Request
from connectors.newest_trades import NewestTrades
from market.events import Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
MOST = 2000


class _Row(msgspec.Struct):
    """{"id":31618787514,"ts":1544390317905,"trade-id":102043494568,"amount":9.0,
    "price":0.1,"direction":"sell"}"""  # noqa: D205, D209, D415

    ts: Milliseconds
    amount: Amount
    price: Price
    direction: Literal["buy", "sell"]
    number: int = msgspec.field(name="trade-id")


class _Order(msgspec.Struct):
    """{"id":31618787514,"ts":1544390317905,"data":[…]}"""  # noqa: D415

    data: list[_Row]


class _Answer(msgspec.Struct):
    """{"ch":"market.btcusdt.trade.detail","status":"ok","ts":1544390318000,"data":[…]}"""  # noqa: D415

    status: str
    ch: str = ""
    data: list[_Order] | None = None
    code: str = msgspec.field(default="", name="err-code")
    text: str = msgspec.field(default="", name="err-msg")


_answer = msgspec.json.Decoder(_Answer).decode


class HtxTrades:
    """See `connectors.contract.PastTrades`."""

    keeps = "the newest 2,000 trades"

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> NewestTrades:
        """Begin a walk."""
        del now
        query = {"symbol": instrument.native, "size": MOST}
        url = f"{rest_url}/market/history/trade?{urlencode(query)}"
        return NewestTrades(Request(url, instrument.id), _read, instrument, start, end, most=MOST)

    def is_rate_limit(self, body: bytes) -> bool:
        """Its HTTP status says so."""
        del body
        return False


def _read(body: bytes, instrument: Instrument, now: int) -> tuple[list[Trade], int]:
    answer = _answer(body)
    if answer.status != "ok":
        raise ValueError(f"{answer.text} ({answer.code})")
    if answer.ch != f"market.{instrument.native}.trade.detail":
        raise ValueError(f"trades of {answer.ch!r}")
    trades = [
        Trade(
            instrument=instrument.id,
            ts_event=row.ts * MILLISECOND,
            ts_recv=now,
            price=row.price,
            size=row.amount,
            side=Side.BUY if row.direction == "buy" else Side.SELL,
            trade_id=str(row.number),
        )
        for order in answer.data or ()
        for row in order.data
    ]
    return trades, len(trades)
