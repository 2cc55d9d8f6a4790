"""Bybit spot's newest trades.

Source (read 2026-11-27): bybit-exchange/docs `docs/v5/market/recent-trade.mdx`, 2026-07-24.

`GET /v5/market/recent-trade?category=spot&symbol=&limit=60`: the newest 60 of spot and no others;
there are no pages. `execId` is the stream's `i`. Block trades are left out, as from the stream.
"""

from typing import Literal
from urllib.parse import urlencode

import msgspec

from connectors.bybit_candles import RATE_LIMIT_CODES
from connectors.candles import Amount, Milliseconds, Price
from connectors.contract import Request
from connectors.newest_trades import NewestTrades
from market.events import Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
MOST = 60
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class _Row(msgspec.Struct):
    """{"execId":"2100000000007764263","symbol":"BTCUSDT","price":"16618.49","size":"0.00012",
    "side":"Buy","time":"1672052955758","isBlockTrade":false}"""  # noqa: D205, D209, D415

    execId: str  # noqa: N815 - the venue's name
    symbol: str
    price: Price
    size: Amount
    side: Literal["Buy", "Sell"]
    time: Milliseconds
    isBlockTrade: bool = False  # noqa: N815


class _Result(msgspec.Struct):
    """{"category":"spot","list":[…]}"""  # noqa: D415

    category: str
    list: list[_Row]


class _Answer(msgspec.Struct):
    """{"retCode":0,"retMsg":"OK","result":{…},"retExtInfo":{},"time":1672053054358}"""  # noqa: D415

    retCode: int  # noqa: N815
    retMsg: str  # noqa: N815
    result: msgspec.Raw = msgspec.Raw(b"null")


_answer = msgspec.json.Decoder(_Answer).decode
_result = msgspec.json.Decoder(_Result, strict=False).decode


class BybitTrades:
    """See `connectors.contract.PastTrades`."""

    keeps = "the newest 60 trades"

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> NewestTrades:
        """Begin a walk."""
        del now
        query = {"category": "spot", "symbol": instrument.native, "limit": MOST}
        url = f"{rest_url}/v5/market/recent-trade?{urlencode(query)}"
        return NewestTrades(Request(url, instrument.id), _read, instrument, start, end, most=MOST)

    def is_rate_limit(self, body: bytes) -> bool:
        """Too many visits are an answer with HTTP status 200."""
        try:
            return _answer(body).retCode in RATE_LIMIT_CODES
        except _UNREADABLE:
            return False


def _read(body: bytes, instrument: Instrument, now: int) -> tuple[list[Trade], int]:
    answer = _answer(body)
    if answer.retCode:
        raise ValueError(f"{answer.retMsg} ({answer.retCode})")
    result = _result(answer.result)
    if result.category != "spot":
        raise ValueError(f"trades of {result.category}")
    for row in result.list:
        if row.symbol != instrument.native:
            raise ValueError(f"trades of {row.symbol!r}")
    trades = [
        Trade(
            instrument=instrument.id,
            ts_event=row.time * MILLISECOND,
            ts_recv=now,
            price=row.price,
            size=row.size,
            side=Side.BUY if row.side == "Buy" else Side.SELL,
            trade_id=row.execId,
        )
        for row in result.list
        if not row.isBlockTrade
    ]
    return trades, len(result.list)
