"""Candles of the simulated market: from its trades, and before its opening from a seeded past."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from market.intervals import SECOND
from simulator.candle import Candle, joined
from simulator.listings import Listing

if TYPE_CHECKING:
    from market.intervals import Interval
    from simulator.past import Past, PastTrade

MINUTE = 60 * SECOND
KEPT_SECONDS = 2 * 3600
"""Candles of a second that are kept of the market's own trades; older ones are only in minutes."""
KEPT_MINUTES = 28 * 1440
LOOK_BACK = 3600 * SECOND
"""How far back a close is looked for that a flat candle can begin with."""


class CandleBook:
    """The candles of one instrument.

    Args:
        listing: what is traded.
        seed: what all chance of the past comes from.
        start: ns UTC at which the market opened.
        rate: multiplies the trades per second.
        fades: ns UTC at which its past has come to rest, `start` or earlier.
    """

    def __init__(self, listing: Listing, *, seed: int, start: int, rate: float, fades: int) -> None:
        self._listing = listing
        self._seed = seed
        self._fades = fades
        self._opens = start - start % SECOND
        self._rate = rate
        self._seconds: OrderedDict[int, Candle] = OrderedDict()
        self._minutes: OrderedDict[int, Candle] = OrderedDict()
        self._second: Candle | None = None
        self._past: Past | None = None

    def add(self, ts: int, price: int, size: int, *, buyer_took: bool) -> None:
        """Take one of the market's trades; times never fall."""
        second = self._second
        if second is None or ts >= second.start + SECOND:
            if second is not None:
                self._keep(second)
            start = ts - ts % SECOND
            second = self._second = Candle(start=start, open=price, high=price, low=price)
        second.add(price, size, buyer_took=buyer_took)

    def _keep(self, second: Candle) -> None:
        """Put a second that is over with the others; minutes are made of seconds."""
        self._seconds[second.start] = second
        if len(self._seconds) > KEPT_SECONDS:
            self._seconds.popitem(last=False)
        minute = second.start - second.start % MINUTE
        self._minutes[minute] = joined(minute, self._minutes.get(minute), second)
        if len(self._minutes) > KEPT_MINUTES:
            self._minutes.popitem(last=False)

    def postpone(self, opens: int) -> None:
        """Let the past go on until `opens`, ns UTC: nothing has traded yet."""
        self._opens = opens - opens % SECOND

    def trades_before(self, first: int, last: int) -> "Iterator[PastTrade]":
        """Give the trades of the past in `[first, last)`, ns UTC, that were before the opening."""
        return self._before().trades(first, min(last, self._opens))

    @property
    def opens(self) -> int:
        """When the market opened or will, ns UTC, a full second."""
        return self._opens

    def candles(
        self, span: "Interval", first: int, last: int, now: int, *, is_flat: bool = False
    ) -> list[Candle]:
        """Return the candles that start in `[first, last)`, the one that forms at `now` included.

        Args:
            span: of the interval: a second, or whole minutes.
            first: ns UTC; the first candle is the one that starts then or later.
            last: ns UTC.
            now: ns UTC; nothing later is told.
            is_flat: whether there is a candle where nothing traded, once something has.
        """
        first = -(-(first - span.offset) // span.length) * span.length + span.offset
        last = min(last, now + 1)
        if not is_flat:
            return self._traded(span, first, last)
        begins = first - max(LOOK_BACK, span.length)
        begins = span.start_of(begins)
        filled = _filled(self._traded(span, begins, last), span.length, last)
        return [candle for candle in filled if candle.start >= first]

    def _traded(self, span: "Interval", first: int, last: int) -> list[Candle]:
        is_short = span.length < MINUTE
        groups: dict[int, Candle] = {}
        past = self._before()
        parts: list[Iterable[Candle]] = []
        if is_short:
            parts.append(past.seconds(first, min(last, self._opens)))
            parts.append(_between(self._seconds, first, last))
        else:
            # The last candle that starts in the range is told whole.
            last = span.start_of(last - 1) + span.length
            minute = self._opens - self._opens % MINUTE
            parts.append(past.grouped(span.length, span.offset, first, min(last, minute)))
            parts.append(past.seconds(max(first, minute), min(last, self._opens)))
            parts.append(_between(self._minutes, first, last))
        if self._second is not None and first <= self._second.start < last:
            parts.append([msgspec.structs.replace(self._second)])  # it goes on changing
        for part in parts:
            for candle in part:
                start = span.start_of(candle.start)
                known = groups.get(start)
                groups[start] = joined(start, known, candle)
        return list(groups.values())

    def _before(self) -> "Past":
        if self._past is None:
            # It needs numpy, whose import costs more than all of the simulator.
            from simulator.past import Past  # noqa: PLC0415

            self._past = Past(self._listing, seed=self._seed, fades=self._fades, rate=self._rate)
        return self._past


def _between(candles: Mapping[int, Candle], first: int, last: int) -> Iterator[Candle]:
    return (candle for start, candle in candles.items() if first <= start < last)


def _filled(candles: list[Candle], length: int, last: int) -> Iterator[Candle]:
    """Put a flat candle wherever none is, from the first one on."""
    if not candles:
        return
    known = {candle.start: candle for candle in candles}
    close = candles[0].open
    for start in range(candles[0].start, last, length):
        candle = known.get(start)
        if candle is None:
            candle = Candle(start=start, open=close, high=close, low=close, close=close)
        close = candle.close
        yield candle
