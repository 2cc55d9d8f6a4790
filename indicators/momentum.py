"""Momentum."""

from operator import sub

from indicators.kinds import BarKind, Output, period
from indicators.look_back import LookBack


def momentum(period: int) -> LookBack:
    """Return what tells how far the closing price has moved in `period` bars.

    Args:
        period: bars to look back; at least 1.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: the close less the close `period` bars ago, in quote currency; `None` for the first
    `period` closes.
    State: the last `period + 1` closes.
    Edge: 0 in a flat market. A jump counts until it is `period` bars old, then no more.

    Raises:
        ValueError: `period` is below 1.

    References:
        TA-Lib, ta_MOM.c.

    Example:
        >>> moved = momentum(period=2)
        >>> [moved.add(close) for close in (10.0, 11.0, 12.5, 10.0)]
        [None, None, 2.5, -1.0]
        >>> moved.correct(10.5)
        -0.5
    """
    return LookBack("momentum", period, sub)


KIND = BarKind(
    name="momentum",
    meaning="how far the close has moved in `period` bars",
    parameters=(period(10, least=1, meaning="bars to look back"),),
    inputs=("close",),
    outputs=(Output("", "quote currency"),),
    make=momentum,
    notes="""The close less the close `period` bars ago. It equals TA-Lib's `MOM`.""",
)
