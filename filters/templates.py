"""Messages of alerts: text with named values in braces, `{symbol}: RSI {rsi(14):.1f}`.

A name is a fact about the alert (`FACTS`) or a field of the spec's stream. A number may have a
format of Python's kind, bounded in width and digits. Nothing else is possible in braces: no
attribute, index, conversion, position or nested brace.
"""

import re
import string
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from filters import fields
from filters.fields import FieldError, Stream
from indicators.spelling import did_you_mean

LONGEST_TEMPLATE = 1000
LONGEST_MESSAGE = 3500
"""Characters; Telegram takes 4096."""
FACTS = ("symbol", "venue", "series", "interval", "id", "title", "severity", "time")
"""What a template may name besides fields; `time` is the venue's, in UTC."""
UNKNOWN = "n/a"
"""What stands for a value that is not known."""

_FORMAT = re.compile(r"[<>^]?[+ ]?0?[0-9]{0,2},?(?:\.[0-9]{1,2})?[fge%]?")
_MOST_DIGITS = 15
_WIDEST = 40


class TemplateError(ValueError):
    """A template that cannot be used.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the text, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Piece(msgspec.Struct, frozen=True):
    """Text, and then a named value (`name` is empty for the last piece)."""

    text: str
    name: str = ""
    format: str = ""


class Template(msgspec.Struct, frozen=True):
    """A template that has been checked.

    Attributes:
        pieces: in order.
        fields: canonical names of the fields it shows, each once.
    """

    pieces: tuple[Piece, ...]
    fields: tuple[str, ...]

    def render(self, facts: Mapping[str, str], values: Mapping[str, float | None]) -> str:
        """Return the message.

        Args:
            facts: a text for each of `FACTS`.
            values: by canonical field name; what is missing or None is shown as `UNKNOWN`.
        """
        told: list[str] = []
        for piece in self.pieces:
            told.append(piece.text)
            if piece.name in FACTS:
                told.append(facts[piece.name])
            elif piece.name:
                told.append(_shown(values.get(piece.name), piece.format))
        return "".join(told)[:LONGEST_MESSAGE]


@lru_cache(maxsize=1024)
def parse_template(text: str, stream: Stream) -> Template:
    """Check a template.

    Raises:
        TemplateError: a brace is not closed, a name is unknown, a format is not allowed.

    Example:
        >>> template = parse_template("{symbol} RSI {rsi:.1f}, {close}", "bar")
        >>> template.fields
        ('rsi(14)', 'close')
        >>> template.render({"symbol": "BTC-USDT"}, {"rsi(14)": 28.61, "close": 64000.5})
        'BTC-USDT RSI 28.6, 64000.5'
    """
    if len(text) > LONGEST_TEMPLATE:
        raise TemplateError(f"a message of more than {LONGEST_TEMPLATE} characters")
    pieces: list[Piece] = []
    names: dict[str, None] = {}
    offset = 0
    try:
        for literal, name, wanted, conversion in string.Formatter().parse(text):
            if name is None:
                pieces.append(Piece(literal))
                continue
            found = text.find("{" + name, offset)
            offset = found + 1 if found >= 0 else offset
            piece = _piece(literal, name, wanted or "", conversion, offset=offset, stream=stream)
            pieces.append(piece)
            if piece.name not in FACTS:
                names[piece.name] = None
    except TemplateError:
        raise
    except ValueError as error:  # of string.Formatter
        raise TemplateError(
            f"{str(error).lower()}: write {{{{ and }}}} for braces that are text"
        ) from None
    return Template(tuple(pieces), tuple(names))


def value_text(value: float | None) -> str:
    """Return a number with up to ten digits that matter, never in powers of ten if it fits."""
    if value is None:
        return UNKNOWN
    text = f"{value:.10g}"
    if "e-" in text and abs(value) > 1e-12:
        text = f"{value:.16f}".rstrip("0")
    elif "e+" in text and abs(value) < 1e15:
        text = f"{value:.2f}".rstrip("0").rstrip(".")
    return text


def _shown(value: float | None, wanted: str) -> str:
    if value is None or not wanted:
        return value_text(value)
    return format(float(value), wanted)


def _piece(
    literal: str,
    name: str,
    wanted: str,
    conversion: str | None,
    *,
    offset: int,
    stream: Stream,
) -> Piece:
    shown = "{" + name + "}"
    if conversion:
        raise TemplateError(f"'!{conversion}' is not allowed in {shown!r}", offset=offset)
    if not name.strip() or name.strip().isdigit():
        raise TemplateError(
            "braces need a name, as in {symbol}; write {{ and }} for braces that are text",
            offset=offset,
        )
    if name in FACTS:
        if wanted:
            raise TemplateError(f"{shown!r} is text and takes no format {wanted!r}", offset=offset)
        return Piece(literal, name)
    try:
        field = fields.resolve(name, stream)
    except FieldError as error:
        hint = "" if "did you mean" in error.message else did_you_mean(name, FACTS)
        raise TemplateError(error.message + hint, offset=offset + error.offset) from None
    if not _is_allowed(wanted):
        raise TemplateError(
            f"format {wanted!r} of {shown!r} is not allowed: write one such as"
            f" '.2f', '+.1f' or ',.0f' (at most {_MOST_DIGITS} digits)",
            offset=offset,
        )
    return Piece(literal, field, wanted)


def _is_allowed(wanted: str) -> bool:
    if _FORMAT.fullmatch(wanted) is None:
        return False
    width, _, digits = wanted.partition(".")
    wide = "".join(each for each in width if each.isdigit())
    deep = "".join(each for each in digits if each.isdigit())
    return int(wide or 0) <= _WIDEST and int(deep or 0) <= _MOST_DIGITS
