"""Instruments: what a venue trades, and how a person may spell it.

An instrument id is `"binance:BTC-USDT"`, a symbol `"BTC-USDT"`. Both come from the venue's own
list; a spelling such as `btcusdt` is never cut into base and quote by guessing.
"""

import difflib
from collections.abc import Iterable, Iterator

import msgspec

from market.errors import UnknownInstrumentError

NEAR_NAMES = 3
MERGED = "merged"
"""Stands for a venue in the id of what all venues of a symbol make together; none is called so."""


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


def _dashed(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.upper()).split())


class InstrumentList:
    """The instruments of one or more venues, found by any usual spelling.

    `ethbtc`, `ETHBTC`, `ETH/BTC`, `ETH-BTC` and `binance:ETHBTC` all name `binance:ETH-BTC`.

    Args:
        instruments: as the venues list them; the order does not matter.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._all = {instrument.id: instrument for instrument in instruments}
        self._spellings: dict[str, list[Instrument]] = {}
        for instrument in self._all.values():
            for name in {_plain(instrument.symbol), _plain(instrument.native)}:
                self._spellings.setdefault(name, []).append(instrument)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._all.values())

    def resolve(self, name: str, *, venue: str = "") -> list[Instrument]:
        """Return every instrument that `name` means, one for each venue that lists it.

        Where two symbols are spelled alike without their dash, the dash (or a slash) decides.

        Args:
            name: any usual spelling, with or without `venue:` before it.
            venue: look only there.

        Raises:
            UnknownInstrumentError: no venue lists it, or two symbols share the spelling.
        """
        venue = venue.lower()
        prefix, colon, rest = name.partition(":")
        if colon:
            prefix = prefix.strip().lower()
            if venue and venue != prefix:
                raise UnknownInstrumentError(name, venue=venue)
            venue, name = prefix, rest
        found = self._spelled(_plain(name), venue)
        symbols = sorted({instrument.symbol for instrument in found})
        if len(symbols) > 1:
            found = [instrument for instrument in found if instrument.symbol == _dashed(name)]
            if not found:
                raise UnknownInstrumentError(name, venue=venue, near=tuple(symbols), ambiguous=True)
        if not found:
            raise UnknownInstrumentError(name, venue=venue, near=self.near(name, venue=venue))
        return found

    def near(self, name: str, *, venue: str = "") -> tuple[str, ...]:
        """Return symbols that look like `name`, best first."""
        known = [plain for plain in self._spellings if self._spelled(plain, venue)]
        close = difflib.get_close_matches(_plain(name), known, n=NEAR_NAMES, cutoff=0.6)
        symbols = [found.symbol for plain in close for found in self._spelled(plain, venue)]
        return tuple(dict.fromkeys(symbols))[:NEAR_NAMES]

    def _spelled(self, plain: str, venue: str) -> list[Instrument]:
        found = self._spellings.get(plain, [])
        return [instrument for instrument in found if not venue or instrument.venue == venue]
