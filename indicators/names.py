"""Names of indicators, as people write them and as we keep them.

A name is a kind with its parameters, `rsi(14)`; what has a default may be left out, so `rsi` and
`rsi(period=14)` are the same. Kinds of several outputs take one after a dot: `macd(12,26,9).hist`.
A parameter that is a series is itself a name: `crosses(rsi(14),30)`. The canonical name has every
parameter and no space: it is what features, specs and topics say.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from math import isfinite
from typing import TypeAlias, Union

import msgspec

from indicators.catalogue import find_kind, unknown
from indicators.contract import LARGEST, BarIndicator, BookIndicator, DepthIndicator
from indicators.kinds import (
    BarKind,
    BookKind,
    DepthKind,
    Kind,
    Output,
    Parameter,
    Reads,
    SeriesParameter,
)
from indicators.series import BAR_VALUES, BarValue, Constant, Series, number_text
from indicators.spelling import did_you_mean

DEEPEST = 4
"""How deep names may stand in names."""
LONGEST_NAME = 300

_OUTPUT_CUTOFF = 0.65
"""All outputs are told anyway: 'bars_2' is no guess at 'bearish'."""
_HEAD = re.compile(r"\s*(?P<kind>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*", re.ASCII)
_TAIL = re.compile(r"\s*(?:\.(?P<output>\w*))?\s*", re.ASCII)
_ARGUMENT = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)\s*=\s*)?(?P<value>.*?)\s*", re.ASCII | re.DOTALL
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,22})?|\.[0-9]{1,22})(?:[eE][+-]?[0-9]{1,3})?"
)

Argument: TypeAlias = Union[int, float, "IndicatorName"]


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


class IndicatorName(msgspec.Struct, frozen=True):
    """One value of one indicator: a kind, a value for each parameter, and an output.

    `output` is empty for a kind of one value, and where all of a kind's outputs are meant. A value
    of the bar itself (`close`) is a kind too, but only as a parameter of another.
    """

    kind: str
    arguments: tuple[Argument, ...] = ()
    output: str = ""

    @property
    def indicator(self) -> str:
        """Canonical name without the output: what computes it."""
        listed = ",".join(
            each.text if isinstance(each, IndicatorName) else number_text(each)
            for each in self.arguments
        )
        return f"{self.kind}({listed})" if self.arguments else self.kind

    @property
    def text(self) -> str:
        """Canonical name."""
        return f"{self.indicator}.{self.output}" if self.output else self.indicator

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "bar" if self.kind in BAR_VALUES else _known(self.kind).reads

    @property
    def place(self) -> int:
        """Index of the output in the indicator's `values`."""
        return _known(self.kind).output_names.index(self.output) if self.output else 0

    @property
    def inputs(self) -> frozenset[str]:
        """Every value of a bar that it reads, itself or through its series."""
        if self.kind in BAR_VALUES:
            return frozenset((self.kind,))
        nested = (each.inputs for each in self.arguments if isinstance(each, IndicatorName))
        return frozenset(_known(self.kind).inputs).union(*nested)

    @property
    def since_midnight(self) -> bool:
        """Whether it needs every bar since 00:00 UTC."""
        kind = None if self.kind in BAR_VALUES else _known(self.kind)
        return (isinstance(kind, BarKind) and kind.since_midnight) or any(
            each.since_midnight for each in self.arguments if isinstance(each, IndicatorName)
        )


@lru_cache(maxsize=4096)
def parse(text: str) -> IndicatorName:
    """Read a name as a person writes it.

    Raises:
        IndicatorNameError: no such kind, parameter or output, or a value outside its limits.

    Example:
        >>> parse("rsi").text, parse("book.imbalance( depth = 5 )").text
        ('rsi(14)', 'book.imbalance(5)')
    """
    if len(text) > LONGEST_NAME:
        raise IndicatorNameError(f"a name of more than {LONGEST_NAME} characters")
    parsed = _parse(text, 0)
    if len(parsed.text) > LONGEST_NAME:  # else nobody could read it again
        raise IndicatorNameError(f"with its defaults a name of more than {LONGEST_NAME} characters")
    return parsed


def canonical(text: str) -> str:
    """Return the canonical form of a name.

    Raises:
        IndicatorNameError: as `parse`.
    """
    return parse(text).text


def create_for_bars(name: str | IndicatorName) -> BarIndicator:
    """Build an indicator over bars, fresh; an output in the name makes no difference.

    Raises:
        IndicatorNameError: as `parse`, or it is computed from something else.
    """
    parsed = parse(name) if isinstance(name, str) else name
    kind = _known(parsed.kind)
    if not isinstance(kind, BarKind):
        raise IndicatorNameError(f"{parsed.text!r} is computed from the book, not from bars")
    return kind.make(
        *(
            _series(each, parameter) if isinstance(parameter, SeriesParameter) else each
            for each, parameter in zip(parsed.arguments, kind.parameters, strict=True)
        )
    )


def create_for_book(name: str | IndicatorName) -> BookIndicator:
    """Build an indicator over the best levels of a book.

    Raises:
        IndicatorNameError: as `parse`, or it is computed from something else.
    """
    parsed = parse(name) if isinstance(name, str) else name
    kind = _known(parsed.kind)
    if not isinstance(kind, BookKind):
        source = "bars" if kind.reads == "bar" else "the whole book"
        raise IndicatorNameError(
            f"{parsed.text!r} is computed from {source}, not from the best levels"
        )
    return kind.make(*parsed.arguments)


def create_for_depth(name: str | IndicatorName) -> DepthIndicator:
    """Build an indicator over a whole book.

    Raises:
        IndicatorNameError: as `parse`, or it is computed from something else.
    """
    parsed = parse(name) if isinstance(name, str) else name
    kind = _known(parsed.kind)
    if not isinstance(kind, DepthKind):
        source = "bars" if kind.reads == "bar" else "the best levels"
        raise IndicatorNameError(
            f"{parsed.text!r} is computed from {source}, not from the whole book"
        )
    return kind.make(*parsed.arguments)


def create_series(name: str | IndicatorName) -> Series:
    """Build the series that a name stands for, with an indicator of its own.

    Raises:
        IndicatorNameError: as `parse`, or it is not computed from bars.
    """
    parsed = _parse_series(name, 0) if isinstance(name, str) else name
    inputs = tuple(sorted(parsed.inputs & BAR_VALUES.keys()))
    if parsed.kind in BAR_VALUES:
        return Series(parsed.kind, BarValue(parsed.kind), inputs=inputs)
    return Series(parsed.text, create_for_bars(parsed), parsed.place, inputs)


def usage(kind: Kind) -> str:
    """Return how a kind is written, with its defaults: `"rsi(14)"`."""
    return IndicatorName(kind.name, _defaults(kind)).text


def every_output(name: IndicatorName) -> list[IndicatorName]:
    """Return the values that a name means: itself, or all of its kind's when it names none."""
    outputs = () if name.output else _known(name.kind).output_names
    return [msgspec.structs.replace(name, output=each) for each in outputs] or [name]


def output_of(name: IndicatorName) -> Output:
    """Return what the kind says of the value that a name means; of its first when it names none."""
    return _known(name.kind).outputs[name.place]


def _known(name: str) -> Kind:
    kind = find_kind(name)
    if kind is None:
        raise IndicatorNameError(unknown(name))
    return kind


def _defaults(kind: Kind, depth: int = 0) -> tuple[Argument, ...]:
    return tuple(
        _parse_series(each.default, depth) if isinstance(each, SeriesParameter) else each.default
        for each in kind.parameters
    )


def _series(argument: Argument, parameter: SeriesParameter) -> Series:
    if isinstance(argument, IndicatorName):
        return create_series(argument)
    constant = Constant(float(argument))
    assert parameter.may_be_number  # noqa: S101 - `_parse` let no other number through
    return Series(constant.name, constant)


def _parse(text: str, depth: int) -> IndicatorName:
    head = _HEAD.match(text)
    if head is None:
        raise _no_name(text)
    name, at = head["kind"], head.end()
    arguments: str | None = None
    if text.startswith("(", at):
        closed = _closing(text, at)
        if closed < 0:
            raise _no_name(text)
        arguments = text[at + 1 : closed]
        tail = _TAIL.fullmatch(text, closed + 1)
    else:
        tail = _TAIL.fullmatch(text, at)
        if tail is not None and tail["output"] is not None:
            tail = None  # `rsi .line`: a dot belongs to the word before it
    if tail is None:
        raise _no_name(text)
    output, dot_at = tail["output"], tail.start("output") - 1
    if arguments is None and find_kind(name) is None:
        stem, dot, last = name.rpartition(".")
        if dot and find_kind(stem) is not None:  # an output after defaults: `macd.hist`
            name, output, dot_at = stem, last, head.start("kind") + len(stem)
    kind = find_kind(name)
    if kind is None:
        if name in BAR_VALUES:
            hint = "name one, as in 'rsi(14)'" if arguments is None else "it takes no numbers"
            wrong = f"{name!r} is a value of the bar, not an indicator: {hint}"
        else:
            wrong = unknown(name)
        raise IndicatorNameError(wrong, offset=head.start("kind"))
    given = _arguments(kind, arguments or "", at + 1, depth)
    if output is not None and output not in kind.output_names:
        raise IndicatorNameError(_no_output(kind, output), offset=dot_at)
    wrong = kind.refuse(*given) if kind.refuse is not None else ""
    if wrong:
        raise IndicatorNameError(f"{kind.name}: {wrong}", offset=at)
    return IndicatorName(kind.name, given, output or "")


def _parse_series(text: str, depth: int) -> IndicatorName:
    """Read what a series may be: a value of a bar, or one value of an indicator over bars."""
    name = text.strip()
    lead = len(text) - len(text.lstrip())
    if name in BAR_VALUES:
        return IndicatorName(name)
    if depth > DEEPEST:
        raise IndicatorNameError(f"names nested deeper than {DEEPEST}", offset=lead)
    try:
        parsed = _parse(text, depth)
    except IndicatorNameError as error:
        near = did_you_mean(name, BAR_VALUES) if error.message.startswith("no indicator") else ""
        if near and "did you mean" not in error.message:
            raise IndicatorNameError(error.message + near, offset=error.offset) from None
        raise
    kind = _known(parsed.kind)
    if kind.reads != "bar":
        raise IndicatorNameError(
            f"{parsed.text!r} is computed from the book: a series is of bars", offset=lead
        )
    if kind.output_names and not parsed.output:
        raise IndicatorNameError(
            f"{parsed.text!r} has several values: say which, as in"
            f" '{parsed.text}.{kind.output_names[0]}'",
            offset=lead,
        )
    return parsed


def _closing(text: str, opened: int) -> int:
    """Return where the parenthesis at `opened` is closed, or -1."""
    depth = 0
    for at in range(opened, len(text)):
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
            if not depth:
                return at
    return -1


def _no_name(text: str) -> IndicatorNameError:
    return IndicatorNameError(
        f"{text.strip()!r} is not an indicator: write a name and numbers, as in 'rsi(14)'"
    )


def _no_output(kind: Kind, output: str) -> str:
    names = kind.output_names
    if not names:
        return f"{kind.name!r} has one value: leave out {'.' + output!r}"
    hint = did_you_mean(output, names, cutoff=_OUTPUT_CUTOFF)
    return f"{kind.name!r} has no output {output!r}{hint} (it has {', '.join(names)})"


def _parts(text: str) -> Iterator[str]:
    """Cut at the commas that stand in no parentheses."""
    if not text.strip():
        return
    depth = start = 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _arguments(kind: Kind, text: str, start: int, depth: int) -> tuple[Argument, ...]:
    known = {parameter.name: parameter for parameter in kind.parameters}
    given: dict[str, Argument] = {}
    offset = start
    for index, part in enumerate(_parts(text)):
        at = offset + len(part) - len(part.lstrip())
        match = _ARGUMENT.fullmatch(part)
        assert match is not None  # noqa: S101 - it matches any text
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
        parameter = known[name]
        if isinstance(parameter, SeriesParameter):
            value_at = offset + match.start("value")
            given[name] = _series_argument(kind, parameter, match["value"], value_at, depth)
        else:
            given[name] = _number(kind, parameter, match["value"], at)
        offset += len(part) + 1
    if len(given) < len(known):
        try:
            defaults = _defaults(kind, depth + 1)
        except IndicatorNameError as error:  # deeper than names may stand
            raise IndicatorNameError(f"{kind.name}: {error.message}", offset=start - 1) from None
        given = dict(zip(known, defaults, strict=True)) | given
    return tuple(given[name] for name in known)


def _series_argument(
    kind: Kind, parameter: SeriesParameter, text: str, at: int, depth: int
) -> Argument:
    if _NUMBER.fullmatch(text):
        if parameter.may_be_number:
            value = float(text)
            if abs(value) >= LARGEST:
                raise IndicatorNameError(
                    f"{kind.name}: {parameter.name} {text!r}: too large", offset=at
                )
            return value
        raise IndicatorNameError(
            f"{kind.name}: {parameter.name} {text!r}: expected a series, as in {usage(kind)!r}",
            offset=at,
        )
    try:
        return _parse_series(text, depth + 1)
    except IndicatorNameError as error:
        raise IndicatorNameError(error.message, offset=at + error.offset) from None


def _number(kind: Kind, parameter: Parameter, text: str, at: int) -> int | float:
    limits = f"{number_text(parameter.least)} to {number_text(parameter.most)}"
    pattern, expected = (_WHOLE, "a whole number") if parameter.whole else (_NUMBER, "a number")
    if pattern.fullmatch(text) is None:
        shown = text if len(text) <= 20 else f"{text[:20]}…"
        raise IndicatorNameError(
            f"{kind.name}: {parameter.name} {shown!r}: expected {expected}, {limits}", offset=at
        )
    value = int(text) if parameter.whole else float(text)
    if not (isfinite(value) and parameter.least <= value <= parameter.most):
        raise IndicatorNameError(
            f"{kind.name}: {parameter.name} {number_text(value)}: expected {limits}", offset=at
        )
    return value
