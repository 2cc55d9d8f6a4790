"""With how many bars of the past an indicator is begun."""

from indicators.contract import BarIndicator
from indicators.divergence import Divergence

TOTAL_OVER = 500
"""Bars of the past that a running total is begun with: it never forgets where that was."""


def whole_after(indicator: BarIndicator) -> int:
    """Return after how many bars no more of the past would make a value better.

    It is where the indicator has settled. What looks at a running total never settles; it is
    whole with its first value, a divergence once no pivot in its span can be missing.

    Example:
        >>> from indicators.names import create_for_bars
        >>> [whole_after(create_for_bars(name)) for name in ("sma(20)", "obv", "crosses(obv,0)")]
        [20, 1, 2]
        >>> whole_after(create_for_bars("divergence(obv,3,60)"))
        67
    """
    settled = indicator.settled
    if settled is not None:
        return settled
    return indicator.reach if isinstance(indicator, Divergence) else indicator.warm_up


def begun_with(indicator: BarIndicator) -> int:
    """Return how many bars of the past to ask for: for a running total `TOTAL_OVER` or more.

    Example:
        >>> from indicators.names import create_for_bars
        >>> [begun_with(create_for_bars(name)) for name in ("sma(20)", "obv")]
        [20, 500]
        >>> begun_with(create_for_bars("crosses(obv,sma(1000))"))
        1001
    """
    whole = whole_after(indicator)
    return whole if indicator.settled is not None else max(TOTAL_OVER, whole)
