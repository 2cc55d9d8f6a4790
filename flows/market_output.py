"""What the first keyed step tells the rest of the flow."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from filters.alerts import Alert, AlertEnded, Copied, Observation, Passed
from filters.specs import SpecsChanged
from flows.bar_series import HistoryWish
from market.events import (
    Bar,
    BookTop,
    BookUpdate,
    Feature,
    GapInterval,
    Heartbeat,
    MarketEvent,
    Silence,
    StateChange,
    Trade,
)

Moment: TypeAlias = Observation | BookTop | Heartbeat | StateChange | SpecsChanged | Passed | Copied
"""What the filters look at, in its order; a book's best levels come before what fires on them."""


class MarketOutput(msgspec.Struct):
    """What one micro-batch of one symbol led to.

    Attributes:
        trades: as they came.
        tops: the best levels after every book message, when somebody wants each of them.
        kept_tops: one a second for each instrument, to be stored.
        book_updates: what is stored of whole books.
        bars: closed and corrected bars.
        features: what indicators say of them.
        states: books that changed their truth state.
        gaps: gaps that opened or closed.
        silences: channels that fell silent, or speak again.
        forgotten: instruments that are not followed any more.
        moments: for the filters.
        copies: for the filters of other symbols, which look at this one too.
        events: everything that came in, when somebody wants it.
        latest: the best levels after the last book message, once a second for each instrument.
        trades_outside: trades too late, or of a time we do not believe, for each bar that they are
            missing in; told at heartbeats.
        resyncs: instruments whose book must be fetched again, and why.
        wishes: bars of the past that would let indicators go on.

    One is made for each micro-batch, and most hold trades and moments only: what is rare gets a
    list when it comes.
    """

    trades: list[Trade] = []
    tops: list[BookTop] = []
    kept_tops: Sequence[BookTop] = ()
    book_updates: Sequence[BookUpdate] = ()
    bars: Sequence[Bar] = ()
    features: Sequence[Feature] = ()
    states: Sequence[StateChange] = ()
    gaps: Sequence[GapInterval] = ()
    silences: Sequence[Silence] = ()
    forgotten: Sequence[str] = ()
    moments: list[Moment] = []
    events: list[MarketEvent] = []
    latest: Sequence[BookTop] = ()
    resyncs: Sequence[tuple[str, str]] = ()
    trades_outside: int = 0
    wishes: Sequence[HistoryWish] = ()
    copies: Sequence[tuple[str, Copied]] = ()

    def for_filters(self, symbol: str) -> Iterator[tuple[str, "MarketOutput"]]:
        """Return what goes to which symbol's filters; nothing to most."""
        if self.moments:
            yield symbol, self
        by_asker: dict[str, list[Moment]] = {}
        for asker, copied in self.copies:
            by_asker.setdefault(asker, []).append(copied)
        for asker, moments in by_asker.items():
            yield asker, MarketOutput(moments=moments)


class FilterOutput(msgspec.Struct):
    """What one micro-batch of one symbol made the specs say.

    Attributes:
        alerts: those that fired.
        ended: what alerts told and is true no more.
        tops: the best levels at that moment, to be stored with them.
    """

    alerts: list[Alert] = []
    ended: list[AlertEnded] = []
    tops: list[BookTop] = []
