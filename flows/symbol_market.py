"""Everything that is known of one symbol, at all its venues: the state of the first keyed step.

Pure: events in, outputs out, no clock. What it does depends on the events alone, in their order,
so a recording replayed says the same whatever the batches were.
"""

import pickle
from collections.abc import Collection, Iterable, Mapping

from connectors.drain import FlowEvent
from filters.needs import needs_of
from filters.specs import SpecsChanged
from flows.instrument_market import InstrumentMarket
from flows.market_output import MarketOutput
from flows.merged_series import MergedSeries, MergedState
from flows.settings import MarketSettings
from flows.spec_moments import SpecMoments
from indicators.names import IndicatorNameError, every_output, parse
from market.activity import parse_bar_length
from market.events import (
    Aggregate,
    BookDelta,
    BookSnapshot,
    Demand,
    FeedGap,
    Heartbeat,
    History,
    LeftOpen,
    Quote,
    Trade,
    Unsubscribed,
)
from market.instruments import symbol_of
from market.intervals import SECOND
from market.kept_depth import KeptDepth


class SnapshotError(Exception):
    """A snapshot of another version of the program: begin afresh."""


class SymbolMarket:
    """The venues of one symbol.

    Args:
        settings: what to compute.
        wants_tops: pass on the best levels after every book message.
        wants_events: pass on everything that comes in.
        keeps_books: put whole books into snapshots; a live flow does not, as its first gap
            empties them anyway.
        kept_depth: what of whole books is told, to be stored.
    """

    SCHEMA = 6

    def __init__(
        self,
        settings: MarketSettings,
        *,
        wants_tops: bool = False,
        wants_events: bool = False,
        keeps_books: bool = False,
        kept_depth: KeptDepth = KeptDepth(),  # noqa: B008 - frozen
    ) -> None:
        self._settings = settings
        self._lengths = settings.lengths()
        self._wants_tops = wants_tops
        self._wants_events = wants_events
        self._keeps_books = keeps_books
        self._kept_depth = kept_depth
        self._markets: dict[str, InstrumentMarket] = {}
        self._specs: SpecsChanged | None = None
        self._demand: dict[str, tuple[str, ...]] = {}
        self._merged_demand: dict[str, tuple[str, ...]] = {}
        self._merged: MergedSeries | None = None

    @property
    def instruments(self) -> Collection[str]:
        """Ids of the instruments that any event was of."""
        return self._markets.keys()

    def advance(self, events: Iterable[FlowEvent], out: MarketOutput | None = None) -> MarketOutput:
        """Take events in their order and return what they led to."""
        if out is None:
            out = MarketOutput()
        markets = self._markets
        wants_events = self._wants_events
        for event in events:
            # `type` and not `isinstance`: events have no subclasses, and a class that does not
            # fit is found out twice as quickly. What comes most often is asked for first.
            if type(event) is Trade:
                try:
                    market = markets[event.instrument]
                except KeyError:
                    market = self._new(event.instrument)
                market.traded(event, out)
                if wants_events:
                    out.events.append(event)
                continue
            if type(event) is SpecsChanged:
                self._specs_changed(event, out)
                continue
            if type(event) is Demand:
                self._demand = understood(event.features)
                self._merged_demand = understood(event.merged)
                self._want_all(out)
                continue
            try:
                market = markets[event.instrument]
            except KeyError:
                if type(event) is History:
                    continue  # it was asked for before we let go of the instrument
                market = self._new(event.instrument)
            if type(event) is BookDelta:
                market.changed(event, out)
            elif type(event) is Heartbeat:
                market.beat(event, out)
                out.moments.append(event)
            elif type(event) is BookSnapshot:
                market.replaced(event, out)
            elif type(event) is FeedGap:
                market.broke(event, out)
            elif type(event) is Quote:
                market.quoted(event, out)
            elif type(event) is Aggregate:
                market.aggregated(event, out)
            elif type(event) is Unsubscribed:
                market.left(event, out)
                del markets[event.instrument]
            elif type(event) is LeftOpen:
                market.inherit(event)
                continue  # it is news of our store, not of the market
            elif type(event) is History:
                market.remembered(event, out)
                continue  # so is this
            if wants_events:
                out.events.append(event)
        return out

    def snapshot(self) -> bytes:
        """Return the state for recovery: a schema number and the pickled rest."""
        markets = {
            instrument: market.snapshot(with_book=self._keeps_books)
            for instrument, market in self._markets.items()
        }
        merged = None if self._merged is None else self._merged.snapshot()
        demand = (self._demand, self._merged_demand)
        return pickle.dumps((self.SCHEMA, self._specs, demand, merged, markets))

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot that this program wrote into its own recovery store.

        Raises:
            SnapshotError: it is of another version; the state is empty then.
        """
        try:
            schema, *rest = pickle.loads(snapshot)  # noqa: S301 - our own store, never from outside
            if schema != self.SCHEMA:
                raise SnapshotError(f"market snapshot of schema {schema}")
            self._specs, demand, merged, markets = rest  # kept until others come
            self._demand, self._merged_demand = demand
            for instrument, kept in markets.items():
                market = self._new(instrument, merged)
                market.restore(kept)
                self._want(market)
        except (
            pickle.UnpicklingError,
            AttributeError,
            ImportError,
            TypeError,
            ValueError,
            EOFError,
            LookupError,
        ) as error:
            self._markets.clear()
            self._specs = None
            self._demand = {}
            self._merged_demand = {}
            self._merged = None
            raise SnapshotError(f"market snapshot: {error}") from error

    def _new(self, instrument: str, merged: MergedState | None = None) -> InstrumentMarket:
        if self._merged is None:
            self._merged = MergedSeries(
                symbol_of(instrument), empty_bars=self._settings.empty_bars, state=merged
            )
            self._want_merged(self._merged)
        market = self._markets[instrument] = InstrumentMarket(
            instrument,
            self._lengths,
            empty_bars=self._settings.empty_bars,
            depth=self._settings.depth,
            stale_after=int(self._settings.stale_after_s * SECOND),
            wants_tops=self._wants_tops,
            merged=self._merged,
            kept_depth=self._kept_depth,
        )
        self._want(market)
        return market

    def _specs_changed(self, changed: SpecsChanged, out: MarketOutput) -> None:
        self._specs = changed = changed.after(self._specs)
        self._want_all(out)
        out.moments.append(changed)

    def _want_all(self, out: MarketOutput) -> None:
        """Compute from now on what is asked for, at all venues and over them."""
        if self._merged is not None:
            self._want_merged(self._merged)
        for market in self._markets.values():
            self._want(market)
            market.wish(out)
        if self._merged is not None:
            self._merged.wish(out)

    def _want(self, market: InstrumentMarket) -> None:
        specs = () if self._specs is None else self._specs.specs
        symbols = () if self._specs is None else self._specs.symbols
        primary = {} if self._specs is None else self._specs.primary
        needs = needs_of(specs, market.instrument, symbols, primary)
        demanded = dict(self._demand)
        if self._merged is not None:
            for interval in self._merged.intervals:
                demanded.setdefault(interval, ())
        moments = SpecMoments.of(market.instrument, needs, market.moments_state)
        market.want(self._settings.features, needs.bars, needs.book or None, demanded, moments)

    def _want_merged(self, merged: MergedSeries) -> None:
        specs = () if self._specs is None else self._specs.specs
        needs = needs_of(specs, merged.instrument)
        features = {name: bar_features(names) for name, names in self._merged_demand.items()}
        for interval in self._settings.merged():
            configured = bar_features(self._settings.features)
            features[interval.name] = [*configured, *features.get(interval.name, ())]
        merged.want(features, needs.bars)


def bar_features(names: Iterable[str]) -> list[str]:
    """Return those of some indicators that are computed from bars, each of their values."""
    values = (one for name in names for one in every_output(parse(name)))
    return [one.text for one in values if one.reads == "bar"]


def understood(demanded: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return what of a demand can be computed: what is no interval and no indicator is left out."""
    wanted: dict[str, tuple[str, ...]] = {}
    for interval, names in demanded.items():
        try:
            parse_bar_length(interval)
        except ValueError:
            continue
        wanted[interval] = tuple(name for name in names if _is_indicator(name))
    return wanted


def _is_indicator(name: str) -> bool:
    try:
        parse(name)
    except IndicatorNameError:
        return False
    return True
