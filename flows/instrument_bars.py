"""The bars of one instrument, of every length that is wanted, with their indicators.

What comes of a trade or a heartbeat is a list of `Closed`: a bar, and what its indicators say of
it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from flows.bar_series import BarLength, BarSeries, HistoryWish, SeriesState
from market.bars import BarBuilder, BarBuilderState
from market.events import Bar, Feature, History
from market.intervals import Interval


class Closed(msgspec.Struct, frozen=True, gc=False):
    """A bar that closed or was corrected, with the series it is of.

    `features` are what the indicators say of it; a bar too old for them has none.
    """

    bar: Bar
    features: list[Feature]
    series: BarSeries


class InstrumentBarsState(msgspec.Struct):
    """What an `InstrumentBars` remembers over a restart."""

    builders: dict[str, BarBuilderState]
    series: dict[str, SeriesState]


class InstrumentBars:
    """The bars of one instrument.

    Args:
        instrument: id.
        lengths: of the bars that are always built.
    """

    def __init__(self, instrument: str, lengths: Sequence[BarLength]) -> None:
        self.instrument = instrument
        self.series: dict[str, BarSeries] = {}
        self.wishes: list[HistoryWish] = []
        """History to be asked for; whoever asks takes it away."""
        self.configured = {length.name: length for length in lengths}
        self._builders: dict[str, BarBuilder] = {}
        self._hot: list[tuple[BarSeries, BarBuilder]] = []
        self._build(self.configured)

    @property
    def outside(self) -> int:
        """Trades that are in no bar, counted for each bar that they are missing in."""
        return sum(builder.late_trades for builder in self._builders.values())

    def want(self, indicators: Mapping[str, Iterable[str]]) -> bool:
        """Compute from now on what is asked for, and nothing else.

        Args:
            indicators: canonical names by the name of their bars' length; bars of that length are
                built for them.

        Returns:
            Whether bars of another length are built now, which begin with the next trade.
        """
        lengths = {**self.configured, **{name: Interval.parse(name) for name in indicators}}
        is_more = not lengths.keys() <= self._builders.keys()
        self._build(lengths)
        for name, series in self.series.items():
            series.want(indicators.get(name, ()))
        self._gather()
        return is_more

    def traded(
        self, ts: int, price: float, size: float, is_buy: bool | None, may_close: bool
    ) -> Sequence[Closed]:
        """Take a trade, as `BarBuilder.add` does; nearly always nothing comes of it."""
        found: Sequence[Closed] = ()
        for series, builder in self._hot:
            closed = builder.add(ts, price, size, is_buy, may_close)
            if closed:
                found = [*found, *(Closed(bar, series.take(bar), series) for bar in closed)]
                self._gather()
        return found

    def advance(self, venue_time: int) -> list[Closed]:
        """Close what is over by the venue's clock."""
        found: list[Closed] = []
        for series, builder in self._hot:
            closed = builder.advance(venue_time)
            found += [Closed(bar, series.take(bar), series) for bar in closed]
        if found:
            self._gather()
        return found

    def absorb(self, history: History) -> tuple[list[Closed], list[Feature]]:
        """Take bars of the past: return bars that they put right, and what indicators say now."""
        series = self.series.get(history.interval)
        if series is None:
            return [], []
        healed, features = series.absorb(history)
        self._gather()
        return [Closed(bar, [], series) for bar in healed], features

    def resume(self, ts: int) -> None:
        """Say that trades flow from `ts` (venue's time) on."""
        for series, builder in self._hot:
            builder.resume(ts)
            series.resume(ts)
        self._gather()

    def interrupt(self) -> None:
        """Say that trades may be missing from here on, until `resume`."""
        for series, builder in self._hot:
            builder.interrupt()
            series.interrupt()

    def snapshot(self) -> InstrumentBarsState:
        """Return a copy of the state."""
        return InstrumentBarsState(
            builders={name: builder.snapshot() for name, builder in self._builders.items()},
            series={name: series.snapshot() for name, series in self.series.items()},
        )

    def restore(self, state: InstrumentBarsState) -> None:
        """Go on from a snapshot; bars that nobody wants any more end at the next `want`."""
        for name, kept in state.builders.items():
            length = Interval.parse(name)
            self._builders[name] = BarBuilder(self.instrument, length, state=kept)
            series = self.series[name] = BarSeries(self.instrument, length)
            series.restore(state.series[name])
        self._arrange()

    def _build(self, lengths: Mapping[str, BarLength]) -> None:
        """Build bars of exactly these lengths; what is built already goes on."""
        self._builders = {
            name: self._builders.get(name) or BarBuilder(self.instrument, length)
            for name, length in lengths.items()
        }
        self.series = {
            name: self.series.get(name) or BarSeries(self.instrument, length)
            for name, length in lengths.items()
        }
        self._arrange()

    def _arrange(self) -> None:
        self._hot = [(self.series[name], builder) for name, builder in self._builders.items()]

    def _gather(self) -> None:
        for series in self.series.values():
            if series.wish is not None:
                self.wishes.append(series.wish)
                series.wish = None
