"""TA-Lib's functions as kinds of indicators: `talib.adx(14)`, `talib.macd(12,26,9).macdsignal`.

A kind is made when its name is first asked for; TA-Lib itself is loaded then and not before.
"""

from functools import lru_cache, partial

import talib

from indicators.kinds import BarKind, Output, Parameter
from indicators.talib_functions import LEFT_OUT, Function, Setting, describe, function_names
from indicators.talib_indicator import TalibIndicator

PREFIX = "talib."
_AVERAGES = vars(talib)["MA_Type"]
AVERAGES = {
    value: name
    for name in dir(_AVERAGES)
    if name.isupper() and isinstance(value := getattr(_AVERAGES, name), int)
}
"""TA-Lib's averages by their numbers, for parameters that choose one."""
PERCENT = (0.0, 100.0)
RANGES: dict[str, tuple[float, float]] = dict.fromkeys(
    ("ADX", "ADXR", "AROON", "DX", "IMI", "MFI", "PERCENTRANK", "RSI", "RVI", "STOCHRSI"), PERCENT
)
"""Functions whose values have bounds by their formula; the others are given none."""


def names() -> list[str]:
    """Return the name of every kind, sorted."""
    return [PREFIX + name.lower() for name in function_names()]


def why_not(name: str) -> str:
    """Return why a function of TA-Lib is no kind here; empty for an unknown name."""
    return LEFT_OUT.get(name.removeprefix(PREFIX).upper(), "")


@lru_cache(maxsize=512)
def find(name: str) -> BarKind | None:
    """Return the kind of this name, or None when TA-Lib has no such function over bars."""
    own = name.removeprefix(PREFIX).upper()
    if not name.islower() or own not in function_names():
        return None
    function = describe(own)
    return BarKind(
        name=name,
        meaning=function.meaning,
        parameters=tuple(_parameter(each) for each in function.settings),
        inputs=tuple(dict.fromkeys(function.inputs)),
        outputs=_outputs(function),
        make=partial(TalibIndicator, own),
        refuse=partial(_refusal, function) if len(function.settings) > 1 else None,
        notes=_notes(function),
    )


def _refusal(function: Function, *arguments: float) -> str:
    refused = function.look_back(arguments) < 0
    return "TA-Lib refuses these numbers together" if refused else ""


def _parameter(setting: Setting) -> Parameter:
    meaning = f"TA-Lib's {setting.own_name}"
    if setting.name.endswith("matype"):
        kinds = ", ".join(f"{number} {name}" for number, name in sorted(AVERAGES.items()))
        meaning = f"{meaning}: {kinds}"
    return Parameter(
        setting.name, setting.default, setting.least, setting.most, meaning, setting.whole
    )


def _outputs(function: Function) -> tuple[Output, ...]:
    least, most = RANGES.get(function.name, (None, None))
    if least is not None:
        unit = "0 to 100"
    elif function.group == "Pattern Recognition":
        least, most, unit = -200.0, 200.0, "-200 to 200, 0 for no pattern"
    elif function.whole:
        unit = "whole number"
    else:
        unit = "as its inputs" if function.is_price else "as TA-Lib defines it"
    return tuple(
        Output(
            name,
            unit,
            least,
            most,
            is_rare=rare,
            shown="price" if function.is_price else "line",
        )
        for name, rare in zip(function.outputs, function.rare, strict=True)
    )


def _notes(function: Function) -> str:
    text = f"TA-Lib's {function.name} ({function.group})."
    if function.total is not None:
        text += " It adds up from the first bar of the stream, so it never settles."
    return text
