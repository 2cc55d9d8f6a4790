"""pandas-ta-classic's functions as kinds of indicators: `pta.supertrend(7,3).supertd`.

A kind is made when its name is first asked for; the library is loaded then and not before.
"""

from functools import lru_cache, partial

from indicators import pandas_ta_functions
from indicators.kinds import BarKind, Output, Parameter
from indicators.pandas_ta_functions import FIELDS, LEFT_OUT, Function, describe, function_names
from indicators.pandas_ta_indicator import PandasTaIndicator

PREFIX = "pta."


def names() -> list[str]:
    """Return the name of every kind, sorted."""
    return sorted(PREFIX + name for name in function_names())


def why_not(name: str) -> str:
    """Return why a function of the library is no kind here; empty for an unknown name."""
    return LEFT_OUT.get(name.removeprefix(PREFIX), "")


@lru_cache(maxsize=512)
def find(name: str) -> BarKind | None:
    """Return the kind of this name, or None when the library has no such function over bars."""
    own = name.removeprefix(PREFIX)
    function = describe(own) if own in function_names() else None
    if function is None:
        return None
    return BarKind(
        name=name,
        meaning=function.meaning,
        parameters=tuple(_parameter(each) for each in function.settings),
        inputs=tuple(FIELDS[each] for each in function.inputs),
        outputs=_outputs(function),
        make=partial(PandasTaIndicator, own),
        notes=f"""{function.name} of pandas-ta-classic ({function.group}), computed with every bar
over a frame of the last ones.""",
    )


def _parameter(setting: pandas_ta_functions.Setting) -> Parameter:
    meaning = f"{setting.name} of pandas-ta-classic"
    default = int(setting.default) if setting.whole else setting.default
    return Parameter(setting.name, default, setting.least, setting.most, meaning, setting.whole)


def _outputs(function: Function) -> tuple[Output, ...]:
    return tuple(
        Output(
            name,
            "as pandas-ta-classic defines it",
            is_rare=rare,
            # Some of these give a width or a direction; a chart sees that it is far from the price.
            shown="price" if function.group in ("overlap", "volatility") else "line",
        )
        for name, rare in zip(function.outputs, function.rare, strict=True)
    )
