"""One stored bar held against the stored trades of its time: exact, and for people.

A bar was made of trades in the order in which they came. Of trades of one moment the first to come
opens and the last closes (`docs/semantics.md`); what the store still knows of that order is when we
had them. Where that is the same, too, they came in one message, and any of them may be the one.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from market.bars import LATENESS

TOLERANCE = 1e-9
"""Sums of sizes may differ by this share: n numbers that are not negative, added up in two orders,
differ by less than n * 2.3e-16 of their sum, so this is for four million trades in a bar."""
ROUNDED = 5e-9
"""A bar that was put right from the venue's candles has its sums to the eighth decimal."""
LATEST = timedelta(microseconds=LATENESS // 1000)
EARLIEST = timedelta(seconds=-2)
"""A trade that came later than this after its time, or before it, may be in no bar."""
FEW = 20
"""So many such trades in a bar are tried one by one."""
PRICES = ("open", "high", "low", "close")
SUMS = ("volume", "buy_volume", "notional", "vwap")


class StoredTrade(msgspec.Struct, frozen=True):
    """What a bar is made of.

    Attributes:
        time: the venue's.
        received_at: ours.
        price: quote currency.
        size: base currency.
        side: `buy`, `sell` or `unknown`.
    """

    time: datetime
    received_at: datetime
    price: float
    size: float
    side: str


class Values(msgspec.Struct, frozen=True):
    """The numbers of a bar, as it is stored."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    notional: float
    vwap: float
    count: int


class Unlike(msgspec.Struct, frozen=True):
    """One column that is not what the trades make.

    Attributes:
        column: of `bars`; `"bar"` when there is none, `"trades"` when the bar has some and none is
            stored.
        bar: what the bar says; None when there is none.
        trades: what the trades make.
    """

    column: str
    bar: float | None
    trades: float | None


def unlike(bar: Values | None, trades: Sequence[StoredTrade]) -> list[Unlike]:
    """Return what is not right of a bar; nothing when the trades may have made it.

    Trades that came so late, or so early, that they may have been left out are tried both ways;
    of a few, each number of the latest is.

    Args:
        bar: as it is stored; None when there is none.
        trades: all that are stored of its time, in any order.
    """
    timely = [trade for trade in trades if EARLIEST <= trade.received_at - trade.time <= LATEST]
    others = [trade for trade in trades if not EARLIEST <= trade.received_at - trade.time <= LATEST]
    if len(others) > FEW:  # a backfill: all of them came long afterwards
        cuts = [0] if others else []
    else:
        # The later one came, the sooner it was left out.
        others.sort(key=lambda trade: abs(trade.received_at - trade.time))
        cuts = list(range(len(others)))
    if any(not _compare(bar, timely + others[:cut]) for cut in cuts):
        return []
    return _compare(bar, trades)


def _compare(bar: Values | None, trades: Sequence[StoredTrade]) -> list[Unlike]:
    if bar is None:
        return [Unlike("bar", None, len(trades))] if trades else []
    if not trades:
        return [Unlike("trades", bar.count, 0)] if bar.count else []
    first = min((trade.time, trade.received_at) for trade in trades)
    last = max((trade.time, trade.received_at) for trade in trades)
    opens = [trade.price for trade in trades if (trade.time, trade.received_at) == first]
    closes = [trade.price for trade in trades if (trade.time, trade.received_at) == last]
    volume = math.fsum(trade.size for trade in trades)
    notional = math.fsum(trade.price * trade.size for trade in trades)
    made = Values(
        open=bar.open if bar.open in opens else opens[0],
        high=max(trade.price for trade in trades),
        low=min(trade.price for trade in trades),
        close=bar.close if bar.close in closes else closes[-1],
        volume=volume,
        buy_volume=math.fsum(trade.size * _BOUGHT[trade.side] for trade in trades),
        notional=notional,
        vwap=notional / volume if volume else bar.close,
        count=len(trades),
    )
    return [
        Unlike(column, getattr(bar, column), getattr(made, column))
        for column in (*PRICES, *SUMS, "count")
        if not _is_same(column, getattr(bar, column), getattr(made, column), volume)
    ]


_BOUGHT = {"buy": 1.0, "sell": 0.0, "unknown": 0.5}


def _is_same(column: str, bar: float, made: float, volume: float) -> bool:
    if column not in SUMS:
        return bar == made
    rounded = ROUNDED * (1 + TOLERANCE)
    if column == "vwap":  # the notional is rounded, and so is the volume
        rounded = rounded * (1 + made) / volume if volume else 0.0
    return math.isclose(bar, made, rel_tol=TOLERANCE, abs_tol=rounded)
