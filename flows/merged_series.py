"""The bars of one symbol over all its venues, with their indicators.

Fed by the venues' own markets: what closes there, what their clocks have passed, and when their
trades may be missing.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from flows.bar_series import BarSeries, SeriesState
from flows.market_output import MarketOutput
from flows.observer import BarObserver, why_cold
from market.bars import GRACE
from market.empty_bars import EmptyBars, FlatBars, FlatBarsState
from market.events import Bar
from market.intervals import Interval
from market.merged_bars import MergedBars, MergedBarsState


class MergedState(msgspec.Struct):
    """What a `MergedSeries` remembers over a restart, by interval."""

    makers: dict[str, MergedBarsState]
    flats: dict[str, FlatBarsState]
    series: dict[str, SeriesState]


class MergedSeries:
    """One symbol's merged bars of some intervals.

    Args:
        symbol: `"BTC-USDT"`.
        intervals: of the bars; every venue's market builds them too.
        features: indicators of each, by canonical name.
        empty_bars: what is said of intervals in which no venue had a trade.
        state: what `snapshot` returned, to go on from there.
    """

    def __init__(
        self,
        symbol: str,
        intervals: Sequence[Interval],
        features: Sequence[str],
        *,
        empty_bars: EmptyBars = EmptyBars.NONE,
        state: MergedState | None = None,
    ) -> None:
        kept = MergedState({}, {}, {}) if state is None else state
        self._makers = {
            one.name: MergedBars(symbol, one, state=kept.makers.get(one.name)) for one in intervals
        }
        self._flats = {
            one.name: FlatBars(one, state=kept.flats.get(one.name))
            for one in intervals
            if empty_bars is EmptyBars.FLAT
        }
        self._series: dict[str, BarSeries] = {}
        for interval in intervals:
            series = BarSeries(self._makers[interval.name].instrument, interval, has_past=False)
            if interval.name in kept.series:
                series.restore(kept.series[interval.name])
            series.want(features)
            self._series[interval.name] = series
        self._kept = kept
        self._symbol = symbol
        self._features = tuple(features)
        self._is_flat = empty_bars is EmptyBars.FLAT
        self._observers: dict[str, BarObserver] = {}
        self._instruments: set[str] = set()
        self._late: set[tuple[str, str]] = set()  # series begun while a venue was followed
        self.now = 0
        """Our clock at the event that is looked at, ns; whoever calls sets it."""

    def knows(self, instruments: Iterable[str]) -> None:
        """Say whose trades flow already: of bars that begin now their part is not whole."""
        self._instruments.update(instruments)

    def want(self, bars: Mapping[str, Iterable[str]]) -> None:
        """Make from now on the bars that specs look at, and say what they see.

        Args:
            bars: canonical names of fields by interval; of one that is not made yet, the bars
                begin now.
        """
        self._observers = {name: BarObserver(fields) for name, fields in bars.items()}
        for name in bars:
            if name in self._makers:
                continue
            interval = Interval.parse(name)
            before = self._kept.makers.get(name)
            maker = self._makers[name] = MergedBars(self._symbol, interval, state=before)
            for instrument in self._instruments:
                maker.followed(instrument)
                maker.interrupt(instrument, 0)
                self._late.add((name, instrument))
            if self._is_flat:
                self._flats[name] = FlatBars(interval, state=self._kept.flats.get(name))
            series = self._series[name] = BarSeries(maker.instrument, interval, has_past=False)
            if name in self._kept.series:
                series.restore(self._kept.series[name])
        for name, series in self._series.items():
            observer = self._observers.get(name)
            asked = () if observer is None else observer.indicators
            series.want([*self._features, *asked])

    def beat(
        self, instrument: str, venue_time: int | None, *, is_connected: bool, out: MarketOutput
    ) -> None:
        """A second passed at a venue: what ended there before its clock's grace is all in."""
        self._instruments.add(instrument)
        for name, maker in self._makers.items():
            if venue_time is not None and (name, instrument) in self._late:
                self._late.discard((name, instrument))
                maker.resume(instrument, venue_time)
            if not is_connected:
                self._tell(name, maker.left(instrument), out)
                continue
            maker.followed(instrument)
            if venue_time is not None:
                self._tell(name, maker.passed(instrument, venue_time - GRACE), out)
                if name in self._flats:
                    # Not before the slowest venue is past it: what it says may not be empty.
                    self._say(name, self._flats[name].advance(maker.passed_until + GRACE), out)

    def take(
        self, bar: Bar, times: tuple[int, int] | None, *, clock_offset: int, out: MarketOutput
    ) -> None:
        """Take a bar of a venue, closed or corrected.

        Args:
            bar: as the venue's market says it.
            times: of its first and last trade by the venue's clock; its interval where unknown.
            clock_offset: our clock less the venue's, ns.
            out: where what follows is told.
        """
        self._instruments.add(bar.instrument)
        maker = self._makers.get(bar.interval)
        if maker is None:
            return
        first, last = (bar.start, bar.end - 1) if times is None else times
        maker.followed(bar.instrument)
        corrected = maker.take(bar, (first + clock_offset, last + clock_offset))
        self._tell(bar.interval, corrected, out)
        self._tell(bar.interval, maker.passed(bar.instrument, bar.end), out)

    def interrupt(self, instrument: str, ts: int) -> None:
        """A venue's trades may be missing from `ts` (its time) on."""
        for maker in self._makers.values():
            maker.interrupt(instrument, ts)

    def resume(self, instrument: str, ts: int) -> None:
        """A venue's trades flow from `ts` (its time) on."""
        for maker in self._makers.values():
            maker.resume(instrument, ts)

    def left(self, instrument: str, out: MarketOutput) -> None:
        """A venue is not followed any more."""
        self._instruments.discard(instrument)
        for name, maker in self._makers.items():
            self._tell(name, maker.left(instrument), out)

    def snapshot(self) -> MergedState:
        """Return a copy of the state."""
        return MergedState(
            makers={name: maker.snapshot() for name, maker in self._makers.items()},
            flats={name: flats.snapshot() for name, flats in self._flats.items()},
            series={name: series.snapshot() for name, series in self._series.items()},
        )

    def _tell(self, name: str, bars: Iterable[Bar], out: MarketOutput) -> None:
        for bar in bars:
            flats = self._flats.get(name)
            self._say(name, (bar,) if flats is None else flats.take(bar), out)

    def _say(self, name: str, bars: Iterable[Bar], out: MarketOutput) -> None:
        series = self._series[name]
        for bar in bars:
            out.bars = [*out.bars, bar]
            features = series.take(bar)
            out.features = [*out.features, *features]
            observer = self._observers.get(name)
            if observer is not None and not bar.revision:
                told = {feature.name: feature.value for feature in features}
                cold = why_cold(features)
                out.moments.append(
                    observer.observe(bar, told, None, None, ts_recv=self.now, cold=cold)
                )
