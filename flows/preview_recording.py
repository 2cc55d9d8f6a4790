"""Specs tried on a recording: the objects of a replay, in a plain loop, with the specs to try."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from connectors.contract import Venue
from connectors.replay_source import ReplaySource
from filters.specs import Spec, SpecsChanged, hash_of
from flows.market_output import MarketOutput
from flows.preview import tally_of
from flows.preview_tally import HORIZONS, Preview, PreviewTally
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SymbolMarket
from market.events import Trade
from market.instruments import MERGED, venue_of

Count = Callable[[int], None]
"""Told of the progress: records taken so far."""


def preview_recording(
    tried: Sequence[Mapping[str, Spec]],
    paths: Sequence[Path],
    venues: Mapping[str, Venue],
    market: MarketSettings,
    *,
    horizons: Sequence[int] = HORIZONS,
    series: Callable[[str], bool] = lambda _: True,
    primary: Mapping[str, str] | None = None,
    report: Count = lambda _: None,
) -> tuple[list[list[Preview]], list[str]]:
    """Try specs on recordings; books, trades and quotes are in them.

    Args:
        tried: for each spec its variants, by what was changed.
        paths: of the recordings; several are read as one, by time.
        venues: `connectors.VENUES`.
        market: what the recording was made with.
        horizons: times after a firing at which the price is looked at, ns.
        series: whether an instrument, by its id, is to be tried.
        primary: symbol to the venue that specs without venues look at; without, at every one.
        report: told of the progress.

    Returns:
        For each spec what its variants would have done, and what is wrong with the recordings.

    Raises:
        RecordingError: one of the files is no recording.
    """
    tallies: list[list[tuple[Spec, PreviewTally]]] = [
        [(spec, tally_of(spec, text, horizons)) for text, spec in variants.items()]
        for variants in tried
    ]
    known = dict(primary or {})
    run = _Run([each for some in tallies for each in some], market, series, known)
    specs = SpecsChanged(
        generation=1, specs=tuple(spec for some in tallies for spec, _ in some), primary=known
    )
    source = ReplaySource(
        paths, venues, controls=[msgspec.json.encode(specs)], stopping=threading.Event()
    )
    partition = source.build_part("preview", "recording", None)
    while True:
        try:
            groups = partition.next_batch()
        except StopIteration:
            break
        for symbol, events in groups:
            for event in events:
                run.take(symbol, event)
        report(partition.snapshot())
    run.finish()
    return [[tally.result() for _, tally in some] for some in tallies], source.problems


class _Run:
    """Both keyed steps of every symbol, and the tallies of what the second says."""

    def __init__(
        self,
        tallies: Sequence[tuple[Spec, PreviewTally]],
        market: MarketSettings,
        series: Callable[[str], bool],
        primary: Mapping[str, str],
    ) -> None:
        self._primary = primary
        self._specs = [(spec, hash_of(spec), tally) for spec, tally in tallies]
        self._tallies = {(spec.id, digest): tally for spec, digest, tally in self._specs}
        self._settings = market
        self._is_tried = series
        self._markets: dict[str, SymbolMarket] = {}
        self._filters: dict[str, SymbolFilters] = {}

    def take(self, symbol: str, event: object) -> None:
        """Take one event; alone, so that a firing has the price of its moment."""
        market = self._markets.get(symbol)
        if market is None:
            market = self._markets[symbol] = SymbolMarket(self._settings, keeps_books=True)
        out = market.advance([event])  # type: ignore[list-item]
        if isinstance(event, Trade):
            self._priced(event.instrument, event.ts_recv, event.price)
        for bar in out.bars:
            if venue_of(bar.instrument) == MERGED:
                self._priced(bar.instrument, bar.end, bar.close)
        for asker, routed in out.for_filters(symbol):
            self._told(asker, routed)

    def finish(self) -> None:
        """Say where every spec stands."""
        found: dict[str, None] = {}
        for market in self._markets.values():
            found.update(dict.fromkeys(market.instruments))
        for filters in self._filters.values():
            states = filters.standing().states
            found.update(dict.fromkeys(key.split(":", 2)[2] for key in states))
        for series in filter(self._is_tried, found):
            for spec, digest, tally in self._specs:
                if spec.source.matches(series, self._primary):
                    kept = (
                        filters.standing().states.get(f"{spec.id}:{digest}:{series}")
                        for filters in self._filters.values()
                    )
                    tally.standing(series, next((each for each in kept if each), None))
                    tally.series_is_over(series)

    def _priced(self, series: str, ts: int, price: float) -> None:
        for _, _, tally in self._specs:
            tally.priced(series, ts, price)

    def _told(self, symbol: str, out: MarketOutput) -> None:
        filters = self._filters.get(symbol)
        if filters is None:
            filters = self._filters[symbol] = SymbolFilters()
        for alert in filters.advance([out]).alerts:
            tally = self._tallies.get((alert.spec, alert.spec_hash))
            if tally is not None and self._is_tried(alert.series):
                tally.fired(alert, alert.ts_fired)
