"""The indicators there are: their names, parameters and limits, what they read and give.

A name is a kind with its parameters, `rsi(14)`; what has a default may be left out, so `rsi` and
`rsi(period=14)` are the same. Kinds of several outputs take one after a dot: `kind(1, 2).output`.
The canonical name has every parameter and no space: it is what features, specs and topics say.
"""

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from indicators.book_imbalance import CountImbalance, SpreadBps, VolumeImbalance
from indicators.contract import BarIndicator, BookIndicator
from indicators.ema import EMA
from indicators.rsi import RSI
from indicators.spelling import did_you_mean
from market.book import REFILL

Reads: TypeAlias = Literal["bar", "book"]

LONGEST_WINDOW = 100_000
_NAME = re.compile(
    r"\s*(?P<kind>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*"
    r"(?:\((?P<arguments>[^()]*)\)\s*(?:\.(?P<output>\w*))?)?\s*",
    re.ASCII,
)
_ARGUMENT = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)\s*=\s*)?(?P<value>.*?)\s*", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


class IndicatorNameError(ValueError):
    """A name that names no indicator.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the name, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Parameter(msgspec.Struct, frozen=True):
    """One whole number that shapes an indicator, `least` to `most`."""

    name: str
    default: int
    least: int
    most: int
    meaning: str


class BarKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of indicator over bars.

    Attributes:
        name: what it is called, without parameters.
        meaning: one line for people.
        parameters: in the order in which they are written.
        inputs: fields of a bar that it reads.
        outputs: names of its values; empty for the one value that has no name.
        unit: of its values.
        range: least and most value it can give, None for no bound.
        make: builds one, with a value for every parameter.
    """

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    unit: str
    range: tuple[float | None, float | None] = (None, None)
    make: Callable[..., BarIndicator]

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "bar"


class BookKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of indicator over a book; attributes as in `BarKind`."""

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    inputs: tuple[str, ...] = ("bids", "asks")
    outputs: tuple[str, ...] = ()
    unit: str
    range: tuple[float | None, float | None] = (None, None)
    make: Callable[..., BookIndicator]

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "book"


Kind: TypeAlias = BarKind | BookKind


def _period(default: int) -> Parameter:
    return Parameter("period", default, 2, LONGEST_WINDOW, "bars in the window")


_DEPTH = Parameter("depth", REFILL, 1, REFILL, "levels a side")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        BarKind(
            name="rsi",
            meaning="relative strength index, Wilder's smoothing",
            parameters=(_period(14),),
            inputs=("close",),
            unit="0 to 100",
            range=(0.0, 100.0),
            make=RSI,
        ),
        BarKind(
            name="ema",
            meaning="exponential moving average of the close",
            parameters=(_period(20),),
            inputs=("close",),
            unit="quote currency",
            make=EMA,
        ),
        BookKind(
            name="book.imbalance",
            meaning="(bid size - ask size) / (bid size + ask size) over the best levels",
            parameters=(_DEPTH,),
            unit="-1 to 1",
            range=(-1.0, 1.0),
            make=VolumeImbalance,
        ),
        BookKind(
            name="book.count_imbalance",
            meaning="the same with the number of levels in the band that both sides fill",
            parameters=(_DEPTH,),
            unit="-1 to 1",
            range=(-1.0, 1.0),
            make=CountImbalance,
        ),
        BookKind(
            name="book.spread_bps",
            meaning="best ask less best bid",
            parameters=(),
            unit="basis points of the mid price",
            make=SpreadBps,
        ),
    )
}
"""Every kind by its name."""


class IndicatorName(msgspec.Struct, frozen=True):
    """One value of one indicator: a kind, a value for each parameter, and an output.

    `output` is empty for a kind of one value, and where all of a kind's outputs are meant.
    """

    kind: str
    arguments: tuple[int, ...]
    output: str = ""

    @property
    def indicator(self) -> str:
        """Canonical name without the output: what computes it."""
        listed = ",".join(map(str, self.arguments))
        return f"{self.kind}({listed})" if self.arguments else self.kind

    @property
    def text(self) -> str:
        """Canonical name."""
        return f"{self.indicator}.{self.output}" if self.output else self.indicator

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return KINDS[self.kind].reads

    @property
    def place(self) -> int:
        """Index of the output in the indicator's `values`."""
        return KINDS[self.kind].outputs.index(self.output) if self.output else 0


def parse(text: str) -> IndicatorName:
    """Read a name as a person writes it.

    Raises:
        IndicatorNameError: no such kind, parameter or output, or a value outside its limits.

    Example:
        >>> parse("rsi").text, parse("book.imbalance( depth = 5 )").text
        ('rsi(14)', 'book.imbalance(5)')
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise IndicatorNameError(
            f"{text.strip()!r} is not an indicator: write a name and numbers, as in 'rsi(14)'"
        )
    name, output, dot_at = match["kind"], match["output"], match.start("output") - 1
    if name not in KINDS and output is None and match["arguments"] is None:
        stem, dot, last = name.rpartition(".")
        if dot and stem in KINDS:  # an output after defaults: `kind.output`
            name, output, dot_at = stem, last, match.start("kind") + len(stem)
    kind = KINDS.get(name)
    if kind is None:
        raise IndicatorNameError(
            f"no indicator {name!r}{did_you_mean(name, KINDS)}", offset=match.start("kind")
        )
    arguments = _arguments(kind, match["arguments"] or "", match.start("arguments"))
    if output is not None and output not in kind.outputs:
        raise IndicatorNameError(_no_output(kind, output), offset=dot_at)
    return IndicatorName(kind.name, arguments, output or "")


def canonical(text: str) -> str:
    """Return the canonical form of a name.

    Raises:
        IndicatorNameError: as `parse`.
    """
    return parse(text).text


def create(name: str | IndicatorName) -> BarIndicator | BookIndicator:
    """Build the indicator behind a name, fresh; an output in the name makes no difference.

    Raises:
        IndicatorNameError: as `parse`.
    """
    parsed = parse(name) if isinstance(name, str) else name
    return KINDS[parsed.kind].make(*parsed.arguments)


def create_for_bars(name: str | IndicatorName) -> BarIndicator:
    """Build an indicator over bars.

    Raises:
        IndicatorNameError: as `parse`, or it is computed from something else.
    """
    parsed = parse(name) if isinstance(name, str) else name
    kind = KINDS[parsed.kind]
    if isinstance(kind, BookKind):
        raise IndicatorNameError(f"{parsed.text!r} is computed from the book, not from bars")
    return kind.make(*parsed.arguments)


def create_for_book(name: str | IndicatorName) -> BookIndicator:
    """Build an indicator over a book.

    Raises:
        IndicatorNameError: as `parse`, or it is computed from something else.
    """
    parsed = parse(name) if isinstance(name, str) else name
    kind = KINDS[parsed.kind]
    if isinstance(kind, BarKind):
        raise IndicatorNameError(f"{parsed.text!r} is computed from bars, not from the book")
    return kind.make(*parsed.arguments)


def usage(kind: Kind) -> str:
    """Return how a kind is written, with its defaults: `"rsi(14)"`."""
    return IndicatorName(kind.name, tuple(each.default for each in kind.parameters)).text


def _no_output(kind: Kind, output: str) -> str:
    if not kind.outputs:
        return f"{kind.name!r} has one value: leave out {'.' + output!r}"
    return (
        f"{kind.name!r} has no output {output!r}{did_you_mean(output, kind.outputs)}"
        f" (it has {', '.join(kind.outputs)})"
    )


def _arguments(kind: Kind, text: str, start: int) -> tuple[int, ...]:
    known = {parameter.name: parameter for parameter in kind.parameters}
    given: dict[str, int] = {}
    offset = start
    for index, part in enumerate(text.split(",") if text.strip() else ()):
        at = offset + len(part) - len(part.lstrip())
        offset += len(part) + 1
        match = _ARGUMENT.fullmatch(part)
        if match is None:  # a line break
            raise IndicatorNameError(f"{kind.name}: expected a whole number", offset=at)
        name = match["name"]
        if name is None:
            if index >= len(kind.parameters):
                raise IndicatorNameError(
                    f"too many numbers: write {usage(kind)!r} or leave them out", offset=at
                )
            name = kind.parameters[index].name
        elif name not in known:
            raise IndicatorNameError(
                f"{kind.name!r} has no parameter {name!r}"
                f"{did_you_mean(name, known)} (write {usage(kind)!r})",
                offset=at,
            )
        if name in given:
            raise IndicatorNameError(f"{kind.name}: {name!r} is given twice", offset=at)
        given[name] = _value(kind, known[name], match["value"], at)
    return tuple(given.get(each.name, each.default) for each in kind.parameters)


def _value(kind: Kind, parameter: Parameter, text: str, at: int) -> int:
    limits = f"{parameter.least} to {parameter.most}"
    if _WHOLE.fullmatch(text) is None:
        shown = text if len(text) <= 20 else f"{text[:20]}…"
        raise IndicatorNameError(
            f"{kind.name}: {parameter.name} {shown!r}: expected a whole number, {limits}",
            offset=at,
        )
    value = int(text)
    if not parameter.least <= value <= parameter.most:
        raise IndicatorNameError(
            f"{kind.name}: {parameter.name} {value}: expected {limits}", offset=at
        )
    return value
