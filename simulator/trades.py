"""Trades of the simulated market: its own newest ones, and before its opening a seeded past."""

from collections import deque
from collections.abc import Iterator
from itertools import chain

from simulator.candles import CandleBook
from simulator.true_book import Print

KEPT = 50_000
"""The market's own trades that are kept; what is older is gone, as at most venues."""
IDS_PER_NS = 100_000
"""Ids start at the start time over this: a later run begins above all ids of an earlier one."""
MINUTE = 60 * 1_000_000_000
FURTHEST = 1 << 20
"""So many minutes back the newest trades are looked for."""


class TradeLog:
    """The trades of one instrument.

    Those of the past have the id that a market would have that opened with them; no two have the
    same, and they grow with time, but are not consecutive as the market's own are.

    Args:
        symbol: whose.
        candles: which know the past.
    """

    def __init__(self, symbol: str, candles: CandleBook) -> None:
        self._symbol = symbol
        self._candles = candles
        self._own: deque[Print] = deque(maxlen=KEPT)

    def add(self, trade: Print) -> None:
        """Take one of the market's trades; times never fall."""
        self._own.append(trade)

    def between(self, first: int, last: int) -> Iterator[Print]:
        """Give the trades in `[first, last)`, ns UTC, in order."""
        own = (trade for trade in self._own if first <= trade.ts < last)
        return chain(self._past(first, last), own)

    def from_id(self, number: int) -> Iterator[Print]:
        """Give the trades with this id and later ones."""
        own = self._own
        if own and number >= own[0].trade_id:
            return (trade for trade in own if trade.trade_id >= number)
        first = number * IDS_PER_NS - IDS_PER_NS
        past = self._past(max(0, first), self._candles.opens)
        return (trade for trade in chain(past, own) if trade.trade_id >= number)

    def newest(self, count: int, now: int) -> list[Print]:
        """Return the last so many trades up to `now`, ns UTC, in order."""
        found = [trade for trade in self._own if trade.ts <= now][-count:]
        opens = min(self._candles.opens, now + 1)
        minutes = 1
        past: list[Print] = []
        while len(found) + len(past) < count and minutes <= FURTHEST:
            past = list(self._past(opens - minutes * MINUTE, opens))
            minutes *= 4
        return [*past, *found][-count:]

    def _past(self, first: int, last: int) -> Iterator[Print]:
        newest = -1
        for trade in self._candles.trades_before(first, last):
            newest = max(newest + 1, trade.ts // IDS_PER_NS)
            yield Print(self._symbol, trade.ts, newest, trade.price, trade.size, trade.buyer_took)
