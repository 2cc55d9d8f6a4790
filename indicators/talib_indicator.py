"""An indicator that TA-Lib computes, through one of its stream handles."""

from typing import Any

from indicators.kept_bars import KeptBars, finite_or_none, reader_of
from indicators.series import number_text
from indicators.talib_functions import describe, kept_bars, settled
from market.events import Bar


class TalibIndicator:
    """One function of TA-Lib over the bars of one series.

    The handle stands at the bar before the last one. The last bar is shown to it (`peek`), which
    costs as much as giving it and can be taken back; the next bar's arrival makes it final. So a
    correction needs no copy. A handle cannot be pickled: the last bars are, and a new handle is
    opened on them.

    Args:
        function: TA-Lib's name of it, `"ADX"`.
        arguments: a value for each of its parameters.

    Input: values of bars, as `talib_functions.describe` lists them, between -1e60 and 1e60.
    Warm-up: TA-Lib's look-back and one.
    Output: as TA-Lib has it, bit for bit, while the process runs; None where it gives NaN.
    State: a handle, and twice as many bars as `kept_bars` says.
    Edge: after unpickling, functions of a window and running totals go on as before but for
        rounding; averages that decay differ by less than 1e-9 of the value, up to periods of about
        2000: `docs/indicators.md` has what was measured.

    References:
        TA-Lib, https://ta-lib.org, and its Python wrapper's `talib.stream`.

    Example:
        >>> indicator = TalibIndicator("MEDPRICE")
        >>> indicator.name, indicator.warm_up, indicator.values
        ('talib.medprice', 1, (None,))
    """

    __slots__ = (
        "_arguments",
        "_function",
        "_handle",
        "_has_moved",
        "_kept",
        "_read",
        "_shift",
        "_warm_up",
        "count",
        "values",
    )

    def __init__(self, function: str, *arguments: float) -> None:
        self._prepare(function, arguments)
        width = len(self._function.inputs)
        self._kept = KeptBars(kept_bars(function, self._arguments), width)
        self.count = 0
        self.values: tuple[float | None, ...] = (None,) * len(self._function.outputs)
        self._has_moved = False

    def _prepare(self, function: str, arguments: tuple[float, ...]) -> None:
        self._function = describe(function)
        self._arguments = tuple(arguments)
        self._read = reader_of(self._function.inputs)
        look_back = self._function.look_back(self._arguments)
        if look_back < 0:
            raise ValueError(f"{self.name}: TA-Lib refuses these numbers")
        self._warm_up = look_back + 1
        self._handle: Any = None
        # What was before the bars that are kept: summands, or factors, one an output.
        self._shift: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"talib.adx(14)"`."""
        listed = ",".join(number_text(each) for each in self._arguments)
        name = f"talib.{self._function.name.lower()}"
        return f"{name}({listed})" if listed else name

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self._warm_up

    @property
    def settled(self) -> int | None:
        """Bars until the beginning weighs at most 0.01 %, measured; None for a running total."""
        return settled(self._function.name, self._arguments)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        row = self._read(bar)
        if self._handle is not None:
            self._handle.update(*self._kept.last())
        elif self.count >= self._warm_up:
            self._handle = self._reopened()
        self._fold()
        self._kept.append(row)
        self.count += 1
        self._look(row)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        row = self._read(bar)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        if self._has_moved and self.count >= self._warm_up:
            self._reopened()
        self._kept.replace(row)
        self._look(row)

    def _look(self, row: tuple[float, ...]) -> None:
        if self.count < self._warm_up:
            return
        if self._handle is not None:
            told = self._handle.peek(*row)
        else:
            told = self._function.open(self._kept.arrays(), self._arguments).value
        values = tuple(
            finite_or_none(each) for each in (told if isinstance(told, tuple) else (told,))
        )
        if self._shift is not None:
            values = tuple(
                None if each is None else self._with_what_was(each, before)
                for each, before in zip(values, self._shift, strict=True)
            )
        self.values = values

    def _reopened(self) -> Any:
        """Return a handle that stands at the last bar that is kept."""
        handle = self._function.open(self._kept.arrays(), self._arguments)
        if self._has_moved and self._function.total in ("sum", "ratio"):
            told, before = handle.value, self.values[0]
            if before is not None:
                is_sum = self._function.total == "sum"
                factor = before / told if told else 1.0
                self._shift = (before - told if is_sum else factor,)
        self._has_moved = False
        return handle

    def _with_what_was(self, value: float, before: float) -> float | None:
        total = value + before if self._function.total == "sum" else value * before
        return finite_or_none(total)

    def _fold(self) -> None:
        """Put the bars of a mean over all bars together: one with their mean and their volume."""
        if self._function.total != "mean" or len(self._kept) < 2:
            return
        *prices, volumes = self._kept.arrays()
        first, last = (float(sum(each)) / len(prices) for each in zip(*prices, strict=True))
        volume = float(volumes.sum())
        mean = first + (last - first) * (float(volumes[1]) / volume) if volume > 0 else last
        self._kept = KeptBars(2, len(self._function.inputs))
        self._kept.append((*(mean for _ in prices), volume))

    def __getstate__(self) -> tuple[Any, ...]:
        return self._function.name, self._arguments, self.count, self.values, self._kept

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        function, arguments, self.count, self.values, self._kept = state
        self._prepare(function, arguments)
        self._has_moved = True
