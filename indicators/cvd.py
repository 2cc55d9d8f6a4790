"""Cumulative volume delta."""

import msgspec

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output
from market.events import Bar


class CVD(msgspec.Struct):
    """Cumulative volume delta: what buyers took less what sellers hit, since it began.

    A trade is bought when the buyer crossed the spread. Of a trade whose side the venue does not
    tell one half counts as bought, so it moves nothing.

    Input: volume and bought volume in base currency, finite.
    Warm-up: one bar; the total begins with its delta.
    Output: base currency, from `-LARGEST` to `LARGEST`, where it stays rather than overflow.
    State: the total and a copy of it from before the last bar.
    Edge: a bar without volume changes nothing. The total counts from wherever it began: only its
    changes can be compared with another chart's.

    References:
        C. M. C. Lee, M. J. Ready, Inferring Trade Direction from Intraday Data, Journal of
        Finance 46, 1991 (what a bought trade is; here the venue says it); T. Chordia,
        R. Roll, A. Subrahmanyam, Order Imbalance, Liquidity, and Market Returns, Journal of
        Financial Economics 65, 2002 (bought less sold).

    Example:
        >>> cvd = CVD()
        >>> [cvd.add(volume, bought) for volume, bought in ((4.0, 3.0), (2.0, 0.0), (1.0, 0.5))]
        [2.0, 0.0, 0.0]
        >>> cvd.correct(1.0, 1.0)
        1.0
    """

    count: int = 0
    total: float = 0.0
    before: tuple[int, float] | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"cvd"`."""
        return "cvd"

    @property
    def warm_up(self) -> int:
        """The total begins with the first bar."""
        return 1

    @property
    def settled(self) -> None:
        """Never: it counts from where it began."""
        return

    @property
    def value(self) -> float | None:
        """The total, or None before the first bar."""
        return self.total if self.count else None

    @property
    def values(self) -> tuple[float | None, ...]:
        """The total alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.volume, bar.buy_volume)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.volume, bar.buy_volume)

    def add(self, volume: float, bought: float) -> float:
        """Take the next bar's volume and the part of it that was bought; return the total."""
        checked(volume)
        checked(bought)
        self.before = (self.count, self.total)
        total = self.total + (bought - (volume - bought))
        self.total = max(-LARGEST, min(LARGEST, total))
        self.count += 1
        return self.total

    def correct(self, volume: float, bought: float) -> float:
        """Take the last bar's volumes again, corrected, and return the total.

        Raises:
            ValueError: there is no last one.
        """
        checked(volume)
        checked(bought)
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count, self.total = self.before
        return self.add(volume, bought)


KIND = BarKind(
    name="cvd",
    meaning="cumulative volume delta: bought less sold since it began",
    inputs=("volume", "buy_volume"),
    outputs=(Output("", "base currency"),),
    make=CVD,
    notes="""A trade is bought when the buyer crossed the spread, as the venue says. Where it does
not say, one half counts as bought and the total stands still. A running total counts from wherever
it began: compare its changes with another chart, not its level.""",
)
