"""Bar lengths that are no time: `"100tick"`, `"2.5volume"`, `"1000000dollar"`."""

import re
from enum import StrEnum

import msgspec

from market.intervals import Interval


class Measure(StrEnum):
    """What is counted until a bar is full."""

    TICK = "tick"
    VOLUME = "volume"
    DOLLAR = "dollar"


_KINDS = "|".join(Measure)
# No leading and no trailing zero: they would make two names of one length.
_NAME = re.compile(rf"((?:0|[1-9][0-9]{{0,14}})(?:\.[0-9]{{0,8}}[1-9])?)({_KINDS})")


class Activity(msgspec.Struct, frozen=True):
    """How much must be traded until a bar is full.

    Attributes:
        name: as a person writes it, `"2.5volume"`.
        measure: trades, their size, or their price times size.
        amount: number of trades, base currency, or quote currency, by the measure; > 0. `dollar`
            is the usual word for the last, whatever currency that is.

    Example:
        >>> Activity.parse("2.5volume").amount
        2.5
    """

    name: str
    measure: Measure
    amount: float

    @classmethod
    def parse(cls, text: str) -> "Activity":
        """Read `"100tick"`, `"2.5volume"` or `"1000000dollar"`.

        Raises:
            ValueError: not an amount above zero and a measure; ticks that are no whole number.
        """
        match = _NAME.fullmatch(text)
        if match is None or match[1] == "0":
            raise ValueError(
                f"bar length {text!r}: expected an amount and one of tick, volume, dollar,"
                " as in '2.5volume'"
            )
        measure = Measure(match[2])
        if measure is Measure.TICK and "." in match[1]:
            raise ValueError(f"bar length {text!r}: ticks are counted, so it must be whole")
        return cls(text, measure, float(match[1]))


def parse_bar_length(text: str) -> Interval | Activity:
    """Read any length of a bar: a time such as `"5m"`, or an activity such as `"100tick"`.

    Raises:
        ValueError: it is neither.

    Example:
        >>> [parse_bar_length(text).name for text in ("5m", "100tick")]
        ['5m', '100tick']
    """
    if text.endswith(tuple(Measure)):
        return Activity.parse(text)
    if text[-1:] not in tuple("smhdw"):
        raise ValueError(
            f"bar length {text!r}: expected a time, as in '5m', or an amount, as in '100tick',"
            " '2.5volume' or '1000000dollar'"
        )
    return Interval.parse(text)
