"""Builds what specs look at: exactly the fields that they name, no others."""

from collections.abc import Iterable, Mapping

from filters.alerts import Observation
from filters.fields import BAR_FIELDS
from flows.book_values import book_reader, needs_depth
from indicators.contract import Depth
from indicators.names import parse
from market.events import Bar, BookTop, Feature, State


class BarObserver:
    """Makes one observation of each closed bar of a series.

    Args:
        names: canonical names of the fields that specs look at.
    """

    def __init__(self, names: Iterable[str]) -> None:
        wanted = sorted(names)
        self._own = [(name, BAR_FIELDS[name].read) for name in wanted if name in BAR_FIELDS]
        others = [name for name in wanted if name not in BAR_FIELDS]
        self.indicators = [name for name in others if parse(name).reads == "bar"]
        of_book = [name for name in others if name not in self.indicators]
        self._book = [(name, book_reader(name)) for name in of_book]
        self.needs_depth = any(map(needs_depth, of_book))

    def observe(
        self,
        bar: Bar,
        told: Mapping[str, float | None],
        top: BookTop | None,
        depth: Depth | None,
        *,
        ts_recv: int,
        cold: str = "",
    ) -> Observation:
        """Return the fields at the bar's close; those of a book that is not live are None.

        `told` is what the bar's indicators said of this very bar, by name; `cold` why some of them
        say nothing, as `why_cold` has it.
        """
        values: dict[str, float | None] = {name: read(bar) for name, read in self._own}
        for name in self.indicators:
            values[name] = told.get(name)
        for name, read_book in self._book:
            live = top is not None and top.state is State.LIVE
            values[name] = read_book(top, depth) if top is not None and live else None
        return Observation(
            series=bar.instrument,
            stream="bar",
            interval=bar.interval,
            ts_event=bar.end,
            ts_recv=ts_recv,
            moment=bar.start,
            revision=bar.revision,
            values=values,
            state=State.SUSPECT if bar.gap or bar.partial else State.LIVE,
            reason=_doubt(bar) or cold,
        )


def why_cold(features: Iterable[Feature]) -> str:
    """Return why indicators have no value, `"rsi(14) warming(3 of 15); …"`; empty if all have."""
    return "; ".join(
        f"{feature.name} {feature.reason}"
        for feature in features
        if feature.value is None and feature.reason
    )


def _doubt(bar: Bar) -> str:
    if bar.gap:
        return "trades may be missing"
    return "it began before our trades did" if bar.partial else ""


class BookObserver:
    """Makes one observation of a book after each message.

    Args:
        names: canonical names of the fields that specs look at.
        stream: `book`, or `quote` where only its best prices are looked at.
    """

    def __init__(self, names: Iterable[str], *, stream: str = "book") -> None:
        self._stream = stream
        wanted = sorted(names)
        self._read = [(name, book_reader(name)) for name in wanted]
        self.needs_depth = any(map(needs_depth, wanted))

    def observe(self, top: BookTop, depth: Depth | None, reason: str) -> Observation:
        """Return the fields of these levels, and of the whole book as it was a moment ago."""
        return Observation(
            series=top.instrument,
            stream=self._stream,
            interval="",
            ts_event=top.ts_event,
            ts_recv=top.ts_recv,
            moment=top.sequence or top.ts_event,
            revision=0,
            values={name: read(top, depth) for name, read in self._read},
            state=top.state,
            reason=reason,
        )
