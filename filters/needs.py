"""What specs want to know of a series: exactly that is computed."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from filters.places import split
from filters.specs import Spec
from market.instruments import MERGED, symbol_of, venue_of


class Needs(msgspec.Struct, frozen=True):
    """What specs want to know of one series.

    Attributes:
        bars: interval to canonical field names, for an observation at each closed bar; the book's
            indicators among them are those of the bar's close.
        book: canonical field names, for an observation at each book change; empty when no spec
            looks at the book.
        trade: for an observation at each trade.
        quote: for an observation at each change of the best prices.
        forming: interval to fields, for observations of bars that have not closed.
        passes: it must tell which times it is past, because a spec looks at other bars too.
        asking: symbols whose specs look at its bars: interval to fields.
    """

    bars: dict[str, tuple[str, ...]] = {}
    book: tuple[str, ...] = ()
    trade: tuple[str, ...] = ()
    quote: tuple[str, ...] = ()
    forming: dict[str, tuple[str, ...]] = {}
    passes: bool = False
    asking: dict[str, tuple[str, ...]] = {}


class _Wanted:
    """Fields by what they are wanted of, each once."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[str, None]] = {}

    def add(self, key: str, fields: Iterable[str]) -> None:
        self._fields.setdefault(key, {}).update(dict.fromkeys(fields))

    def fields(self) -> dict[str, tuple[str, ...]]:
        return {key: tuple(fields) for key, fields in self._fields.items()}


def needs_of(
    specs: Iterable[Spec],
    series: str,
    symbols: Iterable[str] = (),
    primary: Mapping[str, str] | None = None,
) -> Needs:
    """Return what these specs want to know of a series (an instrument id).

    Args:
        specs: those that are not in force are passed over.
        series: instrument id.
        symbols: what is followed, for specs over all symbols that look at this one too.
        primary: symbol to the venue that specs without venues look at.
    """
    bars, forming, streams, asking = _Wanted(), _Wanted(), _Wanted(), _Wanted()
    passes = False
    symbols = tuple(symbols)
    for spec in specs:
        if not spec.is_enabled:
            continue
        source = spec.source
        own = [name for name in spec.fields if "@" not in name]
        others = [name for name in spec.fields if "@" in name]
        if source.matches(series, primary):
            if source.stream == "bar":
                bars.add(source.interval, own)
                if spec.looks_at_forming_bars:
                    forming.add(source.interval, own)
            else:
                streams.add(source.stream, own)
        for asker, interval, field in _of_others(spec, others, series, symbols, primary or {}):
            passes = True
            bars.add(interval, (field,))
            if asker != symbol_of(series):
                asking.add(asker, (interval,))
    wanted = streams.fields()
    return Needs(
        bars.fields(),
        wanted.get("book", ()),
        wanted.get("trade", ()),
        wanted.get("quote", ()),
        forming.fields(),
        passes,
        asking.fields(),
    )


def looks_at(
    spec: Spec,
    name: str,
    series: str,
    interval: str,
    primary: Mapping[str, str] | None = None,
) -> bool:
    """Whether a field of a spec is read from these bars, besides its own."""
    _, place = split(name)
    if place is None or interval != (place.interval or spec.source.interval):
        return False
    if place.symbol:
        return place.symbol == symbol_of(series) and place.venue in ("", venue_of(series))
    return spec.source.matches(series, primary)


def _of_others(
    spec: Spec,
    others: Iterable[str],
    series: str,
    symbols: tuple[str, ...],
    primary: Mapping[str, str],
) -> Iterator[tuple[str, str, str]]:
    """Find what a spec wants of a series as bars other than its own: asker, interval, field."""
    source = spec.source
    venue = venue_of(series)
    for name in others:
        field, place = split(name)
        if place is None:
            continue
        interval = place.interval or source.interval
        if not place.symbol or (not place.venue and place.symbol == symbol_of(series)):
            is_asked = not source.venues or venue in source.venues
        else:
            is_asked = place.venue == venue
        if not is_asked or venue == MERGED:
            continue
        if not place.symbol:
            if source.matches(series, primary):
                yield symbol_of(series), interval, field
        elif place.symbol == symbol_of(series):
            for asker in dict.fromkeys((*source.symbols, *symbols, symbol_of(series))):
                if source.matches_symbol(asker) and "*" not in asker and "?" not in asker:
                    yield asker, interval, field
