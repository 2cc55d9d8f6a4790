"""A series that crosses another one, or a level."""

import msgspec

from indicators import inner_series
from indicators.kinds import BarKind, Output, SeriesParameter
from indicators.series import Series
from market.events import Bar


def crossing(side: int, value: float | None, level: float | None) -> tuple[int, int]:
    """Return what happens when a series that was on a side of a level has a new value.

    A value equal to the level is on no side: it changes nothing, and neither does one that is not
    known. So a series that touches the level and goes back has not crossed it, and one that rests
    on it crosses when it leaves it on the other side.

    Args:
        side: where it was last: +1 above, -1 below, 0 not known.
        value: of the series.
        level: of what it may cross.

    Returns:
        What happened, +1 crossed above, -1 crossed below, 0 nothing; and its side from here on.

    Example:
        >>> crossing(-1, 30.0, 30.0), crossing(-1, 31.0, 30.0), crossing(0, 31.0, 30.0)
        ((0, -1), (1, 1), (0, 1))
    """
    if value is None or level is None or value == level:
        return 0, side
    now = 1 if value > level else -1
    return (now if side == -now else 0), now


class Crosses(msgspec.Struct):
    """Crossing of one series and another.

    Says at every bar whether the series came out above the other since it was last below, or the
    reverse. An equal value is on no side (`crossing`).

    Args:
        series: what crosses.
        other: what is crossed; may be a number.

    Input: bars, as the two series take them.
    Warm-up: one bar more than the slower series: a first value has crossed nothing.
    Output: +1 crossed above, -1 crossed below, 0 neither; `None` while warming.
    State: both series, the last side, and a copy of it from before the last bar.
    Edge: series that have been equal from the beginning are on no side, and do not cross when
    they first part.

    Example:
        >>> from indicators.series import BarValue, Constant
        >>> crosses = Crosses(Series("close", BarValue("close")), Series("2", Constant(2.0)))
        >>> told = []
        >>> for close in (1.0, 2.0, 1.0, 2.0, 3.0, 1.0):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=close,
        ...               high=close, low=close, close=close, volume=1.0, buy_volume=0.5,
        ...               notional=close, count=1)
        ...     crosses.update(bar)
        ...     told.append(crosses.value)
        >>> told
        [None, 0.0, 0.0, 0.0, 1.0, -1.0]
    """

    series: Series
    other: Series
    count: int = 0
    side: int = 0
    value: float | None = None
    before: int | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"crosses(close,ema(20))"`."""
        return f"crosses({self.series.name},{self.other.name})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return inner_series.warm_up(self.series, self.other) + 1

    @property
    def settled(self) -> int | None:
        """Bars until it has seen two settled values of both series."""
        bars = inner_series.settled(self.series, self.other)
        return None if bars is None else bars + 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """What happened, alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        inner_series.update(bar, self.series, self.other)
        self.before = self.side
        self.count += 1
        self._compare()

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        inner_series.revise(bar, self.series, self.other)
        self.side = self.before
        self._compare()

    def _compare(self) -> None:
        event, self.side = crossing(self.side, self.series.value, self.other.value)
        self.value = float(event) if self.count >= self.warm_up else None


KIND = BarKind(
    name="crosses",
    meaning="a series crosses another series, or a level",
    parameters=(
        SeriesParameter("series", "close", "what crosses"),
        SeriesParameter("other", "ema(20)", "what is crossed", may_be_number=True),
    ),
    inputs=(),
    outputs=(
        Output("", "+1, 0, -1", -1.0, 1.0, "+1 crossed above, -1 crossed below", shown="bars"),
    ),
    make=Crosses,
    notes="""It tells the bar at which the series comes out on the other side, once. A value
exactly equal is on no side: to touch and go back is no crossing, and after bars of equality the
crossing is the bar that leaves them on the other side. What was equal from the beginning has no
side yet, and does not cross when it first parts.""",
)
