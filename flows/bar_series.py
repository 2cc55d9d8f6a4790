"""The bars of one instrument and interval, with the indicators that are wanted of them."""

import pickle
from collections.abc import Iterable

import msgspec

from indicators.contract import BarIndicator
from indicators.names import IndicatorName, create_for_bars, parse
from market.bars import BarBuilder, BarBuilderState
from market.events import Bar, Feature, State
from market.intervals import Interval


class SeriesState(msgspec.Struct):
    """What a `BarSeries` remembers over a restart."""

    builder: BarBuilderState
    indicators: dict[str, bytes]
    last_start: int
    is_interrupted: bool


class BarSeries:
    """The bars of one instrument and interval, with the indicators that are wanted of them."""

    __slots__ = ("builder", "indicators", "interval", "is_interrupted", "last_start", "names")

    def __init__(self, builder: BarBuilder, interval: Interval) -> None:
        self.builder = builder
        self.interval = interval
        self.names: dict[str, IndicatorName] = {}
        self.indicators: dict[str, BarIndicator] = {}
        self.last_start = 0
        self.is_interrupted = False

    def snapshot(self) -> SeriesState:
        """Return a copy of the state."""
        return SeriesState(
            builder=self.builder.snapshot(),
            indicators={
                text: pickle.dumps(indicator) for text, indicator in self.indicators.items()
            },
            last_start=self.last_start,
            is_interrupted=self.is_interrupted,
        )

    def restore(self, instrument: str, state: SeriesState) -> None:
        """Go on from a snapshot; what is not wanted any more is dropped at the next `want`."""
        self.builder = BarBuilder(instrument, self.interval, state=state.builder)
        self.indicators = {
            text: pickle.loads(kept)  # noqa: S301 - our own store, never from outside
            for text, kept in state.indicators.items()
        }
        self.last_start = state.last_start
        self.is_interrupted = state.is_interrupted

    def want(self, names: Iterable[str]) -> None:
        """Compute exactly these indicators from now on; one already there keeps its state."""
        self.names = {name.text: name for name in map(parse, names)}
        wanted = {name.indicator: name for name in self.names.values()}
        self.indicators = {
            text: self.indicators.get(text) or create_for_bars(name)
            for text, name in wanted.items()
        }

    def interrupt(self) -> None:
        """Trades may be missing from here on, and with them whole bars."""
        self.builder.interrupt()
        self.is_interrupted = True

    def restart(self) -> None:
        """Begin every indicator afresh: bars are missing."""
        self.indicators = {text: create_for_bars(text) for text in self.indicators}

    def take(self, bar: Bar) -> bool:
        """Update the indicators; return whether they speak of this bar."""
        if bar.revision:
            if bar.start != self.last_start:
                return False
            for indicator in self.indicators.values():
                if indicator.count:
                    indicator.revise(bar)
            return True
        self.last_start = bar.start
        if bar.gap or self.is_interrupted:
            self.is_interrupted = False
            self.restart()
            if bar.gap:
                return True
        for indicator in self.indicators.values():
            indicator.update(bar)
        return True

    def values(self) -> dict[str, float | None]:
        """Return the indicators' values by canonical name; None while warming."""
        return {
            text: self.indicators[name.indicator].values[name.place]
            for text, name in self.names.items()
        }

    def features(self, bar: Bar) -> list[Feature]:
        """Say what the indicators say of the bar they took last."""
        return [
            Feature(
                instrument=bar.instrument,
                interval=bar.interval,
                name=text,
                ts_event=bar.start,
                value=value,
                state=State.WARMING if value is None else State.LIVE,
                revision=bar.revision,
            )
            for text, value in self.values().items()
        ]
