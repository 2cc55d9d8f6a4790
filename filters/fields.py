"""What a spec may look at: the fields of bars and of books, and the indicators.

A field has one canonical name however it was written; it is the key of `Observation.values`. Bar
specs see a bar's own fields, indicators over bars, and the book's indicators at the bar's close.
Book specs see the book's own fields and its indicators.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from indicators import names as indicator_names
from indicators.catalogue import KINDS, find_kind, unknown
from indicators.kinds import Kind
from indicators.libraries import library_of
from indicators.names import IndicatorNameError
from indicators.spelling import did_you_mean
from market.events import Bar, Level

Stream: TypeAlias = Literal["bar", "book"]
STREAMS: tuple[Stream, ...] = ("bar", "book")

Range: TypeAlias = tuple[float | None, float | None]
"""Least and most value; None for no bound."""

_UNBOUNDED: Range = (None, None)
_NOT_NEGATIVE: Range = (0.0, None)


class FieldError(ValueError):
    """A name that is no field of a stream.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the name, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class BarField(msgspec.Struct, frozen=True):
    """One number of a bar."""

    name: str
    unit: str
    meaning: str
    range: Range
    read: Callable[[Bar], float | None]


class BookField(msgspec.Struct, frozen=True):
    """One number of a book's levels, best first; None when they do not tell it."""

    name: str
    unit: str
    meaning: str
    range: Range
    read: Callable[[Sequence[Level], Sequence[Level]], float | None]


def _vwap(bar: Bar) -> float | None:
    return bar.vwap


def _change_bps(bar: Bar) -> float | None:
    return (bar.close - bar.open) / bar.open * 10_000 if bar.open > 0 else None


def _range_bps(bar: Bar) -> float | None:
    return (bar.high - bar.low) / bar.low * 10_000 if bar.low > 0 else None


def _spread(bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
    return asks[0][0] - bids[0][0] if bids and asks else None


def _mid(bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
    return (bids[0][0] + asks[0][0]) / 2 if bids and asks else None


_QUOTE = "quote currency"
_BASE = "base currency"
_BPS = "basis points"

BAR_FIELDS: dict[str, BarField] = {
    field.name: field
    for field in (
        BarField("open", _QUOTE, "first price", _NOT_NEGATIVE, lambda bar: bar.open),
        BarField("high", _QUOTE, "highest price", _NOT_NEGATIVE, lambda bar: bar.high),
        BarField("low", _QUOTE, "lowest price", _NOT_NEGATIVE, lambda bar: bar.low),
        BarField("close", _QUOTE, "last price", _NOT_NEGATIVE, lambda bar: bar.close),
        BarField("volume", _BASE, "size traded", _NOT_NEGATIVE, lambda bar: bar.volume),
        BarField(
            "buy_volume",
            _BASE,
            "size traded where the buyer crossed the spread",
            _NOT_NEGATIVE,
            lambda bar: bar.buy_volume,
        ),
        BarField(
            "notional", _QUOTE, "price times size traded", _NOT_NEGATIVE, lambda bar: bar.notional
        ),
        BarField(
            "bar_vwap", _QUOTE, "mean price of the bar, weighted by size", _NOT_NEGATIVE, _vwap
        ),
        BarField("count", "trades", "number of trades", _NOT_NEGATIVE, lambda bar: bar.count),
        BarField("change_bps", _BPS, "close against the bar's open", _UNBOUNDED, _change_bps),
        BarField("range_bps", _BPS, "high less low, against the low", _NOT_NEGATIVE, _range_bps),
    )
}
"""What a bar spec may name besides indicators."""

BOOK_FIELDS: dict[str, BookField] = {
    field.name: field
    for field in (
        BookField(
            "best_bid",
            _QUOTE,
            "highest bid",
            _NOT_NEGATIVE,
            lambda bids, _: bids[0][0] if bids else None,
        ),
        BookField(
            "best_ask",
            _QUOTE,
            "lowest ask",
            _NOT_NEGATIVE,
            lambda _, asks: asks[0][0] if asks else None,
        ),
        BookField(
            "bid_size",
            _BASE,
            "size at the highest bid",
            _NOT_NEGATIVE,
            lambda bids, _: bids[0][1] if bids else None,
        ),
        BookField(
            "ask_size",
            _BASE,
            "size at the lowest ask",
            _NOT_NEGATIVE,
            lambda _, asks: asks[0][1] if asks else None,
        ),
        BookField("spread", _QUOTE, "lowest ask less highest bid", _UNBOUNDED, _spread),
        BookField("mid", _QUOTE, "half way between them", _NOT_NEGATIVE, _mid),
    )
}
"""What a book spec may name besides indicators."""

BOOK_ALIASES = {"imbalance": "book.imbalance", "spread_bps": "book.spread_bps"}
"""Short names in book specs; `imbalance(5)` means `book.imbalance(5)`."""


def resolve(text: str, stream: Stream) -> str:
    """Return the canonical name of a field of a stream.

    Raises:
        FieldError: the stream has no such field, or an indicator's numbers are wrong.

    Example:
        >>> resolve("rsi", "bar"), resolve("imbalance(5)", "book")
        ('rsi(14)', 'book.imbalance(5)')
    """
    name, lead = text.strip(), len(text) - len(text.lstrip())
    if name in (BAR_FIELDS if stream == "bar" else BOOK_FIELDS):
        return name
    before, parenthesis, _ = name.partition("(")
    word = before.rstrip()
    alias = BOOK_ALIASES.get(word) if stream == "book" else None
    is_kind = find_kind(word) is not None or find_kind(word.rpartition(".")[0]) is not None
    if alias is None and not is_kind:
        raise FieldError(_unknown(word, bool(parenthesis), stream), offset=lead)
    longer = 0 if alias is None else len(alias) - len(word)
    try:
        indicator = indicator_names.parse((alias or word) + name[len(word) :])
    except IndicatorNameError as error:
        raise FieldError(error.message, offset=lead + max(error.offset - longer, 0)) from None
    if stream == "book" and indicator.reads == "bar":
        raise FieldError(
            f"{indicator.text!r} is computed from bars: it needs `stream: bar`", offset=lead
        )
    first, *others = indicator_names.every_output(indicator)
    if others:
        raise FieldError(
            f"{indicator.text!r} has several values: say which, as in {first.text!r}", offset=lead
        )
    return first.text


def range_of(name: str) -> Range:
    """Return the least and the most value of a field, by its canonical name."""
    field = BAR_FIELDS.get(name) or BOOK_FIELDS.get(name)
    if field is not None:
        return field.range
    output = indicator_names.output_of(indicator_names.parse(name))
    return output.least, output.most


def names(stream: Stream) -> list[str]:
    """Return every field of a stream with an indicator's defaults, own fields first."""
    own = BAR_FIELDS if stream == "bar" else BOOK_FIELDS
    return [*own, *_indicators(stream)]


def _indicators(stream: Stream) -> list[str]:
    return [
        each.text
        for kind in KINDS.values()
        if _is_in(kind, stream)
        for each in indicator_names.every_output(indicator_names.parse(indicator_names.usage(kind)))
    ]


def _is_in(kind: Kind, stream: Stream) -> bool:
    return stream == "bar" or kind.reads != "bar"


def _unknown(word: str, called: bool, stream: Stream) -> str:
    own = BAR_FIELDS if stream == "bar" else BOOK_FIELDS
    other: Stream = "book" if stream == "bar" else "bar"
    if library_of(word):
        return unknown(word)
    if word in own:
        return f"{word!r} takes no numbers: write it alone"
    if word in (BOOK_FIELDS if stream == "bar" else BAR_FIELDS):
        return f"{word!r} is a field of `stream: {other}`, not of `stream: {stream}`"
    kinds = [name for name, kind in KINDS.items() if _is_in(kind, stream)]
    if stream == "bar" and word in BOOK_ALIASES:
        return f"'bar' has no field {word!r}; did you mean {BOOK_ALIASES[word]!r}?"
    known = kinds if called else [*own, *kinds]
    hint = did_you_mean(word, known) or did_you_mean(word.rstrip("0123456789_"), known)
    return f"{stream!r} has no field {word!r}{hint}"
