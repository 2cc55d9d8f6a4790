"""What pandas-ta-classic's functions take and give, and what has to be measured to know.

Importing this loads pandas, which takes a while: nothing does so before a `pta.` name is asked for.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from indicators.kinds import LONGEST_WINDOW
from indicators.made_up_bars import Column, Columns, made_up, standing_still
from indicators.settling import SHARE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses names that pandas 4 will not have
    import pandas_ta_classic

Known: TypeAlias = NDArray[np.bool_]

FIELDS: dict[str, str] = {
    "open_": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
}
"""Its names of series, and the values of a bar that they are."""
WANT_MORE = "beta cdl_pattern correl long_run ma mavp short_run tsignals vp xsignals"
FROM_THE_FIRST_BAR = "ad aobv drawdown nvi obv pvi pvt tos_stdevall vwap wad"
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(WANT_MORE.split(), "it wants more than the bars of one series"),
    **dict.fromkeys(
        FROM_THE_FIRST_BAR.split(), "it counts from the first bar, which a rolling frame forgets"
    ),
}
"""Functions that are no indicators here, and why."""
NOT_OFFERED = frozenset({"offset", "drift", "talib"})
"""Parameters that shift what is told in time, or choose an implementation."""
FIXED: dict[str, dict[str, Any]] = {
    "dpo": {"centered": False},
    "ichimoku": {"include_chikou": False},
}
"""Settings without which a value would be put at an earlier bar than the one that gave it."""
LARGEST_NUMBER = 1e6
LONGEST_LENGTH = 1_000
FEWEST_ROWS, MOST_ROWS = 200, 500
AGREEMENT = 1e-6
"""A value on the rolling frame differs from one on all bars by less than this part, if it can."""
MINUTE_MS = 60_000


class Setting(msgspec.Struct, frozen=True):
    """One number that a function takes, with what it is when left out."""

    name: str
    default: float
    whole: bool
    least: float
    most: float


class Function(msgspec.Struct, frozen=True):
    """One function of pandas-ta-classic over bars.

    Attributes:
        name: its name.
        meaning: the first line of its description.
        group: where its list has it.
        inputs: its names of the series that it takes.
        settings: the numbers it takes, in order.
        outputs: names of its values; one empty name for a single one.
        rare: for each output, there may be no value on bars that are numbers.
    """

    name: str
    meaning: str
    group: str
    inputs: tuple[str, ...]
    settings: tuple[Setting, ...]
    outputs: tuple[str, ...]
    rare: tuple[bool, ...]

    def over(self, frame: pd.DataFrame, arguments: Sequence[float]) -> pd.DataFrame | None:
        """Return all values over the bars of a frame; None where it has none, or cannot tell."""
        given = {
            each.name: int(value) if each.whole else float(value)
            for each, value in zip(self.settings, arguments, strict=True)
        }
        return _call(self.name, self.inputs, frame, given)

    def last(self, frame: pd.DataFrame, arguments: Sequence[float]) -> list[float]:
        """Return the values at the last bar of a frame, NaN for those that are not there."""
        found = self.over(frame, arguments)
        told = [] if found is None else [_number(value) for value in found.iloc[-1]]
        return (told + [np.nan] * len(self.outputs))[: len(self.outputs)]


@lru_cache(maxsize=1)
def function_names() -> dict[str, str]:
    """Return every function there is here, and its group."""
    return {
        name: group
        for group, names in pandas_ta_classic.Category.items()
        for name in sorted(names)
        if name not in LEFT_OUT and callable(getattr(pandas_ta_classic, name, None))
    }


@lru_cache(maxsize=256)
def describe(name: str) -> Function | None:
    """Return what a function takes and gives, or None when it gives nothing over bars."""
    function = getattr(pandas_ta_classic, name)
    signature = inspect.signature(function).parameters
    inputs = tuple(each for each in signature if each in FIELDS)
    settings = tuple(_settings(function))
    found = _call(name, inputs, frame_of(made_up(400)), {})
    flat = _call(name, inputs, frame_of(standing_still(400)), {})
    if found is None or not len(found.columns):
        return None
    valid: Known = np.isfinite(_numbers(found))
    first = max((int(np.argmax(column)) for column in valid.T if column.any()), default=0)
    rare = [not bool(column[first:].all()) for column in valid.T]
    still: Known | None = None if flat is None else np.isfinite(_numbers(flat))[first:]
    if still is None or still.shape[1] != len(rare):
        rare = [True] * len(rare)
    else:
        rare = [
            seldom or not bool(column.all()) for seldom, column in zip(rare, still.T, strict=True)
        ]
    columns = [str(column) for column in found.columns]
    return Function(
        name=name,
        meaning=_meaning(name, inspect.getdoc(function) or ""),
        group=function_names()[name],
        inputs=inputs,
        settings=settings,
        outputs=output_names(columns) if len(columns) > 1 else ("",),
        rare=tuple(rare),
    )


def output_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return our names of columns: in small letters, without the parameters at their end.

    Where two would then be the same, they keep them.

    Example:
        >>> output_names(["SUPERT_7_3.0", "SUPERTd_7_3.0"]), output_names(["SMA_5", "SMA_10"])
        (('supert', 'supertd'), ('sma_5', 'sma_10'))
    """

    def spelled(column: str) -> str:
        return re.sub(r"\W+", "_", column).strip("_").lower()

    def bare(column: str) -> str:
        parts = [part for part in column.split("_") if not re.fullmatch(r"-?[\d.]+", part)]
        return spelled("_".join(parts)) or spelled(column)

    names = [bare(column) for column in columns]
    return tuple(
        name if names.count(name) == 1 else spelled(column)
        for name, column in zip(names, columns, strict=True)
    )


def frame_of(columns: Columns, starts: Column | None = None) -> pd.DataFrame:
    """Return bars as a frame with an index of times in UTC.

    Args:
        columns: open, high, low, close and volume.
        starts: when each bar begins, in whole milliseconds; minutes of a day when not given.
    """
    length = len(columns["close"])
    times = np.arange(length) * MINUTE_MS if starts is None else starts
    index = pd.DatetimeIndex(times.astype("datetime64[ms]")).tz_localize("UTC")
    return pd.DataFrame(columns, index=index)


@lru_cache(maxsize=512)
def warm_up(name: str, arguments: tuple[float, ...]) -> int:
    """Return how many bars a frame needs until every value that is not rare is there; at least 1.

    Measured: a function may say nothing about a frame that is shorter than it likes.
    """
    function = _known(name)
    made = made_up(_probed(function, arguments))
    found = function.over(frame_of(made), arguments)
    first = 1
    if found is not None:
        valid = np.isfinite(_numbers(found))
        columns = zip(valid.T, function.rare, strict=False)
        starts = [int(np.argmax(column)) for column, rare in columns if column.any() and not rare]
        rares = [int(np.argmax(column)) for column in valid.T if column.any()]
        first = max(starts, default=max(rares, default=0)) + 1
    for bars in range(first, len(made["close"])):
        told = function.last(frame_of(_head(made, bars)), arguments)
        if all(rare or np.isfinite(each) for each, rare in zip(told, function.rare, strict=True)):
            return bars
        if all(function.rare):
            return bars
    return first


@lru_cache(maxsize=512)
def memory(name: str, arguments: tuple[float, ...], share: float) -> int | None:
    """Return how many of the last bars determine the values, but for a part of `share`."""
    function = _known(name)
    made = made_up(_probed(function, arguments))
    length = len(made["close"])
    first = warm_up(name, arguments)
    frame = frame_of(made)
    whole = function.over(frame, arguments)
    if whole is None:
        return None
    numbers = _numbers(whole)
    scales = [_scale(column) for column in numbers.T]
    agreed: int | None = None
    kept = length // 2
    while kept >= first:
        for end in (length, length - length // 7, length - length // 3):
            told = function.last(frame.iloc[end - kept : end], arguments)
            for a, b, scale in zip(told, numbers[end - 1], scales, strict=False):
                if np.isnan(a) and np.isnan(b):
                    continue
                if not abs(a - b) <= share * max(abs(b), scale):
                    return agreed
        agreed = kept
        if kept == first:
            break
        kept = max(first, int(kept * 0.8))
    return agreed


@lru_cache(maxsize=512)
def rows_kept(name: str, arguments: tuple[float, ...]) -> int:
    """Return how many bars the rolling frame holds: 200 to 500, twice the warm-up at least."""
    wanted = memory(name, arguments, AGREEMENT) or MOST_ROWS
    return max(min(max(wanted, FEWEST_ROWS), MOST_ROWS), 2 * warm_up(name, arguments))


def settled(name: str, arguments: tuple[float, ...]) -> int:
    """Return how many bars it takes until the beginning weighs at most 0.01 %, or is forgotten."""
    found = memory(name, arguments, SHARE)
    rows = rows_kept(name, arguments)
    return rows if found is None else min(found, rows)


def _known(name: str) -> Function:
    function = describe(name)
    if function is None:
        raise ValueError(f"pta.{name}: gives nothing over bars")
    return function


def _probed(function: Function, arguments: tuple[float, ...]) -> int:
    lengths = [
        value for value, each in zip(arguments, function.settings, strict=True) if each.whole
    ]
    return int(min(600 + 4 * sum(lengths), 12_000))


def _head(columns: Columns, length: int) -> Columns:
    return {name: column[:length] for name, column in columns.items()}


def _call(
    name: str, inputs: tuple[str, ...], frame: pd.DataFrame, given: dict[str, Any]
) -> pd.DataFrame | None:
    function = getattr(pandas_ta_classic, name)
    series = {each: frame[FIELDS[each]] for each in inputs}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = function(**series, **given, **FIXED.get(name, {}))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None  # on a short or a flat frame its steps hand None to one another
    if isinstance(found, tuple):
        found = found[0]
    if isinstance(found, pd.Series):
        found = found.to_frame()
    return found if isinstance(found, pd.DataFrame) and len(found) == len(frame) else None


def _settings(function: Callable[..., Any]) -> list[Setting]:
    source, described = inspect.getsource(function), inspect.getdoc(function) or ""
    settings = []
    for each in inspect.signature(function).parameters.values():
        kind = str(each.annotation)
        is_number = "int" in kind or "float" in kind
        if not is_number or "Series" in kind or each.name in NOT_OFFERED:
            continue
        default = _default(each.name, source, described)
        if default is None:
            continue
        whole = "float" not in kind and default.is_integer()
        least = (1.0 if whole else 1e-6) if default > 0 else -LARGEST_NUMBER
        most = float(min(LONGEST_LENGTH, LONGEST_WINDOW)) if whole else LARGEST_NUMBER
        settings.append(Setting(each.name, default, whole, least, max(most, default)))
    return settings


def _default(name: str, source: str, described: str) -> float | None:
    """Return what a parameter is when left out: the source says it, else the description."""
    found = re.search(rf"^\s*{name} = .*\belse (-?[\d.]+)$", source, re.MULTILINE) or re.search(
        rf"^\s*{name} \([^)]*\)\s*:.*?Default:?\s*(-?\d+(?:\.\d+)?)", described, re.MULTILINE
    )
    return None if found is None else float(found[1])


def _meaning(name: str, described: str) -> str:
    first = described.strip().splitlines()[0].strip() if described.strip() else name
    return re.sub(r"^Indicator:\s*", "", first)


def _numbers(found: pd.DataFrame) -> Column:
    return np.column_stack(
        [pd.to_numeric(found.iloc[:, place], errors="coerce") for place in range(found.shape[1])]
    ).astype(np.float64)


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float | np.number | np.bool_)
    return float(value) if is_number else float("nan")


def _scale(column: Column) -> float:
    known = np.abs(column[np.isfinite(column)])
    return float(known.mean()) if len(known) else 0.0
