"""The bars of one symbol over all its venues, with their indicators.

Fed by the venues' own markets: what closes there, what their clocks have passed, when their trades
may be missing, and what their pasts are. The past of merged bars is the merge of the venues': it is
asked for at each venue whose trades flow, and taken when all of them have answered.
"""

from collections.abc import Iterable, Mapping

import msgspec

from flows.bar_series import BarSeries, HistoryWish, SeriesState
from flows.market_output import MarketOutput
from flows.observer import BarObserver, why_cold
from market.activity import parse_bar_length
from market.bars import GRACE
from market.empty_bars import EmptyBars, FlatBars, FlatBarsState, flat_past
from market.events import Bar, Heartbeat, History
from market.instruments import MERGED, instrument_id
from market.intervals import Interval
from market.merged_bars import MergedBars, MergedBarsState, merge_bars


class MergedState(msgspec.Struct):
    """What a `MergedSeries` remembers over a restart; the first five by interval."""

    makers: dict[str, MergedBarsState]
    flats: dict[str, FlatBarsState]
    series: dict[str, SeriesState]
    asked: dict[str, tuple[str, ...]]
    pasts: dict[str, dict[str, History]]
    flowing: list[str]
    broken: dict[str, int]
    offsets: dict[str, int]
    late: list[tuple[str, str]] = []


class MergedSeries:
    """One symbol's merged bars of the intervals that somebody looks at.

    Args:
        symbol: `"BTC-USDT"`.
        empty_bars: what is said of intervals in which no venue had a trade.
        state: what `snapshot` returned, to go on from there.
    """

    def __init__(
        self,
        symbol: str,
        *,
        empty_bars: EmptyBars = EmptyBars.NONE,
        state: MergedState | None = None,
    ) -> None:
        self.symbol = symbol
        self.instrument = instrument_id(MERGED, symbol)
        self._is_flat = empty_bars is EmptyBars.FLAT
        self._makers: dict[str, MergedBars] = {}
        self._flats: dict[str, FlatBars] = {}
        self._series: dict[str, BarSeries] = {}
        self._observers: dict[str, BarObserver] = {}
        self._asked: dict[str, tuple[str, ...]] = {}  # venues whose past is awaited
        self._pasts: dict[str, dict[str, History]] = {}  # what has come of it
        self._flowing: set[str] = set()  # venues whose trades flow
        self._broken: dict[str, int] = {}  # those whose trades may be missing, and from when on
        self._offsets: dict[str, int] = {}
        self._late: set[tuple[str, str]] = set()  # bars begun while a venue's trades flowed
        if state is not None:
            self._restore(state)

    @property
    def intervals(self) -> Iterable[str]:
        """Names of the intervals: every venue's market must build these bars too."""
        return self._makers.keys()

    def want(
        self, features: Mapping[str, Iterable[str]], observed: Mapping[str, Iterable[str]]
    ) -> None:
        """Build exactly these bars from now on, and compute exactly these indicators of them.

        Args:
            features: indicators that are told, by interval; canonical names. Lengths that are no
                time have no merged bars and are left out.
            observed: fields that specs look at, by interval.
        """
        self._observers = {name: BarObserver(fields) for name, fields in observed.items()}
        wanted = {name: [*names] for name, names in features.items()}
        for name, observer in self._observers.items():
            wanted.setdefault(name, []).extend(observer.indicators)
        intervals = {
            name: length
            for name in wanted
            if isinstance(length := parse_bar_length(name), Interval)
        }
        self._makers = {name: self._maker(length) for name, length in intervals.items()}
        if self._is_flat:
            self._flats = {
                name: self._flats.get(name) or FlatBars(length)
                for name, length in intervals.items()
            }
        self._series = {
            name: self._series.get(name) or BarSeries(self.instrument, length)
            for name, length in intervals.items()
        }
        for name, series in self._series.items():
            series.want(wanted[name])

    def beat(
        self,
        heartbeat: Heartbeat,
        venue_time: int | None,
        *,
        clock_offset: int,
        out: MarketOutput,
    ) -> None:
        """A second passed at a venue: what ended there before its clock's grace is all in."""
        instrument = heartbeat.instrument
        now = heartbeat.ts_recv
        if not heartbeat.heard:
            self.left(instrument, now, out)
        else:
            self._offsets[instrument] = clock_offset
            for name, maker in self._makers.items():
                maker.followed(instrument)
                if venue_time is None:
                    continue
                if (name, instrument) in self._late:
                    self._late.discard((name, instrument))
                    maker.resume(instrument, venue_time)
                self._tell(name, maker.passed(instrument, venue_time - GRACE), now, out)
                if name in self._flats:
                    # Not before the slowest venue is past it: what it says may not be empty.
                    bars = self._flats[name].advance(maker.passed_until + GRACE)
                    self._say(name, bars, now, out)
        if self._observers:
            out.moments.append(msgspec.structs.replace(heartbeat, instrument=self.instrument))

    def take(
        self,
        bar: Bar,
        times: tuple[int, int] | None,
        *,
        clock_offset: int,
        now: int,
        out: MarketOutput,
        is_healed: bool = False,
    ) -> None:
        """Take a bar of a venue, closed or corrected.

        Args:
            bar: as the venue's market says it.
            times: of its first and last trade by the venue's clock; its interval where unknown.
            clock_offset: our clock less the venue's, ns.
            now: our clock, ns.
            out: where what follows is told.
            is_healed: the venue's past has put it right.
        """
        maker = self._makers.get(bar.interval)
        if maker is None:
            return
        first, last = (bar.start, bar.end - 1) if times is None else times
        maker.followed(bar.instrument)
        moments = (first + clock_offset, last + clock_offset)
        corrected = maker.take(bar, moments, is_healed=is_healed)
        self._tell(bar.interval, corrected, now, out)
        self._tell(bar.interval, maker.passed(bar.instrument, bar.end), now, out)

    def interrupt(self, instrument: str, ts: int) -> None:
        """A venue's trades may be missing from `ts` (its time) on."""
        for maker in self._makers.values():
            maker.interrupt(instrument, ts)
        if instrument in self._flowing:
            self._flowing.discard(instrument)
            self._broken[instrument] = ts
            for series in self._series.values():
                series.interrupt()

    def resume(self, instrument: str, ts: int, out: MarketOutput) -> None:
        """A venue's trades flow from `ts` (its time) on."""
        for maker in self._makers.values():
            maker.resume(instrument, ts)
        if instrument in self._flowing:
            return  # bars of another interval begin there
        self._broken.pop(instrument, None)
        self._flowing.add(instrument)
        self._go_on(dict.fromkeys(self._series, ts), out)

    def left(self, instrument: str, now: int, out: MarketOutput) -> None:
        """A venue is not followed any more, or its connection is down."""
        for name, maker in self._makers.items():
            self._tell(name, maker.left(instrument), now, out)
        if instrument in self._flowing or instrument in self._broken:
            self._flowing.discard(instrument)
            self._broken.pop(instrument, None)
            self._go_on({name: each.passed_until for name, each in self._makers.items()}, out)

    def remember(self, history: History, out: MarketOutput) -> None:
        """Take a venue's past; when all have come, what they heal is told, and never fires."""
        name = history.interval
        asked = self._asked.get(name, ())
        series = self._series.get(name)
        if series is None or history.instrument not in asked or not series.answers(history):
            return
        pasts = self._pasts.setdefault(name, {})
        pasts[history.instrument] = history
        if self._broken or len(pasts) < len(asked):
            return
        parts = _common(pasts.values())
        bars: tuple[Bar, ...] = tuple(
            merge_bars(self.instrument, parts[start]) for start in sorted(parts)
        )
        until = min(each.until for each in pasts.values())
        if self._is_flat and isinstance(series.length, Interval):
            bars = flat_past(bars, series.length, until)
        told = History(
            instrument=self.instrument,
            interval=name,
            bars=bars,
            until=until,
            tells_sides=all(each.tells_sides for each in pasts.values()),
            asked=series.awaited_bars,
        )
        del self._asked[name], self._pasts[name]
        healed, features = series.absorb(told)
        for bar in healed:
            self._makers[name].put_right(bar, parts.get(bar.start, ()))
        out.bars = [*out.bars, *healed]
        out.features = [*out.features, *features]
        self.wish(out)

    def wish(self, out: MarketOutput) -> None:
        """Ask each venue for the bars of its past that the series wish for."""
        for name, series in self._series.items():
            wish, series.wish = series.wish, None
            if wish is None or self._broken or not self._flowing:
                continue  # when its trades flow again it is asked for anew
            self._asked[name] = tuple(sorted(self._flowing))
            self._pasts[name] = {}
            wishes = [
                HistoryWish(
                    instrument=instrument,
                    interval=name,
                    bars=wish.bars,
                    until=wish.until,
                    clock_offset=self._offsets.get(instrument, 0),
                )
                for instrument in self._asked[name]
            ]
            out.wishes = [*out.wishes, *wishes]

    def snapshot(self) -> MergedState:
        """Return a copy of the state."""
        return MergedState(
            makers={name: maker.snapshot() for name, maker in self._makers.items()},
            flats={name: flats.snapshot() for name, flats in self._flats.items()},
            series={name: series.snapshot() for name, series in self._series.items()},
            asked=dict(self._asked),
            pasts={name: dict(pasts) for name, pasts in self._pasts.items()},
            flowing=sorted(self._flowing),
            broken=dict(self._broken),
            offsets=dict(self._offsets),
            late=sorted(self._late),
        )

    # -- inside --------------------------------------------------------------------------------

    def _restore(self, kept: MergedState) -> None:
        for name, state in kept.makers.items():
            length = Interval.parse(name)
            self._makers[name] = MergedBars(self.symbol, length, state=state)
            self._series[name] = BarSeries(self.instrument, length)
            self._series[name].restore(kept.series[name])
            if name in kept.flats and self._is_flat:
                self._flats[name] = FlatBars(length, state=kept.flats[name])
        self._asked = dict(kept.asked)
        self._pasts = {name: dict(pasts) for name, pasts in kept.pasts.items()}
        self._flowing = set(kept.flowing)
        self._broken = dict(kept.broken)
        self._offsets = dict(kept.offsets)
        self._late = set(kept.late)

    def _maker(self, interval: Interval) -> MergedBars:
        made = self._makers.get(interval.name)
        if made is None:
            made = MergedBars(self.symbol, interval)
            for instrument, ts in self._broken.items():
                made.interrupt(instrument, ts)
            for instrument in sorted(self._flowing):
                # What it told before is in no bar of ours: they are whole from its next second on.
                made.followed(instrument)
                made.interrupt(instrument, 0)
                self._late.add((interval.name, instrument))
        return made

    def _go_on(self, since: Mapping[str, int], out: MarketOutput) -> None:
        """Say that all trades of the venues that are followed flow, by interval since when."""
        if self._broken or not self._flowing:
            return
        for name, series in self._series.items():
            series.resume(since[name])
        self.wish(out)

    def _tell(self, name: str, bars: Iterable[Bar], now: int, out: MarketOutput) -> None:
        for bar in bars:
            flats = self._flats.get(name)
            self._say(name, (bar,) if flats is None else flats.take(bar), now, out)

    def _say(self, name: str, bars: Iterable[Bar], now: int, out: MarketOutput) -> None:
        series = self._series[name]
        observer = self._observers.get(name)
        for bar in bars:
            features = series.take(bar)
            if self._broken:
                series.interrupt()  # a bar of before, which waited for another venue, ends no hole
            out.bars = [*out.bars, bar]
            out.features = [*out.features, *features]
            if observer is not None and not bar.revision:
                told = {feature.name: feature.value for feature in features}
                cold = why_cold(features)
                out.moments.append(observer.observe(bar, told, None, None, ts_recv=now, cold=cold))
        if series.wish is not None:
            self.wish(out)


def _common(pasts: Iterable[History]) -> dict[int, list[Bar]]:
    """Return the venues' bars by start, from where on all of them tell theirs."""
    told = [past.bars for past in pasts]
    if not all(told):
        return {}
    first = max(bars[0].start for bars in told)
    parts: dict[int, list[Bar]] = {}
    for bars in told:
        for bar in bars:
            if bar.start >= first:
                parts.setdefault(bar.start, []).append(bar)
    return parts
