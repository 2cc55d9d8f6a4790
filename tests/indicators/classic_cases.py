"""What TA-Lib and pandas-ta-classic say of the classic indicators over the same bars."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import talib

from market.events import Bar
from tests.indicators.flow_bars import Column, column

Reference = Callable[[Sequence[Bar], tuple[float, ...]], tuple[Column, ...]]


def _closes(bars: Sequence[Bar]) -> Column:
    return column(bars, "close")


def _range(bars: Sequence[Bar]) -> tuple[Column, Column, Column]:
    return column(bars, "high"), column(bars, "low"), _closes(bars)


def awesome_oscillator(bars: Sequence[Bar], numbers: tuple[float, ...]) -> tuple[Column, ...]:
    """pandas-ta-classic's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas_ta_classic as pta  # noqa: PLC0415 - it takes a second

        high, low, _ = _range(bars)
        fast, slow = map(int, numbers)
        found = pta.ao(pd.Series(high), pd.Series(low), fast=fast, slow=slow)
    if found is None:
        return (np.full(len(bars), np.nan),)
    return (np.asarray(found, dtype=np.float64),)


def bollinger(bars: Sequence[Bar], numbers: tuple[float, ...]) -> tuple[Column, ...]:
    """Upper, middle and lower band."""
    found: tuple[Column, ...] = talib.BBANDS(
        _closes(bars), int(numbers[0]), float(numbers[1]), float(numbers[1])
    )
    return found


REFERENCES: dict[str, Reference] = {
    "rsi": lambda bars, n: (talib.RSI(_closes(bars), int(n[0])),),
    "ema": lambda bars, n: (talib.EMA(_closes(bars), int(n[0])),),
    "rma": lambda bars, n: (talib.RMA(_closes(bars), int(n[0])),),
    "sma": lambda bars, n: (talib.SMA(_closes(bars), int(n[0])),),
    "macd": lambda bars, n: talib.MACD(_closes(bars), *map(int, n)),
    "cci": lambda bars, n: (talib.CCI(*_range(bars), int(n[0])),),
    "ao": lambda bars, n: (talib.AO(*_range(bars)[:2], int(n[0]), int(n[1])),),
    "bollinger": bollinger,
    "stoch": lambda bars, n: talib.STOCH(
        *_range(bars),
        fastk_period=int(n[0]),
        slowk_period=int(n[1]),
        slowd_period=int(n[2]),
    ),
    "stoch_fast": lambda bars, n: talib.STOCHF(
        *_range(bars), fastk_period=int(n[0]), fastd_period=int(n[1])
    ),
}
"""TA-Lib's value for each bar and output, NaN before the first."""
