"""Builds what specs look at: exactly the fields that they name, no others."""

from collections.abc import Callable, Iterable, Sequence

from filters.alerts import Observation
from filters.fields import BAR_FIELDS, BOOK_FIELDS
from flows.bar_series import BarSeries
from indicators.names import create_for_book, parse
from market.events import Bar, BookTop, Level, State


def _book_reader(
    name: str,
) -> Callable[[Sequence[Level], Sequence[Level]], float | None]:
    field = BOOK_FIELDS.get(name)
    return create_for_book(name).measure if field is None else field.read


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
        self._book = [(name, _book_reader(name)) for name in others if name not in self.indicators]

    def observe(
        self, bar: Bar, series: BarSeries, top: BookTop | None, *, ts_recv: int
    ) -> Observation:
        """Return the fields at the bar's close; those of a book that is not live are None."""
        values: dict[str, float | None] = {name: read(bar) for name, read in self._own}
        if self.indicators:
            current = series.values()
            for name in self.indicators:
                values[name] = current.get(name)
        for name, read_book in self._book:
            live = top is not None and top.state is State.LIVE
            values[name] = read_book(top.bids, top.asks) if top is not None and live else None
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
            reason=_doubt(bar),
        )


def _doubt(bar: Bar) -> str:
    if bar.gap:
        return "trades may be missing"
    return "it began before our trades did" if bar.partial else ""


class BookObserver:
    """Makes one observation of a book after each message."""

    def __init__(self, names: Iterable[str]) -> None:
        self._read = [(name, _book_reader(name)) for name in sorted(names)]

    def observe(self, top: BookTop, reason: str) -> Observation:
        """Return the fields of these levels."""
        bids, asks = top.bids, top.asks
        return Observation(
            series=top.instrument,
            stream="book",
            interval="",
            ts_event=top.ts_event,
            ts_recv=top.ts_recv,
            moment=top.sequence or top.ts_event,
            revision=0,
            values={name: read(bids, asks) for name, read in self._read},
            state=top.state,
            reason=reason,
        )
