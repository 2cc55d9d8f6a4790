"""Rate of change."""

from indicators.contract import LARGEST
from indicators.kinds import BarKind, Output, period
from indicators.look_back import LookBack


def roc(period: int) -> LookBack:
    """Return the rate of change: the move of the closing price in `period` bars, in per cent.

    Args:
        period: bars to look back; at least 1.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: per cent of the close `period` bars ago, -100 or more for prices above zero, at most
    `LARGEST`; `None` for the first `period` closes.
    State: the last `period + 1` closes.
    Edge: 0 in a flat market, and where the close `period` bars ago was 0, as TA-Lib has it: nothing
    is a per cent of zero. A jump counts until it is `period` bars old, then no more.

    Raises:
        ValueError: `period` is below 1.

    References:
        TA-Lib, ta_ROC.c.

    Example:
        >>> rate = roc(period=2)
        >>> [rate.add(close) for close in (10.0, 11.0, 12.5, 16.5)]
        [None, None, 25.0, 50.0]
        >>> rate.correct(5.5)
        -50.0
    """
    return LookBack("roc", period, _per_cent)


def _per_cent(close: float, past: float) -> float:
    rate = (close / past - 1.0) * 100.0 if past != 0 else 0.0
    return max(-LARGEST, min(LARGEST, rate))


KIND = BarKind(
    name="roc",
    meaning="rate of change: the move of the close in `period` bars, in per cent",
    parameters=(period(10, least=1, meaning="bars to look back"),),
    inputs=("close",),
    outputs=(Output("", "per cent"),),
    make=roc,
    notes="""The move of the close in `period` bars as a per cent of where it began. It equals
TA-Lib's `ROC`, which also gives 0 where the earlier price is 0.""",
)
