"""What a spec may look at: the fields of bars, books, trades and quotes, and the indicators.

A field has one canonical name however it was written; it is the key of `Observation.values`. Bar
specs see a bar's own fields, indicators over bars, and the book's indicators at the bar's close;
behind an `@` they may name other bars (`filters.places`). Book specs see the book's own fields and
its indicators, quote specs the best prices, trade specs the trade.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from filters.places import PlaceError, parse_place, split
from indicators import names as indicator_names
from indicators.catalogue import KINDS, find_kind, unknown
from indicators.kinds import Kind
from indicators.libraries import library_of
from indicators.names import IndicatorName, IndicatorNameError
from indicators.spelling import did_you_mean
from market.events import Bar, Level, Side, Trade

Stream: TypeAlias = Literal["bar", "book", "trade", "quote"]
STREAMS: tuple[Stream, ...] = ("bar", "book", "trade", "quote")

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


class TradeField(msgspec.Struct, frozen=True):
    """One number of a trade."""

    name: str
    unit: str
    meaning: str
    range: Range
    read: Callable[[Trade], float | None]


Field: TypeAlias = BarField | BookField | TradeField


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

SIDES: dict[Side, float] = {Side.BUY: 1.0, Side.SELL: -1.0, Side.UNKNOWN: 0.0}
WORDS: dict[str, float] = {"buy": SIDES[Side.BUY], "sell": SIDES[Side.SELL]}
"""Words that stand for numbers in trade specs: `side == buy`."""

TRADE_FIELDS: dict[str, TradeField] = {
    field.name: field
    for field in (
        TradeField("price", _QUOTE, "what was paid", _NOT_NEGATIVE, lambda trade: trade.price),
        TradeField("size", _BASE, "how much was traded", _NOT_NEGATIVE, lambda trade: trade.size),
        TradeField(
            "notional",
            _QUOTE,
            "price times size",
            _NOT_NEGATIVE,
            lambda trade: trade.price * trade.size,
        ),
        TradeField(
            "side",
            "buy, sell",
            "who crossed the spread: 1 the buyer, -1 the seller, 0 not known",
            (-1.0, 1.0),
            lambda trade: SIDES[trade.side],
        ),
    )
}
"""What a trade spec may name."""

OWN: dict[Stream, Mapping[str, Field]] = {
    "bar": BAR_FIELDS,
    "book": BOOK_FIELDS,
    "trade": TRADE_FIELDS,
    "quote": BOOK_FIELDS,
}
"""The fields of each stream that are no indicators."""

QUOTE_KINDS = ("book.spread_bps",)
"""Indicators of the book that the best prices alone tell."""

BOOK_ALIASES = {"imbalance": "book.imbalance", "spread_bps": "book.spread_bps"}
"""Short names in book specs; `imbalance(5)` means `book.imbalance(5)`."""


def resolve(text: str, stream: Stream) -> str:
    """Return the canonical name of a field of a stream.

    Raises:
        FieldError: the stream has no such field, or an indicator's numbers are wrong.

    Example:
        >>> resolve("rsi", "bar"), resolve("imbalance(5)", "book"), resolve("rsi@15m", "bar")
        ('rsi(14)', 'book.imbalance(5)', 'rsi(14)@15m')
    """
    written, at, place = text.partition("@")
    if not at:
        return _resolve(text, stream)
    name = _resolve(written, stream)
    if stream != "bar":
        raise FieldError(
            f"'@{place.strip()}': other bars can only be named with `stream: bar`",
            offset=len(written),
        )
    lead = len(written) + 1 + len(place) - len(place.lstrip())
    try:
        return name + parse_place(place.strip()).text
    except PlaceError as error:
        raise FieldError(error.message, offset=lead + error.offset) from None


def _resolve(text: str, stream: Stream) -> str:
    name, lead = text.strip(), len(text) - len(text.lstrip())
    if name in OWN[stream]:
        return name
    before, parenthesis, _ = name.partition("(")
    word = before.rstrip()
    alias = BOOK_ALIASES.get(word) if stream in ("book", "quote") else None
    is_kind = find_kind(word) is not None or find_kind(word.rpartition(".")[0]) is not None
    if alias is None and not is_kind:
        raise FieldError(_unknown(word, bool(parenthesis), stream), offset=lead)
    longer = 0 if alias is None else len(alias) - len(word)
    try:
        indicator = indicator_names.parse((alias or word) + name[len(word) :])
    except IndicatorNameError as error:
        raise FieldError(error.message, offset=lead + max(error.offset - longer, 0)) from None
    wrong = _refuse(indicator, stream)
    if wrong:
        raise FieldError(wrong, offset=lead)
    first, *others = indicator_names.every_output(indicator)
    if others:
        raise FieldError(
            f"{indicator.text!r} has several values: say which, as in {first.text!r}", offset=lead
        )
    return first.text


def _refuse(indicator: IndicatorName, stream: Stream) -> str:
    """Say why an indicator is not of a stream, or nothing."""
    if stream == "bar":
        return ""
    if indicator.reads == "bar":
        return f"{indicator.text!r} is computed from bars: it needs `stream: bar`"
    if stream == "trade":
        return f"{indicator.text!r} is computed from the book: it needs `stream: book`"
    if stream == "quote" and indicator.kind not in QUOTE_KINDS:
        return f"{indicator.text!r} needs more than the best prices: write `stream: book`"
    return ""


def range_of(name: str) -> Range:
    """Return the least and the most value of a field, by its canonical name."""
    own, _ = split(name)
    for fields in OWN.values():
        if own in fields:
            return fields[own].range
    output = indicator_names.output_of(indicator_names.parse(own))
    return output.least, output.most


def names(stream: Stream) -> list[str]:
    """Return every field of a stream with an indicator's defaults, own fields first."""
    return [*OWN[stream], *indicators(stream)]


def indicators(stream: Stream) -> list[str]:
    """Return our own indicators of a stream, each value with its defaults."""
    return [
        each.text
        for kind in KINDS.values()
        if _is_in(kind, stream)
        for each in indicator_names.every_output(indicator_names.parse(indicator_names.usage(kind)))
    ]


def _is_in(kind: Kind, stream: Stream) -> bool:
    if stream == "quote":
        return kind.name in QUOTE_KINDS
    return stream == "bar" or (stream == "book" and kind.reads != "bar")


def _unknown(word: str, called: bool, stream: Stream) -> str:
    own = OWN[stream]
    if library_of(word):
        return unknown(word)
    if word in own:
        return f"{word!r} takes no numbers: write it alone"
    others = [f"`stream: {each}`" for each in STREAMS if each != stream and word in OWN[each]]
    if others:
        return f"{word!r} is a field of {others[0]}, not of `stream: {stream}`"
    kinds = [name for name, kind in KINDS.items() if _is_in(kind, stream)]
    if stream == "bar" and word in BOOK_ALIASES:
        return f"'bar' has no field {word!r}; did you mean {BOOK_ALIASES[word]!r}?"
    known = kinds if called else [*own, *kinds]
    hint = did_you_mean(word, known) or did_you_mean(word.rstrip("0123456789_"), known)
    lower = word.lower()
    is_shouted = lower != word and (
        find_kind(lower) is not None or any(lower in OWN[each] for each in STREAMS)
    )
    if not hint and is_shouted:
        hint = f"; did you mean {lower!r}?"
    return f"{stream!r} has no field {word!r}{hint}"
