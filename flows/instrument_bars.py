"""The bars of one instrument, of every length that is wanted, with their indicators.

Trades build the smallest bars and those of activity; larger ones are made of smaller ones where
that is exact. What comes of a trade or a heartbeat is `Closed`: a bar, and what its indicators say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from flows.bar_series import BarLength, BarSeries, HistoryWish, SeriesState
from market.activity import Activity, parse_bar_length
from market.activity_bars import ActivityBarBuilder, ActivityBarBuilderState
from market.bars import BarBuilder, BarBuilderState
from market.empty_bars import EmptyBars, FlatBars, FlatBarsState, flat_past
from market.events import Bar, Feature, History
from market.intervals import Interval
from market.rollup import BarRollup, BarRollupState, rollup_plan

Maker: TypeAlias = BarBuilder | ActivityBarBuilder | BarRollup
MakerState: TypeAlias = BarBuilderState | ActivityBarBuilderState | BarRollupState
Add: TypeAlias = Callable[[int, float, float, bool | None, bool], list[Bar]]
NEVER = 1 << 62


class Closed(msgspec.Struct, frozen=True, gc=False):
    """A bar that closed or was corrected, with the series it is of.

    `features` are what the indicators say of it; a bar too old for them has none. `times` are those
    of its first and last trade, by the venue's clock, where they are known.
    """

    bar: Bar
    features: list[Feature]
    series: BarSeries
    times: tuple[int, int] | None = None


class InstrumentBarsState(msgspec.Struct):
    """What an `InstrumentBars` remembers over a restart.

    `makers` says of each the name of the smaller bars that it is made of, or an empty text.
    """

    makers: dict[str, tuple[str, MakerState]]
    flats: dict[str, FlatBarsState]
    series: dict[str, SeriesState]
    paused: set[str]


class InstrumentBars:
    """The bars of one instrument.

    Args:
        instrument: id.
        lengths: of the bars that are always built.
        empty_bars: what is said of intervals without trades.
    """

    def __init__(
        self,
        instrument: str,
        lengths: Sequence[BarLength],
        *,
        empty_bars: EmptyBars = EmptyBars.NONE,
    ) -> None:
        self.instrument = instrument
        self.series: dict[str, BarSeries] = {}
        self.wishes: list[HistoryWish] = []
        """History to be asked for; whoever asks takes it away."""
        self.configured = {length.name: length for length in lengths}
        self._is_flat = empty_bars is EmptyBars.FLAT
        self._makers: dict[str, Maker] = {}
        self._flats: dict[str, FlatBars] = {}
        self._paused: set[str] = set()  # bars whose trades are not known to flow
        self._hot: list[tuple[str, Add]] = []  # what takes each trade
        self._rollups: dict[str, list[tuple[str, BarRollup]]] = {}
        self._next_end = NEVER  # from here on a trade closes a larger bar
        self._build(self.configured)

    @property
    def outside(self) -> int:
        """Trades that are in no bar, counted for each bar built from trades that they miss."""
        return sum(
            maker.late_trades for maker in self._makers.values() if not isinstance(maker, BarRollup)
        )

    def want(self, indicators: Mapping[str, Iterable[str]]) -> bool:
        """Compute from now on what is asked for, and nothing else.

        Args:
            indicators: canonical names by the name of their bars' length; bars of that length are
                built for them.

        Returns:
            Whether bars of another length are built now, which begin with the next trade.
        """
        lengths = {**self.configured, **{name: parse_bar_length(name) for name in indicators}}
        is_more = not lengths.keys() <= self._makers.keys()
        self._build(lengths)
        for name, series in self.series.items():
            series.want(indicators.get(name, ()))
        self._gather()
        return is_more

    def traded(
        self, ts: int, price: float, size: float, is_buy: bool | None, may_close: bool
    ) -> Sequence[Closed]:
        """Take a trade, as `BarBuilder.add` does; nearly always nothing comes of it."""
        found: list[Closed] | None = None
        for name, add in self._hot:
            closed = add(ts, price, size, is_buy, may_close)
            if closed:
                found = [*(found or ()), *self._made(name, closed)]
        if ts >= self._next_end and may_close:
            found = [*(found or ()), *self._reached(ts)]
        if found is None:
            return ()
        self._gather()
        return found

    def advance(self, venue_time: int) -> list[Closed]:
        """Close what is over by the venue's clock."""
        found: list[Closed] = []
        for name, maker in self._makers.items():
            found += self._made(name, maker.advance(venue_time))
        for name, flats in self._flats.items():
            found += self._told(name, flats.advance(venue_time))
        if found:
            self._look_ahead()
            self._gather()
        return found

    def absorb(self, history: History) -> tuple[list[Closed], list[Feature]]:
        """Take bars of the past: return bars that they put right, and what indicators say now."""
        series = self.series.get(history.interval)
        if series is None:
            return [], []
        last = series.last
        past = self._filled(history)
        healed, features = series.absorb(past)
        flats = self._flats.get(history.interval)
        if features and flats is not None and past.bars:
            newest = past.bars[-1]
            if last is None or newest.start > last.start:
                flats.take(newest)  # what is silent from there on is known to be empty
        self._gather()
        return [Closed(bar, [], series) for bar in healed], features

    def resume(self, ts: int) -> None:
        """Say that trades flow from `ts` (venue's time) on."""
        for name in self._paused:
            self._makers[name].resume(ts)
            if name in self.series:
                self.series[name].resume(ts)
        self._paused.clear()
        self._gather()

    def interrupt(self) -> None:
        """Say that trades may be missing from here on, until `resume`."""
        self._paused.update(self._makers)
        for name, maker in self._makers.items():
            maker.interrupt()
            if name in self.series:
                self.series[name].interrupt()
            if name in self._flats:
                self._flats[name].interrupt()

    def forming(self, name: str) -> Bar | None:
        """Return the bar of a length that is not closed yet, with every trade so far, or None."""
        maker = self._makers.get(name)
        if isinstance(maker, BarRollup):
            return maker.forming_with(self.forming(maker.smaller.name))
        return None if maker is None else maker.forming

    def snapshot(self) -> InstrumentBarsState:
        """Return a copy of the state."""
        return InstrumentBarsState(
            makers={
                name: (_smaller_of(maker), maker.snapshot()) for name, maker in self._makers.items()
            },
            flats={name: flats.snapshot() for name, flats in self._flats.items()},
            series={name: series.snapshot() for name, series in self.series.items()},
            paused=set(self._paused),
        )

    def restore(self, state: InstrumentBarsState) -> None:
        """Go on from a snapshot; bars that nobody wants any more end at the next `want`."""
        for name, (smaller, kept) in state.makers.items():
            self._makers[name] = _restored(self.instrument, name, smaller, kept)
        for name, each in state.series.items():
            length = parse_bar_length(name)
            series = self.series[name] = BarSeries(self.instrument, length)
            series.restore(each)
            if isinstance(length, Interval) and name in state.flats and self._is_flat:
                self._flats[name] = FlatBars(length, state=state.flats[name])
        self._paused = (self._makers.keys() - state.makers.keys()) | state.paused
        self._arrange()

    # -- inside --------------------------------------------------------------------------------

    def _made(self, name: str, bars: Iterable[Bar]) -> list[Closed]:
        """Tell what a maker said, and what larger bars make of it."""
        found: list[Closed] = []
        maker = self._makers[name]
        for bar in bars:
            times = maker.times_of(bar.start) if not isinstance(maker, ActivityBarBuilder) else None
            if name in self._flats:
                found += self._told(name, self._flats[name].take(bar), times)
            else:
                found += self._told(name, (bar,), times)
            for larger, rollup in self._rollups.get(name, ()):
                found += self._made(larger, rollup.take(bar, times))
        return found

    def _told(
        self, name: str, bars: Iterable[Bar], times: tuple[int, int] | None = None
    ) -> list[Closed]:
        series = self.series.get(name)
        if series is None:
            return []  # only larger bars are made of it
        return [
            Closed(bar, series.take(bar), series, times) for bar in bars if not series.refuses(bar)
        ]

    def _reached(self, ts: int) -> list[Closed]:
        found: list[Closed] = []
        for smaller in self._rollups.values():
            for name, rollup in smaller:
                found += self._made(name, rollup.reached(ts))
        self._look_ahead()
        return found

    def _look_ahead(self) -> None:
        ends = (rollup.next_end for smaller in self._rollups.values() for _, rollup in smaller)
        self._next_end = min(ends, default=NEVER)

    def _filled(self, history: History) -> History:
        """Return bars of the past with flat ones where nothing was traded, where we tell those."""
        length = parse_bar_length(history.interval)
        if not self._is_flat or not isinstance(length, Interval):
            return history
        bars = flat_past(history.bars, length, history.until)
        return msgspec.structs.replace(history, bars=bars)

    def _build(self, lengths: Mapping[str, BarLength]) -> None:
        """Build bars of exactly these lengths; what is built already goes on as it is."""
        intervals = [length for length in lengths.values() if isinstance(length, Interval)]
        building = [each.interval for each in self._timed()]
        plan = rollup_plan([*intervals, *building])
        for name, length in lengths.items():
            if name not in self._makers:
                self._makers[name] = self._maker(length, plan)
                self._paused.add(name)
        needed = set(lengths)
        pending = list(lengths)
        while pending:
            smaller = _smaller_of(self._makers[pending.pop()])
            if smaller and smaller not in needed:
                needed.add(smaller)
                pending.append(smaller)
        self._makers = {name: self._makers[name] for name in self._makers if name in needed}
        self._paused &= needed
        self.series = {
            name: self.series.get(name) or BarSeries(self.instrument, length)
            for name, length in lengths.items()
        }
        if self._is_flat:
            self._flats = {
                interval.name: self._flats.get(interval.name) or FlatBars(interval)
                for interval in intervals
            }
        self._arrange()

    def _maker(self, length: BarLength, plan: Mapping[Interval, Interval | None]) -> Maker:
        if isinstance(length, Activity):
            return ActivityBarBuilder(self.instrument, length)
        smaller = plan[length]
        if smaller is None:
            return BarBuilder(self.instrument, length)
        return BarRollup(self.instrument, length, smaller=smaller)

    def _arrange(self) -> None:
        """Put smaller bars before the larger ones that are made of them."""
        timed = sorted(self._timed(), key=lambda each: (each.interval.length, each.interval.name))
        others = {
            name: maker
            for name, maker in self._makers.items()
            if isinstance(maker, ActivityBarBuilder)
        }
        self._makers = {**{each.interval.name: each for each in timed}, **others}
        self._hot = [
            (name, maker.add)
            for name, maker in self._makers.items()
            if not isinstance(maker, BarRollup)
        ]
        self._rollups = {}
        for name, maker in self._makers.items():
            if isinstance(maker, BarRollup):
                self._rollups.setdefault(maker.smaller.name, []).append((name, maker))
        self._look_ahead()

    def _timed(self) -> list[BarBuilder | BarRollup]:
        return [
            maker for maker in self._makers.values() if not isinstance(maker, ActivityBarBuilder)
        ]

    def _gather(self) -> None:
        for series in self.series.values():
            if series.wish is not None:
                self.wishes.append(series.wish)
                series.wish = None


def _smaller_of(maker: Maker) -> str:
    """Return the name of the bars that a maker makes its own of; empty where of trades."""
    return maker.smaller.name if isinstance(maker, BarRollup) else ""


def _restored(instrument: str, name: str, smaller: str, state: MakerState) -> Maker:
    length = parse_bar_length(name)
    if isinstance(length, Activity) and isinstance(state, ActivityBarBuilderState):
        return ActivityBarBuilder(instrument, length, state=state)
    if isinstance(length, Interval) and isinstance(state, BarBuilderState):
        return BarBuilder(instrument, length, state=state)
    if isinstance(length, Interval) and isinstance(state, BarRollupState):
        return BarRollup(instrument, length, smaller=Interval.parse(smaller), state=state)
    raise ValueError(f"the state of bars of {name} is not of such bars")
