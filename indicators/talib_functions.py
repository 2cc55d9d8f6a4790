"""What TA-Lib says of its functions, and what has to be measured because it does not say it."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import talib
from talib import abstract, stream

from indicators.kinds import LONGEST_WINDOW
from indicators.made_up_bars import Column, made_up, standing_still
from indicators.settling import SHARE

# TA-Lib's stubs leave these out, or leave them without types.
_Function: Any = vars(abstract)["Function"]
_function_names: Any = talib.get_functions

Total: TypeAlias = Literal["sum", "ratio", "mean"]

PLACES = "it gives a place in an array, which a stream is not"
LEFT_OUT: dict[str, str] = {
    "MAVP": "it wants a period for every bar",
    "MAXINDEX": PLACES,
    "MININDEX": PLACES,
    "MINMAXINDEX": PLACES,
}
"""Functions that are no indicators here, and why."""
TOTALS: dict[str, Total] = {
    "AD": "sum",
    "CUMSUM": "sum",
    "OBV": "sum",
    "PVT": "sum",
    "WAD": "sum",
    "NVI": "ratio",
    "PVI": "ratio",
    "VWAP": "mean",
}
"""Functions that add up from the beginning: what came before is a summand, a factor, or a bar with
all the volume."""
JUMPS = frozenset({"SAR", "SAREXT", "SUPERTREND", "KAMA", "MAMA"}) | {
    f"HT_{name}" for name in ("DCPERIOD", "DCPHASE", "PHASOR", "SINE", "TRENDLINE", "TRENDMODE")
}
"""Functions that forget where they began when the market turns, not after a number of bars."""
TURNS = 4.0
"""So many times the history that was measured is kept for these."""
SLACK = 1.25
"""And so many times for averages that decay: one market is not all."""
MOST_KEPT = 60_000
"""No more bars are kept, unless the window itself is longer than half of that."""
AGREEMENT = 1e-9
"""An indicator opened again on the history that is kept differs by less than this part."""
FEWEST_PROBED = 3_000
MOST_PROBED = 120_000
MEMORY_IN_WARM_UPS = 60
"""How many bars are tried: so many times the warm-up, within the two limits above."""
NO_BOUND = 1e9


class Setting(msgspec.Struct, frozen=True):
    """One parameter: TA-Lib's name of it, ours, what it is when left out, and its limits."""

    own_name: str
    name: str
    default: float
    whole: bool
    least: float
    most: float


class Function(msgspec.Struct, frozen=True):
    """One function of TA-Lib over bars.

    Attributes:
        name: TA-Lib's, in capitals.
        meaning: its title.
        group: where TA-Lib's list has it.
        inputs: values of a bar, in the order in which it takes them.
        settings: its parameters, in order.
        outputs: names of its values; one empty name for a single value.
        whole: its values are whole numbers.
        is_price: its values are prices.
        rare: for each output, it may have no value on bars that are numbers.
        total: it adds up from the beginning.
    """

    name: str
    meaning: str
    group: str
    inputs: tuple[str, ...]
    settings: tuple[Setting, ...]
    outputs: tuple[str, ...]
    whole: bool
    is_price: bool
    rare: tuple[bool, ...]
    total: Total | None

    def named(self, arguments: Sequence[float]) -> dict[str, float]:
        """Return the arguments by TA-Lib's names."""
        return {
            each.own_name: int(value) if each.whole else float(value)
            for each, value in zip(self.settings, arguments, strict=True)
        }

    def look_back(self, arguments: Sequence[float]) -> int:
        """Return how many bars come before the first value; -1 if the arguments are refused."""
        return int(_Function(self.name, **self.named(arguments)).lookback)

    def open(self, columns: Sequence[Column], arguments: Sequence[float]) -> Any:
        """Return a stream handle that has taken these bars, at least one more than `look_back`."""
        return getattr(stream, self.name)(*columns, **self.named(arguments))

    def over(self, columns: Sequence[Column], arguments: Sequence[float]) -> list[Column]:
        """Return all values over these bars, a column an output."""
        found = getattr(talib, self.name)(*columns, **self.named(arguments))
        several = isinstance(found, tuple | list)
        return [np.asarray(each, dtype=np.float64) for each in (found if several else [found])]


def function_names() -> list[str]:
    """Return every function there is here, in TA-Lib's own spelling."""
    return sorted(set(_function_names()) - LEFT_OUT.keys())


@lru_cache(maxsize=512)
def describe(name: str) -> Function:
    """Return what TA-Lib says of one function, with the limits that it keeps."""
    info = _Function(name).info
    inputs: list[str] = []
    for fields in info["input_names"].values():
        inputs += [fields] if isinstance(fields, str) else list(fields)
    names = tuple(info["output_names"])
    settings = tuple(
        _setting(name, own_name, default) for own_name, default in info["parameters"].items()
    )
    known = Function(
        name=name,
        meaning=info["display_name"],
        group=info["group"],
        inputs=tuple(inputs),
        settings=settings,
        outputs=names if len(names) > 1 else ("",),
        whole=False,
        is_price="Output scale same as input" in (info["function_flags"] or ()),
        rare=(False,) * len(names),
        total=TOTALS.get(name),
    )
    return msgspec.structs.replace(known, rare=_rare(known), whole=_is_whole(known))


def own_spelling(parameter: str) -> str:
    """Return our name of a parameter: TA-Lib's with its words set apart, `time` left out.

    Example:
        >>> [own_spelling(each) for each in ("timeperiod", "fastperiod", "slowk_matype", "nbdevup")]
        ['period', 'fast_period', 'slowk_matype', 'nbdev_up']
    """
    if parameter.startswith("timeperiod"):
        return parameter.removeprefix("time")
    spaced = re.sub(
        r"(?<=[a-z0-9])(?=(?:period|matype|limit|bars|value|up|dn)\d?$)", "_", parameter
    )
    spaced = re.sub(r"(?<=acceleration)(?=init|max|long|short)", "_", spaced)
    spaced = re.sub(r"(?<=_init)(?=long|short)|(?<=_max)(?=long|short)", "_", spaced)
    return spaced.replace("offsetonreverse", "offset_on_reverse").replace("__", "_")


@lru_cache(maxsize=1024)
def memory(name: str, arguments: tuple[float, ...], share: float) -> int | None:
    """Return how many of the last bars determine the values, but for a part of `share`.

    Measured on a market that was made up, at several ends: the least number from which on all
    longer ones agree with the whole. None where even half of all that was tried does not.
    """
    function = describe(name)
    if function.total is not None:
        return None
    first = function.look_back(arguments) + 1
    length = min(max(MEMORY_IN_WARM_UPS * first, FEWEST_PROBED), max(MOST_PROBED, 3 * first))
    made = made_up(length)
    columns = [made[field] for field in function.inputs]
    whole = function.over(columns, arguments)
    scales = [_scale(column) for column in whole]
    ends = [length - step * max(length // 40, 1) for step in range(8)]

    def agrees(kept: int) -> bool:
        for end in ends:
            last = [column[end - kept : end] for column in columns]
            told = function.over(last, arguments)
            for ours, column, scale in zip(told, whole, scales, strict=True):
                a, b = ours[-1], column[end - 1]
                if np.isnan(a) and np.isnan(b):
                    continue
                if not abs(a - b) <= share * max(abs(b), scale):
                    return False
        return True

    agreed: int | None = None
    for kept in reversed(_ladder(first, length // 2)):
        if not agrees(kept):
            return agreed
        agreed = kept
    return agreed


def _ladder(first: int, last: int) -> list[int]:
    """Return numbers from `first` to `last`, each a tenth more than the one before."""
    found = [first]
    while found[-1] < last:
        found.append(min(max(found[-1] + 1, int(found[-1] * 1.1)), last))
    return found


def _scale(column: Column) -> float:
    """Return the usual size of a value: a difference from near zero is measured by it."""
    known = np.abs(column[np.isfinite(column)])
    return float(known.mean()) if len(known) else 0.0


def _is_whole(function: Function) -> bool:
    made = made_up(1)
    found = getattr(talib, function.name)(*(made[field] for field in function.inputs))
    several = found if isinstance(found, tuple | list) else (found,)
    return all(np.issubdtype(each.dtype, np.integer) for each in several)


def _rare(function: Function) -> tuple[bool, ...]:
    arguments = [each.default for each in function.settings]
    first = function.look_back(arguments)
    rare = [False] * len(function.outputs)
    for made in (made_up(first + 300), standing_still(first + 50)):
        found = function.over([made[field] for field in function.inputs], arguments)
        for place, column in enumerate(found):
            rare[place] |= not bool(np.isfinite(column[first:]).all())
    return tuple(rare)


def _setting(function: str, own_name: str, default: float) -> Setting:
    whole = isinstance(default, int)

    def taken(value: float) -> bool:
        given = {own_name: int(value) if whole else float(value)}
        return int(_Function(function, **given).lookback) >= 0

    if whole:
        least: float = _whole_limit(taken, int(default), -1)
        most: float = _whole_limit(taken, int(default), LONGEST_WINDOW)
    else:
        least = next(value for value in (-NO_BOUND, -1.0, 0.0, 0.01, default) if taken(value))
        most = next(value for value in (NO_BOUND, 100.0, 1.0, 0.99, default) if taken(value))
    return Setting(own_name, own_spelling(own_name), default, whole, least, most)


def _whole_limit(taken: Callable[[float], bool], inside: int, outside: int) -> int:
    """Return the last number that is taken on the way from one that is to one further out."""
    if taken(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if taken(middle):
            inside = middle
        else:
            outside = middle
    return inside


def kept_bars(name: str, arguments: tuple[float, ...]) -> int:
    """Return how many of the last bars an indicator keeps to be opened again on."""
    function = describe(name)
    first = function.look_back(arguments) + 1
    if function.total is not None:
        return first + 1
    found = memory(name, arguments, AGREEMENT) or MOST_KEPT
    if found > first:
        found = int(found * (TURNS if name in JUMPS else SLACK))
    return max(min(found, MOST_KEPT), 2 * first if first > MOST_KEPT // 2 else first) + 1


def settled(name: str, arguments: tuple[float, ...]) -> int | None:
    """Return how many bars it takes until the beginning weighs at most 0.01 %."""
    return memory(name, arguments, SHARE)
