"""Which series a preview is over, and the bars that it lacks, from their venues."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from cli.preview_progress import PreviewProgress
from market.errors import ConfigError, HistoryError
from market.instruments import symbol_of, venue_of
from market.intervals import Interval

if TYPE_CHECKING:
    import psycopg

    from filters.specs import Spec
    from flows.configuration import Configuration

WARM_UP_BARS = 500
"""Bars before the range that are asked for too, so that indicators begin with a past."""


class Asked(msgspec.Struct, kw_only=True):
    """What part of the past is asked for.

    Attributes:
        symbols: as a person spelled them; empty for all.
        venues: names; empty for all.
        start: ns UTC.
        end: ns UTC.
    """

    symbols: Sequence[str] = ()
    venues: Sequence[str] = ()
    start: int = 0
    end: int = 0

    def means(self, series: str) -> bool:
        """Return whether an instrument, by its id, is asked for; without a list to look into."""
        symbol = symbol_of(series)
        wanted = {name.upper().replace("/", "-") for name in self.symbols}
        is_named = not wanted or symbol in wanted or symbol.replace("-", "") in wanted
        return is_named and (not self.venues or venue_of(series) in self.venues)


def stored_series(
    spec: "Spec", connection: "psycopg.Connection", asked: Asked, order: Sequence[str] = ()
) -> list[str]:
    """Return the series that a spec means, of the instruments in the store.

    Args:
        spec: to be tried.
        connection: to the store.
        asked: on what.
        order: venues, the primary one of a symbol first; without, every venue is meant.

    Raises:
        ConfigError: a symbol that was asked for is not in the store.
    """
    from flows.primary_venues import primary_venues
    from market.instruments import MERGED, instrument_id
    from sinks.gap_ledger import known_instruments

    known = known_instruments(connection)
    if not len(known):
        return []
    symbols = {one.symbol for name in asked.symbols for one in known.resolve(name)}
    is_merged = MERGED in spec.source.venues
    ids = dict.fromkeys(
        instrument_id(MERGED, one.symbol) if is_merged else one.id
        for one in known
        if (not symbols or one.symbol in symbols)
        and (is_merged or not asked.venues or one.venue in asked.venues)
    )
    primary = primary_venues(order, (each for each in ids if venue_of(each) in order))
    return sorted(each for each in ids if spec.source.matches(each, primary))


class Fetcher:
    """Asks venues for bars that are missing, each once.

    Args:
        told: the configuration.
        address: of the database.
        asked: what is wanted.
        progress: shows how far it is.
    """

    def __init__(
        self, told: "Configuration", address: str, asked: Asked, progress: PreviewProgress
    ) -> None:
        self._told = told
        self._address = address
        self._asked = asked
        self._progress = progress

    def fetch(self, spec: "Spec", series: Sequence[str]) -> None:
        """Store what a spec lacks; what cannot be had is told on standard error.

        Where no venue is named, only the one is asked that the preview then looks at.

        Args:
            spec: to be tried.
            series: that it means, of those in the store.
        """
        from filters.places import split

        places = [place for name in spec.fields if (place := split(name)[1]) is not None]
        intervals = {place.interval for place in places if place.interval}
        intervals.add(spec.source.interval)
        asked: dict[str, None] = {}
        for symbol, venues in self._wanted(spec, series):
            for number, venue in enumerate(venues, start=1):
                is_last = number == len(venues)
                if self._all(venue, symbol, intervals, is_told=is_last) or is_last:
                    asked[venue] = None
                    break
        for place in places:
            if place.symbol:
                for venue in [place.venue] if place.venue else list(asked):
                    self._all(venue, place.symbol, intervals)

    def _wanted(self, spec: "Spec", series: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Return symbols, each with the venues of which the first that lists it is asked."""
        from market.instruments import MERGED

        named = self._asked.venues or spec.source.venues
        if MERGED in named:
            print(f"note: {spec.id}: no venue has bars over all venues", file=sys.stderr)
            return []
        stored: dict[str, list[str]] = {}
        for each in series:
            stored.setdefault(symbol_of(each), []).append(venue_of(each))
        literal = [name for name in spec.source.symbols if not set(name) & set("*?")]
        known = {_plain(symbol) for symbol in stored}
        missing = (each for each in self._asked.symbols or literal if _plain(each) not in known)
        symbols = dict.fromkeys((*stored, *missing))
        if named:
            return [(symbol, [venue]) for symbol in symbols for venue in named]
        return [(symbol, self._primary(symbol, stored.get(symbol, []))) for symbol in symbols]

    def _primary(self, symbol: str, stored: Sequence[str]) -> list[str]:
        """Return the venue that speaks for a symbol; all, in their order, if none follows it."""
        settings = self._told.settings
        for venue in settings.primary:
            followed = map(_plain, settings.feeds[venue].symbols)
            if venue in stored or _plain(symbol) in followed:
                return [venue]
        return list(stored or settings.primary)

    def _all(
        self, venue: str, symbol: str, intervals: Iterable[str], *, is_told: bool = True
    ) -> bool:
        """Ask a venue for bars of several lengths; return whether it lists the symbol."""
        for interval in sorted(intervals):
            try:
                self._one(venue, symbol, interval)
            except (ConfigError, HistoryError) as error:
                is_listed = isinstance(error, HistoryError)
                if is_listed or is_told:
                    print(f"note: {venue} {symbol} {interval}: {error}", file=sys.stderr)
                if not is_listed:
                    return False
        return True

    def _one(self, name: str, symbol: str, interval: str) -> None:
        from cli.backfill import asked_address
        from connectors import VENUES
        from connectors.settings import VenueSettings
        from flows import configuration
        from flows.backfill import backfill
        from flows.home import Home
        from flows.instruments import list_instruments
        from flows.venue_keys import key_for, read_key

        venue = VENUES.get(name)
        if venue is None:
            raise ConfigError(f"unknown venue{configuration.near(name, sorted(VENUES))}")
        try:
            warm_up = WARM_UP_BARS * Interval.parse(interval).length
        except ValueError:
            raise HistoryError("a venue's candles are of a time, as 1m") from None
        feed = self._told.settings.feeds.get(name, VenueSettings())
        own = None if feed.simulated else read_key(venue, os.environ)
        key = key_for(venue, feed, {name: own} if own is not None else {})
        with asked_address(venue, feed, Home.of(os.environ), alone=False) as rest_url:
            listed = list_instruments(venue, rest_url, key=key)
            instrument = listed.resolve(symbol, venue=name)[0]
            show = self._progress.fetching(f"{instrument.id} {interval}")
            backfill(
                venue,
                instrument,
                interval,
                max(0, self._asked.start - warm_up),
                self._asked.end,
                now=time.time_ns(),
                database_url=self._address,
                rest_url=rest_url,
                key=key,
                report=lambda done: show(done.done, done.wanted),
            )


def _plain(symbol: str) -> str:
    return symbol.upper().translate(str.maketrans("", "", "-/_"))
