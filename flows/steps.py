"""The two keyed steps: thin covers that let Bytewax run the pure objects."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from bytewax.operators import StatefulBatchLogic

from connectors.drain import FlowEvent
from flows.bar_series import HistoryWish
from flows.market_output import FilterOutput, MarketOutput
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SnapshotError, SymbolMarket

Arrived: TypeAlias = Callable[[Sequence[list[FlowEvent]], Collection[str]], bool]

log = logging.getLogger(__name__)


class MarketLogic(StatefulBatchLogic[list[FlowEvent], MarketOutput, bytes]):
    """Runs one symbol's market.

    Args:
        market: the pure object.
        resync: told of each book that must be fetched again.
        history: told of the bars of the past that are wished for.
        arrived: told of what comes in and of whom, for as long as it answers that it wants to
            know, and again when another instrument of the symbol turns up.
    """

    def __init__(
        self,
        market: SymbolMarket,
        resync: Callable[[str, str], None],
        history: Callable[[HistoryWish], None],
        arrived: Arrived,
    ) -> None:
        self._market = market
        self._resync = resync
        self._history = history
        self._arrived = arrived
        self._tells = False
        self._known = 0

    def on_batch(self, values: list[list[FlowEvent]]) -> tuple[Iterable[MarketOutput], bool]:
        """Take micro-batches; one output comes of all of them."""
        out = MarketOutput()
        market = self._market
        for events in values:
            market.advance(events, out)
        if self._tells or len(market.instruments) != self._known:
            self._known = len(market.instruments)
            self._tells = self._arrived(values, market.instruments)
        for instrument, reason in out.resyncs:
            self._resync(instrument, reason)
        for wish in out.wishes:
            self._history(wish)
        return (out,), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state for recovery."""
        return self._market.snapshot()


class FilterLogic(StatefulBatchLogic[MarketOutput, FilterOutput, bytes]):
    """Runs one symbol's filters.

    Args:
        filters: the pure object.
        noted: told of it after each batch, for people who ask where the specs stand.
    """

    def __init__(
        self, filters: SymbolFilters, noted: Callable[[SymbolFilters], None] = lambda _: None
    ) -> None:
        self._filters = filters
        self._noted = noted

    def on_batch(self, values: list[MarketOutput]) -> tuple[Iterable[FilterOutput], bool]:
        """Take what the market told; most of the time nothing comes of it."""
        out = self._filters.advance(values)
        self._noted(self._filters)
        return ((out,) if out.alerts or out.ended else ()), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state for recovery."""
        return self._filters.snapshot()


def market_builder(
    new: Callable[[], SymbolMarket],
    resync: Callable[[str, str], None],
    history: Callable[[HistoryWish], None],
    arrived: Arrived,
) -> Callable[[bytes | None], MarketLogic]:
    """Return what Bytewax calls for each new symbol."""

    def build(state: bytes | None) -> MarketLogic:
        market = new()
        if state is not None:
            try:
                market.restore(state)
            except SnapshotError as error:
                log.warning("starting a symbol afresh", extra={"reason": str(error)})
                market = new()
        return MarketLogic(market, resync, history, arrived)

    return build


def filter_builder(
    noted: Callable[[SymbolFilters], None] = lambda _: None,
) -> Callable[[bytes | None], FilterLogic]:
    """Return what Bytewax calls for each new symbol."""

    def build(state: bytes | None) -> FilterLogic:
        filters = SymbolFilters()
        if state is not None:
            try:
                filters.restore(state)
            except SnapshotError as error:
                log.warning("starting a symbol's filters afresh", extra={"reason": str(error)})
                filters = SymbolFilters()
        return FilterLogic(filters, noted)

    return build
