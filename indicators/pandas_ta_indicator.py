"""An indicator that pandas-ta-classic computes, anew with every bar on a frame of the last ones."""

from typing import Any

from indicators.kept_bars import KeptBars, finite_or_none, reader_of
from indicators.pandas_ta_functions import describe, frame_of, rows_kept, settled, warm_up
from indicators.series import number_text
from market.events import Bar

FIELDS = ("open", "high", "low", "close", "volume")
NS_IN_MS = 1_000_000


class PandasTaIndicator:
    """One function of pandas-ta-classic over the bars of one series.

    The last 200 to 500 bars (twice the warm-up, where that is more) are put into a frame and the
    function runs over all of them, with every bar. That takes 1 to 6 milliseconds, a thousand
    times as long as an indicator of our own: it is for what there is nowhere else.

    Args:
        function: its name there, `"supertrend"`.
        arguments: a value for each of its parameters.

    Input: open, high, low, close and volume, between -1e60 and 1e60.
    Warm-up: measured; the function says nothing about fewer bars.
    Output: its columns at the last bar; None where it gives NaN.
    State: the bars, as plain numbers; at most twice as many as the frame has.
    Edge: nothing changes by pickling. An average that decays forgets what is before the frame.

    References:
        pandas-ta-classic, https://github.com/xgboosted/pandas-ta-classic.

    Example:
        >>> indicator = PandasTaIndicator("hl2")
        >>> indicator.name, indicator.warm_up, indicator.values
        ('pta.hl2', 1, (None,))
    """

    __slots__ = (
        "_arguments",
        "_function",
        "_kept",
        "_read",
        "_rows",
        "_warm_up",
        "count",
        "values",
    )

    def __init__(self, function: str, *arguments: float) -> None:
        self._prepare(function, arguments)
        self._kept = KeptBars(self._rows, 1 + len(FIELDS))
        self.count = 0
        self.values: tuple[float | None, ...] = (None,) * len(self._function.outputs)

    def _prepare(self, function: str, arguments: tuple[float, ...]) -> None:
        described = describe(function)
        if described is None:
            raise ValueError(f"pta.{function}: gives nothing over bars")
        self._function = described
        self._arguments = tuple(arguments)
        self._warm_up = warm_up(function, self._arguments)
        self._rows = rows_kept(function, self._arguments)
        self._read = reader_of(FIELDS)

    @property
    def name(self) -> str:
        """Canonical name, `"pta.supertrend(7,3)"`."""
        listed = ",".join(number_text(each) for each in self._arguments)
        name = f"pta.{self._function.name}"
        return f"{name}({listed})" if listed else name

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self._warm_up

    @property
    def settled(self) -> int:
        """Bars until the beginning weighs at most 0.01 %, or has left the frame; measured."""
        return max(settled(self._function.name, self._arguments), self._warm_up)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self._kept.append((float(bar.start // NS_IN_MS), *self._read(bar)))
        self.count += 1
        self._look()

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        row = self._read(bar)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self._kept.replace((float(bar.start // NS_IN_MS), *row))
        self._look()

    def _look(self) -> None:
        if self.count < self._warm_up:
            return
        starts, *columns = self._kept.arrays(self._rows)
        frame = frame_of(dict(zip(FIELDS, columns, strict=True)), starts)
        self.values = tuple(
            finite_or_none(value) for value in self._function.last(frame, self._arguments)
        )

    def __getstate__(self) -> tuple[Any, ...]:
        return self._function.name, self._arguments, self.count, self.values, self._kept

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        function, arguments, self.count, self.values, self._kept = state
        self._prepare(function, arguments)
