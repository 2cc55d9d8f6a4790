"""Imbalance of the trade flow."""

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.sliding_sum import SlidingSum
from market.events import Bar


class TradeImbalance(msgspec.Struct):
    """Bought less sold volume, as a share of all volume of the last `period` bars.

    A trade is bought when the buyer crossed the spread. Of a trade whose side the venue does not
    tell one half counts as bought, so it pulls the value towards 0.

    Args:
        period: bars in the window; at least 1.

    Input: volume and bought volume in base currency, finite.
    Warm-up: `period` bars.
    Output: dimensionless, -1 (all sold) to 1 (all bought); `None` for the first `period - 1` bars.
    State: the deltas and volumes of the last `period` bars with their sums.
    Edge: 0 when nothing traded in the whole window: neither side pressed. A huge trade weighs for
    `period` bars and leaves no trace after.

    Raises:
        ValueError: `period` is below 1.

    References:
        T. Chordia, R. Roll, A. Subrahmanyam, Order Imbalance, Liquidity, and Market Returns,
        Journal of Financial Economics 65, 2002.

    Example:
        >>> imbalance = TradeImbalance(period=2)
        >>> [imbalance.add(*flow) for flow in ((4.0, 3.0), (4.0, 4.0), (12.0, 0.0))]
        [None, 0.75, -0.5]
        >>> imbalance.correct(12.0, 12.0)
        1.0
    """

    period: int
    count: int = 0
    deltas: SlidingSum = msgspec.field(default_factory=SlidingSum)
    volumes: SlidingSum = msgspec.field(default_factory=SlidingSum)

    def __post_init__(self) -> None:
        """Refuse a window of nothing."""
        if self.period < 1:
            raise ValueError(f"trade_imbalance: period {self.period}: expected 1 or more")
        self.deltas.size = self.volumes.size = self.period

    @property
    def name(self) -> str:
        """Canonical name, `"trade_imbalance(20)"`."""
        return f"trade_imbalance({self.period})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """As soon as it is warm: nothing older than the window matters."""
        return self.period

    @property
    def value(self) -> float | None:
        """The imbalance, or None while warming."""
        if self.count < self.period:
            return None
        volume = self.volumes.total
        return max(-1.0, min(1.0, self.deltas.total / volume)) if volume > 0 else 0.0

    @property
    def values(self) -> tuple[float | None, ...]:
        """The imbalance alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.volume, bar.buy_volume)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.volume, bar.buy_volume)

    def add(self, volume: float, bought: float) -> float | None:
        """Take the next bar's volume and the part of it that was bought; return the imbalance."""
        checked(volume)
        checked(bought)
        self.deltas.add(bought - (volume - bought))
        self.volumes.add(volume)
        self.count += 1
        return self.value

    def correct(self, volume: float, bought: float) -> float | None:
        """Take the last bar's volumes again, corrected, and return the imbalance.

        Raises:
            ValueError: there is no last one.
        """
        checked(volume)
        checked(bought)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.deltas.replace(bought - (volume - bought))
        self.volumes.replace(volume)
        return self.value


KIND = BarKind(
    name="trade_imbalance",
    meaning="bought less sold volume over all volume of the window",
    parameters=(period(20, least=1),),
    inputs=("volume", "buy_volume"),
    outputs=(Output("", "-1 to 1", -1.0, 1.0, shown="bars"),),
    make=TradeImbalance,
    notes="""A trade is bought when the buyer crossed the spread, as the venue says. Where it does
not say, one half counts as bought and the value is pulled towards 0. It is 0 when nothing traded in
the whole window.""",
)
