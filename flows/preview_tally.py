"""What a spec tried on the past has done: how often it fired, when, and what the price did then."""

from array import array
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from statistics import fmean, median

import msgspec

from filters.alerts import Alert
from filters.state import SpecState

MINUTE = 60_000_000_000
HORIZONS = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE, 240 * MINUTE)
"""How long after a firing its price is looked at, ns, unless somebody says otherwise."""
BURST_PAUSE = 5 * MINUTE
"""Firings no further apart than this (ns), whatever their series, are one burst."""
MOST_LISTED = 10_000
"""Firings that are kept with their text; all are counted."""


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """One firing.

    Attributes:
        key: the alert's.
        ts: when, ns: of a bar its end.
        series: instrument id.
        price: of the series then; None where none is known.
        text: the message.
    """

    key: str
    ts: int
    series: str
    price: float | None
    text: str


class Burst(msgspec.Struct, frozen=True):
    """Firings one close behind the other: how many, and the times of the first and last, ns."""

    count: int
    start: int
    end: int


class ForwardReturn(msgspec.Struct, frozen=True, kw_only=True):
    """What the price did in a time after each firing, in basis points of the price then.

    Attributes:
        after: length of that time, ns.
        count: firings of which it is known.
        mean: of these; None where there is none.
        median: the same.
        up: share of these after which the price was higher, 0 to 1.
    """

    after: int
    count: int
    mean: float | None = None
    median: float | None = None
    up: float | None = None


class OfSeries(msgspec.Struct):
    """What a spec did with one series.

    Attributes:
        looked: moments that counted.
        fired: how often it fired.
        suppressed: episodes that the cooldown kept quiet.
        held: moments that did not count, by kind of reason.
    """

    looked: int = 0
    fired: int = 0
    suppressed: int = 0
    held: dict[str, int] = {}


class Preview(msgspec.Struct, kw_only=True):
    """What a spec would have done.

    Attributes:
        spec: its id.
        varied: the part of its condition that was changed; empty for the spec as it is.
        when: its condition.
        by_series: instrument id to what it did there, also where it did nothing.
        fires: by time; of more than `MOST_LISTED` those of the series that came first.
        burst: the longest run of firings; None where it did not fire.
        returns: what the price did after them.
    """

    spec: str
    varied: str
    when: str
    by_series: dict[str, OfSeries] = {}
    fires: list[Fired] = []
    burst: Burst | None = None
    returns: list[ForwardReturn] = []

    @property
    def fired(self) -> int:
        """How often it would have fired."""
        return sum(each.fired for each in self.by_series.values())

    @property
    def suppressed(self) -> int:
        """Episodes that the cooldown would have kept quiet."""
        return sum(each.suppressed for each in self.by_series.values())

    @property
    def held(self) -> dict[str, int]:
        """Moments that did not count, by kind of reason."""
        total: dict[str, int] = {}
        for each in self.by_series.values():
            for kind, moments in each.held.items():
                total[kind] = total.get(kind, 0) + moments
        return total


class PreviewTally:
    """Counts what one spec does.

    Args:
        preview: begun; it is filled in.
        horizons: times after a firing at which the price is looked at, ns.
    """

    def __init__(self, preview: Preview, horizons: Sequence[int] = HORIZONS) -> None:
        self.preview = preview
        self._times = array("q")
        self._horizons = tuple(horizons)
        self._returns = [array("d") for _ in horizons]
        self._prices: dict[str, tuple[int, float]] = {}
        self._due: dict[str, list[tuple[int, int, float]]] = {}

    def priced(self, series: str, ts: int, price: float) -> None:
        """Take a price of a series; times rise."""
        due = self._due.get(series)
        if due and due[0][0] < ts:
            _, last = self._prices[series]
            while due and due[0][0] < ts:
                self._returned(heappop(due), last)
        self._prices[series] = (ts, price)

    def fired(self, alert: Alert, ts: int) -> None:
        """Take an alert and when it fired, ns; its price is the last one of its series."""
        known = self._prices.get(alert.series)
        price = None if known is None else known[1]
        self._times.append(ts)
        listed = self.preview.fires
        if len(listed) < MOST_LISTED:
            listed.append(
                Fired(key=alert.key, ts=ts, series=alert.series, price=price, text=alert.text)
            )
        if price is not None and price > 0:
            due = self._due.setdefault(alert.series, [])
            for number, after in enumerate(self._horizons):
                heappush(due, (ts + after, number, price))

    def standing(self, series: str, state: SpecState | None) -> None:
        """Take where the spec stands with a series in the end; None where it never looked at it."""
        kept = state or SpecState()
        of = self.preview.by_series.setdefault(series, OfSeries())
        of.looked += kept.looked
        of.fired += kept.fired
        of.suppressed += kept.suppressed
        for kind, moments in kept.held.items():
            of.held[kind] = of.held.get(kind, 0) + moments

    def series_is_over(self, series: str) -> None:
        """Say that no later price of a series comes."""
        due = self._due.pop(series, [])
        known = self._prices.pop(series, None)
        while known is not None and due and due[0][0] <= known[0]:
            self._returned(heappop(due), known[1])

    def result(self) -> Preview:
        """Return what it has done."""
        preview = self.preview
        preview.fires.sort(key=lambda each: (each.ts, each.series))
        preview.burst = longest_burst(self._times)
        preview.returns = [
            _summary(after, values)
            for after, values in zip(self._horizons, self._returns, strict=True)
        ]
        return preview

    def _returned(self, due: tuple[int, int, float], price: float) -> None:
        _, number, before = due
        self._returns[number].append((price - before) / before * 10_000)


def longest_burst(times: Iterable[int], pause: int = BURST_PAUSE) -> Burst | None:
    """Return the longest run of times of which each is at most `pause` ns after the last.

    Of several the first; None without any time.

    Example:
        >>> longest_burst([10, 100, 12, 101, 102], pause=5)
        Burst(count=3, start=100, end=102)
    """
    best: Burst | None = None
    count = start = last = 0
    for ts in sorted(times):
        if count == 0 or ts - last > pause:
            count, start = 0, ts
        count, last = count + 1, ts
        if best is None or count > best.count:
            best = Burst(count, start, last)
    return best


def _summary(after: int, values: Sequence[float]) -> ForwardReturn:
    if not values:
        return ForwardReturn(after=after, count=0)
    return ForwardReturn(
        after=after,
        count=len(values),
        mean=fmean(values),
        median=median(values),
        up=sum(value > 0 for value in values) / len(values),
    )
