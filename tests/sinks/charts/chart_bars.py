"""Bars to draw: a seeded walk, and the same with holes and marks."""

from collections.abc import Collection

import numpy as np

from market.events import Bar

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_790_000_100 * SECOND


def bar(number: int, opened: float, close: float, **more: object) -> Bar:
    """A bar of a minute that opens and closes there, with wicks of a thousandth."""
    fields: dict[str, object] = {
        "instrument": "binance:BTC-USDT",
        "interval": "1m",
        "start": START + number * MINUTE,
        "end": START + (number + 1) * MINUTE,
        "open": opened,
        "high": max(opened, close) * 1.001,
        "low": min(opened, close) * 0.999,
        "close": close,
        "volume": 1.0 + number % 7,
        "buy_volume": 0.5,
        "notional": close * (1.0 + number % 7),
        "count": 3,
    }
    return Bar(**{**fields, **more})  # type: ignore[arg-type]  # a test names what it changes


def walk(
    length: int,
    *,
    price: float = 67_000.0,
    seed: int = 1,
    without: Collection[int] = (),
    partial: Collection[int] = (),
    gap: Collection[int] = (),
) -> list[Bar]:
    closes = price * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.003, length)))
    opens = [price, *closes[:-1].tolist()]
    return [
        bar(number, opened, close, partial=number in partial, gap=number in gap)
        for number, (opened, close) in enumerate(zip(opens, closes.tolist(), strict=True))
        if number not in without
    ]
