"""What a kind of indicator declares: how it is written, what it reads, what it gives.

Every indicator's file ends with its own declaration, a row of `indicators.catalogue`.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from indicators.contract import BarIndicator, BookIndicator, DepthIndicator

Reads: TypeAlias = Literal["bar", "book", "depth"]
"""Closed bars; the best levels of a book; a whole book and what it was in the last minutes."""

Shown: TypeAlias = Literal["line", "bars", "price"]
"""On a chart: a line or columns in a pane of their own, or a line among the prices."""

LONGEST_WINDOW = 100_000
"""Most bars that a parameter may ask for."""

LONGEST_SEARCHED = 10_000
"""The same where a bar may have its whole window gone through anew: 0.1 ms."""


class Parameter(msgspec.Struct, frozen=True):
    """One number that shapes an indicator, `least` to `most`; `whole` where it counts something."""

    name: str
    default: float
    least: float
    most: float
    meaning: str
    whole: bool = True


class SeriesParameter(msgspec.Struct, frozen=True):
    """One series that an indicator looks at: a value of a bar, or another indicator over bars.

    Attributes:
        name: how it may be named, `series=`.
        default: what is meant when it is left out.
        meaning: one line for people.
        may_be_number: a number is taken too, as a series that never changes.
    """

    name: str
    default: str
    meaning: str
    may_be_number: bool = False


class Output(msgspec.Struct, frozen=True):
    """One value that an indicator gives.

    Attributes:
        name: empty for the only one.
        unit: for people, `"0 to 100"` or `"quote currency"`.
        least: least value, None for no bound.
        most: most value, None for no bound.
        meaning: one line where the name does not say it.
        is_rare: it is there only when there is something to tell, and None otherwise.
        shown: how a chart draws it.
        guides: values at which a chart has a line, as 30 and 70 for the RSI.
    """

    name: str
    unit: str
    least: float | None = None
    most: float | None = None
    meaning: str = ""
    is_rare: bool = False
    shown: Shown = "line"
    guides: tuple[float, ...] = ()


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What all kinds say of themselves.

    Attributes:
        name: what it is called, without parameters.
        meaning: one line for people.
        parameters: in the order in which they are written.
        inputs: fields of what it reads.
        outputs: its values; one without a name where there is only one.
        aliases: other names that are understood.
        refuse: says what is wrong with arguments that are within their limits each; empty if
            nothing is.
        notes: for the generated page: conventions, and where others differ.
    """

    name: str
    meaning: str
    parameters: tuple[Parameter | SeriesParameter, ...] = ()
    inputs: tuple[str, ...]
    outputs: tuple[Output, ...]
    aliases: tuple[str, ...] = ()
    refuse: Callable[..., str] | None = None
    notes: str = ""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of its values; empty for the one value that has no name."""
        return tuple(output.name for output in self.outputs if output.name)


class BarKind(Declared, frozen=True, kw_only=True):
    """A kind of indicator over closed bars.

    Attributes:
        make: builds one, with a value for every parameter: a number, or a `Series`.
        since_midnight: it needs every bar since 00:00 UTC.
    """

    make: Callable[..., BarIndicator]
    since_midnight: bool = False

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "bar"


class BookKind(Declared, frozen=True, kw_only=True):
    """A kind of indicator over the best levels of a book, with no memory."""

    inputs: tuple[str, ...] = ("bids", "asks")
    make: Callable[..., BookIndicator]

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "book"


class DepthKind(Declared, frozen=True, kw_only=True):
    """A kind of indicator over a whole book and what rested in it over time."""

    inputs: tuple[str, ...] = ("all bids", "all asks")
    make: Callable[..., DepthIndicator]

    @property
    def reads(self) -> Reads:
        """What it is computed from."""
        return "depth"


Kind: TypeAlias = BarKind | BookKind | DepthKind


def period(
    default: int,
    *,
    least: int = 2,
    most: int = LONGEST_WINDOW,
    name: str = "period",
    meaning: str = "",
) -> Parameter:
    """Return the parameter that most indicators have: a number of bars."""
    return Parameter(name, default, least, most, meaning or "bars in the window")
