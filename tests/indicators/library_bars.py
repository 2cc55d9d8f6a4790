"""Random walks, as columns for a library and as bars for ours."""

import numpy as np

from indicators.made_up_bars import Columns
from market.events import Bar

MINUTE = 60_000_000_000
START = 20_000 * 86_400_000_000_000


def walk_columns(seed: int, length: int, price: float = 64_000.0) -> Columns:
    source = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(source.normal(0.0, 0.002, length)))
    opened = np.concatenate(([price], close[:-1]))
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + source.random(length) * 0.002),
        "low": np.minimum(opened, close) * (1 - source.random(length) * 0.002),
        "close": close,
        "volume": source.exponential(1.0, length),
    }


def bars_of(columns: Columns) -> list[Bar]:
    rows = zip(*(columns[name].tolist() for name in columns), strict=True)
    return [
        Bar(
            instrument="binance:BTC-USDT",
            interval="1m",
            start=START + number * MINUTE,
            end=START + (number + 1) * MINUTE,
            **dict(zip(columns, row, strict=True)),
            buy_volume=row[-1] / 2,
            notional=row[-1] * row[-2],
            count=1,
        )
        for number, row in enumerate(rows)
    ]
