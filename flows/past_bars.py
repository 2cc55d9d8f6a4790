"""Bars of the past, told to the filters as the first step tells closed bars."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby

import msgspec

from filters.alerts import Observation
from filters.needs import Needs
from flows.bar_series import MOST_HISTORY, BarSeries
from flows.market_output import MarketOutput
from flows.observer import BarObserver
from flows.spec_moments import MomentsState, SpecMoments
from market.activity import parse_bar_length
from market.bars import GRACE
from market.events import Bar, History
from market.intervals import Interval
from market.rollup import BarRollup

ReadBars = Callable[[str, str, int, int], Iterable[Bar]]
"""Returns the bars of an instrument and interval that lie in `[start, end)` ns, oldest first."""


class PastBars:
    """The stored bars of one instrument that specs look at, and their indicators.

    Args:
        instrument: id.
        needs: what the specs want to know of it.
        read: where the bars come from.
        start: the first bar that is told starts here or later, ns UTC.
        end: the last one ends here or sooner, ns UTC.
        warms_up: indicators begin with the bars before `start`, as a live flow begins with the
            past that it asks for; else they warm up with the first bars that are told.
    """

    def __init__(
        self,
        instrument: str,
        needs: Needs,
        read: ReadBars,
        start: int,
        end: int,
        *,
        warms_up: bool = True,
    ) -> None:
        self.instrument = instrument
        self._read = read
        self._start = start
        self._end = end
        self._observers = {name: BarObserver(fields) for name, fields in needs.bars.items()}
        self._series: dict[str, BarSeries] = {}
        self._moments = SpecMoments.of(instrument, needs, MomentsState())
        for name, observer in self._observers.items():
            series = self._series[name] = BarSeries(instrument, parse_bar_length(name))
            series.want(observer.indicators)
            if warms_up:
                self._warm_up(series)

    def by_end(self) -> Iterator[tuple[int, list[Bar]]]:
        """Return the bars in the order of their ends: each end with the bars there, small first."""
        tracks = [
            self._read(self.instrument, name, self._start, self._end) for name in self._ordered()
        ]
        for end, bars in groupby(merge(*tracks, key=_end_of), key=_end_of):
            yield end, list(bars)

    def tell(self, bar: Bar, out: MarketOutput) -> Observation:
        """Take the next bar and tell what specs see of it.

        A late trade may have corrected it since: it is looked at as it is stored.
        """
        if bar.revision:
            bar = msgspec.structs.replace(bar, revision=0)
        features = self._series[bar.interval].take(bar)
        said = {feature.name: feature.value for feature in features}
        seen = self._observers[bar.interval].observe(bar, said, None, None, ts_recv=bar.end)
        out.moments.append(seen)
        if self._moments is not None:
            self._moments.told(seen, out)
        return seen

    def passed(self, until: int, out: MarketOutput) -> None:
        """Say that every bar that ends by `until` has been told."""
        if self._moments is not None:
            self._moments.passed(until, until, flows=True, out=out)

    def _ordered(self) -> list[str]:
        def length(name: str) -> int:
            of = parse_bar_length(name)
            return of.length if isinstance(of, Interval) else 0

        return sorted(self._observers, key=length)

    def _warm_up(self, series: BarSeries) -> None:
        """Let the indicators begin as they would with the past that they ask for."""
        length = series.length
        if not isinstance(length, Interval):
            return
        series.ask(length.start_of(self._start + length.length - 1))
        wish, series.wish = series.wish, None
        if wish is None:
            return
        begins = max(0, wish.until - min(wish.bars, MOST_HISTORY) * length.length)
        found = self._read(self.instrument, length.name, begins, wish.until)
        bars = tuple(bar for bar in found if not (bar.gap or bar.partial))
        series.absorb(
            History(instrument=self.instrument, interval=length.name, bars=bars, until=wish.until)
        )


def together(series: Mapping[str, PastBars]) -> Iterator[tuple[int, list[Bar]]]:
    """Return the bars of several instruments in the order of their ends."""
    tracks = [past.by_end() for past in series.values()]
    for end, groups in groupby(merge(*tracks, key=_first), key=_first):
        yield end, [bar for _, bars in groups for bar in bars]


def roll_up(
    bars: Iterable[Bar], instrument: str, interval: Interval, smaller: Interval
) -> Iterator[Bar]:
    """Make larger bars of smaller ones, as a live flow makes them."""
    rollup: BarRollup | None = None
    for bar in bars:
        if rollup is None:
            rollup = BarRollup(instrument, interval, smaller=smaller)
            rollup.resume(bar.start)
        yield from rollup.take(bar if not bar.revision else _first_told(bar))
        if bar.gap or bar.partial:
            rollup.interrupt()
            rollup.resume(bar.end)
        yield from rollup.advance(bar.end + GRACE)


def _first_told(bar: Bar) -> Bar:
    return msgspec.structs.replace(bar, revision=0)


def _end_of(bar: Bar) -> int:
    return bar.end


def _first(group: tuple[int, list[Bar]]) -> int:
    return group[0]
