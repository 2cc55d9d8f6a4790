"""What an indicator over another series looks at: a value of bars, of an indicator, or a number."""

from collections.abc import Callable
from math import isfinite
from operator import attrgetter

import msgspec

from indicators.contract import BarIndicator, checked
from market.events import Bar

BAR_VALUES: dict[str, str] = {
    "open": "first price",
    "high": "highest price",
    "low": "lowest price",
    "close": "last price",
    "volume": "size traded",
    "buy_volume": "size traded where the buyer crossed the spread",
    "notional": "price times size traded",
    "count": "number of trades",
}
"""Values of a bar itself that a series may be, and what they are."""

READ: dict[str, Callable[[Bar], float]] = {name: attrgetter(name) for name in BAR_VALUES}
"""How each of them is read."""


class BarValue(msgspec.Struct):
    """One value of the last bar, as an indicator.

    Example:
        >>> from indicators.names import create_series
        >>> create_series("close").indicator.name
        'close'
    """

    field: str
    count: int = 0
    value: float | None = None

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field

    @property
    def warm_up(self) -> int:
        """It is there with the first bar."""
        return 1

    @property
    def settled(self) -> int:
        """It never depends on an earlier bar."""
        return 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """The value alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.value = checked(READ[self.field](bar))
        self.count += 1

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.value = checked(READ[self.field](bar))


class Constant(msgspec.Struct):
    """A number, as an indicator that never changes."""

    value: float
    count: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if not isfinite(self.value):
            raise ValueError(f"a constant of {self.value}: expected a finite number")

    @property
    def name(self) -> str:
        """The number as it is written."""
        return number_text(self.value)

    @property
    def warm_up(self) -> int:
        """It is there with the first bar."""
        return 1

    @property
    def settled(self) -> int:
        """It never depends on a bar."""
        return 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """The number alone."""
        return (self.value,)

    def update(self, _bar: Bar) -> None:
        """Take the next closed bar."""
        self.count += 1

    def revise(self, _bar: Bar) -> None:
        """Take the last bar again, corrected."""
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")


class Series(msgspec.Struct):
    """One value of one indicator, which whoever holds this must feed.

    Attributes:
        name: canonical name, with the output.
        indicator: what computes it; its owner updates and revises it with every bar.
        place: index of the value in the indicator's `values`.
        inputs: values of a bar that it reads, so that a bar can be checked before anyone takes it.
    """

    name: str
    indicator: BarIndicator
    place: int = 0
    inputs: tuple[str, ...] = ()

    @property
    def value(self) -> float | None:
        """The value after the last bar, or None while warming."""
        return self.indicator.values[self.place]


def number_text(value: float) -> str:
    """Return the shortest text that reads back as this number.

    Example:
        >>> number_text(14.0), number_text(2.5)
        ('14', '2.5')
    """
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
