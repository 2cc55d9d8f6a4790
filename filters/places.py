"""Where a field of a bar spec is read when not from the spec's own bars: `rsi(14)@BTC-USDT@15m`.

A place is a symbol, an interval, or both, each behind an `@`. A symbol may have its venue before
it (`@bybit:BTC-USDT`); without one the venue is that of the bars that the spec looks at.
"""

import re

import msgspec

from market.activity import parse_bar_length
from market.instruments import instrument_id, venue_of

LONGEST_SYMBOL = 40
SYMBOL = re.compile(r"[A-Z0-9.]{1,20}(?:-[A-Z0-9.]{1,20})+")
SUFFIX = re.compile(r"@[ ]*[A-Za-z0-9.:*?/_-]+(?:@[A-Za-z0-9.:*?/_-]*)?", re.ASCII)
"""What may stand behind a field, right or wrong."""
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class PlaceError(ValueError):
    """A text that names no place.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the text, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Place(msgspec.Struct, frozen=True):
    """Other bars than those a spec looks at.

    Attributes:
        symbol: `"BTC-USDT"`; empty for the spec's own.
        interval: of the bars; empty for the spec's own.
        venue: empty for the one of the spec's bars.
    """

    symbol: str = ""
    interval: str = ""
    venue: str = ""

    @property
    def text(self) -> str:
        """As it is written behind a field, with its `@`."""
        venue = f"{self.venue}:" if self.venue else ""
        symbol = f"@{venue}{self.symbol}" if self.symbol else ""
        return symbol + (f"@{self.interval}" if self.interval else "")

    def seen_from(self, series: str, interval: str) -> tuple[str, str]:
        """Return the series and interval that is meant by a spec over some bars."""
        symbol_series = series
        if self.symbol:
            symbol_series = instrument_id(self.venue or venue_of(series), self.symbol)
        return symbol_series, self.interval or interval


def parse_place(text: str) -> Place:
    """Read a place without its first `@`.

    Raises:
        PlaceError: it is none.

    Example:
        >>> parse_place("BTC-USDT@15m"), parse_place("15m").interval
        (Place(symbol='BTC-USDT', interval='15m', venue=''), '15m')
    """
    first, at, second = text.partition("@")
    venue, colon, symbol = first.rpartition(":")
    if at or colon or "-" in first:
        if colon and _VENUE.fullmatch(venue) is None:
            raise PlaceError(f"venue {venue[:40]!r}: expected a lower-case name such as 'binance'")
        if "*" in symbol or "?" in symbol:
            raise PlaceError(
                f"{symbol[:40]!r}: one other symbol at a time, without * and ?",
                offset=len(venue) + len(colon),
            )
        if SYMBOL.fullmatch(symbol) is None or len(symbol) > LONGEST_SYMBOL:
            raise PlaceError(_no_symbol(symbol[:40]), offset=len(venue) + len(colon))
        interval = _interval(second, len(first) + 1) if at else ""
        return Place(symbol, interval, venue)
    return Place("", _interval(first, 0), "")


def split(name: str) -> tuple[str, Place | None]:
    """Return a field's own name, and its place if it has one; `name` is canonical."""
    own, at, place = name.partition("@")
    return (own, parse_place(place)) if at else (name, None)


def _interval(text: str, offset: int) -> str:
    try:
        return parse_bar_length(text).name
    except ValueError as error:
        if SYMBOL.fullmatch(text.upper().replace("/", "-").replace("_", "-")):
            raise PlaceError(_no_symbol(text[:40]), offset=offset) from None
        raise PlaceError(str(error), offset=offset) from None


def _no_symbol(text: str) -> str:
    better = text.upper().replace("/", "-").replace("_", "-")
    hint = f"did you mean {better!r}?" if SYMBOL.fullmatch(better) else "write it as in '@BTC-USDT'"
    return f"{text!r} is no symbol: {hint}"
