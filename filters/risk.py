"""Where a position is left, and how large it may be: the `risk:` of a strategy."""

import re
from typing import Literal, TypeAlias

import msgspec

from filters import grammar
from filters.fields import OWN, Stream
from filters.relations import GrammarError
from filters.trees import number_text
from indicators.names import output_of, parse

Direction: TypeAlias = Literal["long", "short"]
DIRECTIONS: tuple[Direction, ...] = ("long", "short")
SIGNS: dict[Direction, float] = {"long": 1.0, "short": -1.0}

LARGEST_PERCENT = 50.0
LARGEST_FACTOR = 100.0
PRICE_UNIT = "quote currency"
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_PERCENT = re.compile(rf"{_NUMBER}\s*%")
_TIMES = re.compile(rf"(\S.*?)\s*\*\s*{_NUMBER}")
_MOVED = re.compile(rf"(\S.*?)(?:\s*([+-])\s*{_NUMBER}\s*%)?")
_EXAMPLES = "as in 'support - 0.1%', 'atr(14)*2' or '2%'"


class PriceRule(msgspec.Struct, frozen=True, kw_only=True):
    """A price at which a position is left.

    Attributes:
        field: canonical name; empty where a share of the entry price is the distance.
        factor: so many times the field are the distance; 0 where the field is the price itself.
        percent: the share, in per cent; or by how much the field's price is moved.
    """

    field: str = ""
    factor: float = 0.0
    percent: float = 0.0

    @property
    def text(self) -> str:
        """As a person writes it."""
        if not self.field:
            return f"{number_text(self.percent)}%"
        if self.factor:
            return f"{self.field}*{number_text(self.factor)}"
        if not self.percent:
            return self.field
        sign = "+" if self.percent > 0 else "-"
        return f"{self.field} {sign} {number_text(abs(self.percent))}%"

    def price(self, entry: float, sign: float, values: dict[str, float | None]) -> float | None:
        """Return the price; None where the field is not known.

        Args:
            entry: price of the entry.
            sign: 1 for a distance above it, -1 for one below.
            values: at the entry.
        """
        if not self.field:
            return entry * (1 + sign * self.percent / 100)
        value = values.get(self.field)
        if value is None:
            return None
        if self.factor:
            return entry + sign * self.factor * value
        return value * (1 + self.percent / 100)


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy risks.

    Attributes:
        stop: where it is wrong.
        target: where it has earned enough; None to wait for the exit.
        budget: of `equity`, lost at the stop; per cent.
        equity: what the paper account has, quote currency. It does not change with what is won.
    """

    stop: PriceRule
    target: PriceRule | None = None
    budget: float = 1.0
    equity: float = 10_000.0

    @property
    def fields(self) -> tuple[str, ...]:
        """Canonical names of what it reads."""
        rules = (self.stop, self.target)
        return tuple(dict.fromkeys(rule.field for rule in rules if rule and rule.field))


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """What makes signals of a spec: its `when` is the entry, its `until` the exit.

    Attributes:
        side: `long` gains when the price rises, `short` when it falls.
        risk: where it is left at the latest, and how large it is.
    """

    side: Direction = "long"
    risk: Risk

    def fields(self, stream: Stream) -> tuple[str, ...]:
        """Canonical names of what it reads of the moments of a stream."""
        return tuple(dict.fromkeys((*PRICES[stream], *self.risk.fields)))


PRICES: dict[Stream, tuple[str, ...]] = {
    "bar": ("open", "high", "low", "close"),
    "book": ("best_bid", "best_ask"),
    "quote": ("best_bid", "best_ask"),
    "trade": ("price",),
}
"""What tells a strategy the price."""


class RiskError(ValueError):
    """A stop or target that cannot be read.

    Args:
        message: for a person; lower case, no full stop.
        offset: of the wrong character in the text.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def parse_rule(text: str, stream: Stream) -> PriceRule:
    """Read a stop or a target.

    Raises:
        RiskError: it is none.

    Example:
        >>> parse_rule("atr*2", "bar").text, parse_rule("support - 0.1%", "bar").text
        ('atr(14)*2', 'support(1) - 0.1%')
        >>> parse_rule("2%", "bar").price(100.0, -1.0, {})
        98.0
    """
    text = text.strip()
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        share = float(percent[1])
        if not 0 < share <= LARGEST_PERCENT:
            raise RiskError(f"{text!r}: expected above 0% and at most {LARGEST_PERCENT:g}%")
        return PriceRule(percent=share)
    times = _TIMES.fullmatch(text)
    if times is not None:
        factor = float(times[2])
        if not 0 < factor <= LARGEST_FACTOR:
            raise RiskError(f"{text!r}: expected above 0 and at most {LARGEST_FACTOR:g} times")
        return PriceRule(field=_field(times[1], stream), factor=factor)
    moved = _MOVED.fullmatch(text)
    if moved is None:
        raise RiskError(f"expected a price or a distance, {_EXAMPLES}")
    share = float(moved[3] or 0)
    if share > LARGEST_PERCENT:
        raise RiskError(f"{text!r}: expected at most {LARGEST_PERCENT:g}%")
    return PriceRule(
        field=_field(moved[1], stream), percent=-share if moved[2] == "-" and share else share
    )


def _field(text: str, stream: Stream) -> str:
    try:
        operand = grammar.parse_operand(text, stream)
    except GrammarError as error:
        is_told = "did you mean" in error.message or "`" in error.message
        hint = "" if is_told else f": write one {_EXAMPLES}"
        raise RiskError(f"{error.message}{hint}", error.offset) from None
    name = operand.value
    if isinstance(name, str) and "@" in name:
        place = name.index("@")
        raise RiskError(
            f"a stop or target is of the filter's own bars: leave out {name[place:]!r}",
            text.index("@"),
        )
    if not isinstance(name, str):
        raise RiskError(f"{text!r}: expected a price or a distance, {_EXAMPLES}")
    own = OWN[stream].get(name)
    unit = own.unit if own is not None else output_of(parse(name)).unit
    if unit != PRICE_UNIT:
        raise RiskError(f"{name!r} is no price (its unit: {unit}): write one {_EXAMPLES}")
    return name
