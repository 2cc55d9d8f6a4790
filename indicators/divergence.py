"""Regular divergence between price and an oscillator."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from indicators import inner_series
from indicators.contract import checked
from indicators.kinds import BarKind, Output, Parameter, SeriesParameter
from indicators.series import Series
from market.events import Bar

WIDEST_WING = 50
LONGEST_SPAN = 5000


class Pivot(msgspec.Struct, frozen=True):
    """A turning point of the price.

    Attributes:
        number: of its bar, from 1.
        price: the bar's low or high.
        oscillator: its value after that bar; None while it was warming.
    """

    number: int
    price: float
    oscillator: float | None


class _Row(msgspec.Struct, frozen=True):
    low: float
    high: float
    oscillator: float | None


_Kept: TypeAlias = tuple[tuple[_Row, ...], Pivot | None, Pivot | None]


class Divergence(msgspec.Struct):
    """Price that goes further while the oscillator does not.

    A pivot low is a bar whose low is below the lows of the `wing` bars before it and not above
    those of the `wing` bars after it; of equal lows the first counts. It is known `wing` bars
    later. A pivot high is the same with highs, upside down. Each pivot is held against the one of
    its kind before it, if that is at most `span` bars older, and the oscillator is read at the two
    bars themselves:

    * bullish: the price made a lower low and the oscillator a higher one;
    * bearish: the price made a higher high and the oscillator a lower one.

    It is told once, at the bar by which the second pivot is known.

    Args:
        series: the oscillator.
        wing: bars on either side of a pivot; at least 1.
        span: most bars from the first pivot to the second; more than `wing`, because no two pivots
            of a kind are nearer than that.

    Input: high and low of a bar, in quote currency, and what the oscillator takes.
    Warm-up: the bar by which a second pivot can be known at the earliest, `2 * wing + 1` bars after
    a first one at which the oscillator has a value.
    Output: `signal` is +1 bullish, -1 bearish, 0 neither; `None` while warming. With a signal, the
    two pivots, the older one first: `price_1`, `price_2` in quote currency, `oscillator_1`,
    `oscillator_2` in its unit, `bars_1`, `bars_2` in bars before this one; otherwise `None`.
    State: the oscillator, the last `2 * wing + 1` bars, the last two pivots of each kind, and a
    copy from before the last bar.
    Edge: equal prices or equal oscillator values at the two pivots tell nothing. One bar may be
    both a low and a high; when both would tell, they contradict each other and the signal is 0. A
    market that does not move has no pivots.

    Raises:
        ValueError: `wing` is below 1, or `span` is not above `wing`.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978, RSI chapter: divergence.

    Example:
        >>> from indicators.series import BarValue
        >>> divergence = Divergence(Series("volume", BarValue("volume")), wing=1, span=10)
        >>> for low, volume in ((9, 5), (7, 2), (9, 5), (6, 3), (9, 5)):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=9.0,
        ...               high=9.0, low=float(low), close=9.0, volume=float(volume), buy_volume=0.0,
        ...               notional=0.0, count=1)
        ...     divergence.update(bar)
        >>> divergence.values
        (1.0, 7.0, 6.0, 2.0, 3.0, 3.0, 1.0)
    """

    series: Series
    wing: int
    span: int
    count: int = 0
    rows: tuple[_Row, ...] = ()
    low: Pivot | None = None
    high: Pivot | None = None
    signal: int = 0
    pair: tuple[Pivot, Pivot] | None = None
    before: _Kept | None = None

    def __post_init__(self) -> None:
        """Refuse what no two pivots can meet."""
        if self.wing < 1:
            raise ValueError(f"divergence: wing {self.wing}: expected 1 or more")
        wrong = refuse(self.series, self.wing, self.span)
        if wrong:
            raise ValueError(f"divergence: {wrong}")

    @property
    def name(self) -> str:
        """Canonical name, `"divergence(rsi(14),3,60)"`."""
        return f"divergence({self.series.name},{self.wing},{self.span})"

    @property
    def warm_up(self) -> int:
        """Bars until the first signal that can be, that one included."""
        first = max(inner_series.warm_up(self.series), self.wing + 1)
        return first + 2 * self.wing + 1

    @property
    def settled(self) -> int | None:
        """Bars until no pivot in reach is missing or has an unsettled value."""
        bars = inner_series.settled(self.series)
        return None if bars is None else self._reach(bars)

    @property
    def reach(self) -> int:
        """Bars until no pivot in reach is missing, whether the oscillator has settled or not."""
        return self._reach(inner_series.warm_up(self.series))

    @property
    def values(self) -> tuple[float | None, ...]:
        """The signal, and the two pivots where there is one."""
        if self.count < self.warm_up:
            return (None,) * 7
        if self.pair is None:
            return (0.0,) + (None,) * 6
        first, second = self.pair
        return (
            float(self.signal),
            first.price,
            second.price,
            first.oscillator,
            second.oscillator,
            float(self.count - first.number),
            float(self.count - second.number),
        )

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        _check(bar)
        inner_series.update(bar, self.series)
        self.before = (self.rows, self.low, self.high)
        self.count += 1
        self._look(bar)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        _check(bar)
        inner_series.revise(bar, self.series)
        self.rows, self.low, self.high = self.before
        self._look(bar)

    def _reach(self, bars: int) -> int:
        return max(bars, self.wing + 1) + self.span + self.wing

    def _look(self, bar: Bar) -> None:
        wing = self.wing
        rows = (*self.rows, _Row(bar.low, bar.high, self.series.value))[-2 * wing - 1 :]
        self.rows = rows
        self.signal, self.pair = 0, None
        if len(rows) <= 2 * wing:
            return
        row, number = rows[wing], self.count - wing
        bullish = bearish = None
        if _is_lowest([each.low for each in rows], wing):
            low = Pivot(number, row.low, row.oscillator)
            bullish = self._pair(self.low, low, sign=1)
            self.low = low
        if _is_lowest([-each.high for each in rows], wing):
            high = Pivot(number, row.high, row.oscillator)
            bearish = self._pair(self.high, high, sign=-1)
            self.high = high
        if bullish is not None and bearish is None:
            self.signal, self.pair = 1, bullish
        elif bearish is not None and bullish is None:
            self.signal, self.pair = -1, bearish

    def _pair(self, first: Pivot | None, second: Pivot, *, sign: int) -> tuple[Pivot, Pivot] | None:
        """Return two pivots when they diverge: `sign` is 1 for lows and -1 for highs."""
        if first is None or second.number - first.number > self.span:
            return None
        if first.oscillator is None or second.oscillator is None:
            return None
        further = (first.price - second.price) * sign > 0
        held = (second.oscillator - first.oscillator) * sign > 0
        return (first, second) if further and held else None


def _check(bar: Bar) -> None:
    checked(bar.low)
    checked(bar.high)


def _is_lowest(values: Sequence[float], wing: int) -> bool:
    middle = values[wing]
    return all(middle < each for each in values[:wing]) and all(
        middle <= each for each in values[wing + 1 :]
    )


def refuse(_series: object, wing: int, span: int) -> str:
    """Say what is wrong with a wing and a span, or nothing."""
    if span > wing:
        return ""
    return f"wing {wing}, span {span}: expected a span above the wing"


_PIVOT = "quote currency"
_READ = "as the oscillator"
_AGO = "bars ago"

KIND = BarKind(
    name="divergence",
    meaning="price makes a lower low and an oscillator a higher one, or the reverse with highs",
    parameters=(
        SeriesParameter("series", "rsi(14)", "the oscillator"),
        Parameter("wing", 3, 1, WIDEST_WING, "bars on either side of a pivot"),
        Parameter("span", 60, 2, LONGEST_SPAN, "most bars from the first pivot to the second"),
    ),
    inputs=("high", "low"),
    outputs=(
        Output("signal", "+1, 0, -1", -1.0, 1.0, "+1 bullish, -1 bearish", shown="bars"),
        Output("price_1", _PIVOT, meaning="price at the first pivot", is_rare=True),
        Output("price_2", _PIVOT, meaning="price at the second pivot", is_rare=True),
        Output("oscillator_1", _READ, meaning="oscillator at the first pivot", is_rare=True),
        Output("oscillator_2", _READ, meaning="oscillator at the second pivot", is_rare=True),
        Output("bars_1", _AGO, 0.0, meaning="when the first pivot was", is_rare=True),
        Output("bars_2", _AGO, 0.0, meaning="when the second pivot was", is_rare=True),
    ),
    make=Divergence,
    refuse=refuse,
    notes="""A pivot is the lowest low (highest high) of `wing` bars either side; of equal ones
the first. It is known `wing` bars later, and only then can the divergence be told: once, at that
bar. Each pivot is held against the one of its kind before it, not against older ones. The
oscillator is read at the bars of the two price pivots; others look for the oscillator's own
pivots nearby, and then find more.""",
)
