"""Instruments: what a venue trades, and how a person may spell it.

An instrument id is `"binance:BTC-USDT"`, a symbol `"BTC-USDT"`. Both come from the venue's own
list; a spelling such as `btcusdt` is never cut into base and quote by guessing.
"""

import difflib
from collections.abc import Iterable

import msgspec

from market.errors import UnknownInstrumentError

NEAR_NAMES = 3


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be traded at one venue.

    Attributes:
        venue: lower-case name of the venue, `"binance"`.
        symbol: `BASE-QUOTE`, the same at every venue.
        native: the venue's own spelling, `"BTCUSDT"`.
        base: asset that is bought and sold.
        quote: asset that prices are told in.
        tick: smallest step of a price, in quote currency; 0 when not known.
        step: smallest step of a size, in base currency; 0 when not known.
        kind: `"spot"`.
    """

    venue: str
    symbol: str
    native: str
    base: str
    quote: str
    tick: float = 0.0
    step: float = 0.0
    kind: str = "spot"

    @property
    def id(self) -> str:
        """Instrument id, `"binance:BTC-USDT"`."""
        return f"{self.venue}:{self.symbol}"


def instrument_id(venue: str, symbol: str) -> str:
    """Return the id of a venue's symbol."""
    return f"{venue}:{symbol}"


def venue_of(instrument: str) -> str:
    """Return the venue in an instrument id."""
    return instrument.partition(":")[0]


def symbol_of(instrument: str) -> str:
    """Return the symbol in an instrument id."""
    return instrument.partition(":")[2]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.upper() if letter.isalnum())


class InstrumentList:
    """The instruments of one or more venues, found by any usual spelling.

    `ethbtc`, `ETHBTC`, `ETH/BTC`, `ETH-BTC` and `binance:ETHBTC` all name `binance:ETH-BTC`.

    Args:
        instruments: as the venues list them; the order does not matter.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._all: dict[str, Instrument] = {}
        self._spellings: dict[str, list[Instrument]] = {}
        for instrument in instruments:
            self._all[instrument.id] = instrument
            names = {_plain(instrument.symbol), _plain(instrument.native)}
            for name in names:
                self._spellings.setdefault(name, []).append(instrument)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> "Iterable[Instrument]":  # type: ignore[override]
        return iter(self._all.values())

    def resolve(self, name: str, *, venue: str = "") -> list[Instrument]:
        """Return every instrument that `name` means, one for each venue that lists it.

        Args:
            name: any usual spelling, with or without `venue:` before it.
            venue: look only there.

        Raises:
            UnknownInstrumentError: no venue lists it, or two symbols share the spelling.
        """
        prefix, colon, rest = name.partition(":")
        if colon:
            venue, name = prefix.lower(), rest
        found = [
            instrument
            for instrument in self._spellings.get(_plain(name), [])
            if not venue or instrument.venue == venue
        ]
        symbols = sorted({instrument.symbol for instrument in found})
        if len(symbols) > 1:
            exact = [instrument for instrument in found if instrument.symbol == name.upper()]
            if not exact:
                raise UnknownInstrumentError(
                    name, venue=venue, near=tuple(symbols), ambiguous=True
                )
            found = exact
        if not found:
            raise UnknownInstrumentError(name, venue=venue, near=self.near(name, venue=venue))
        return found

    def near(self, name: str, *, venue: str = "") -> tuple[str, ...]:
        """Return symbols that look like `name`, best first."""
        known = {
            plain: instruments[0].symbol
            for plain, instruments in self._spellings.items()
            if not venue or any(instrument.venue == venue for instrument in instruments)
        }
        close = difflib.get_close_matches(_plain(name), known, n=NEAR_NAMES, cutoff=0.6)
        return tuple(dict.fromkeys(known[plain] for plain in close))
