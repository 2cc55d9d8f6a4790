"""Bars to compare indicators on: random walks with a trade flow, and real ones."""

import csv
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indicators.contract import BarIndicator
from market.events import Bar

Column: TypeAlias = npt.NDArray[np.float64]

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
MIDNIGHT = 17_625 * DAY
CAPTURES = os.environ.get("CANDLEWAX_CAPTURES", "")
REAL = [
    "btceur_20180404",
    "btcusd_20161007",
    "btcusd_20180404",
    "ethusd_20180404",
    "ltcusd_20180404",
]
"""Days of Coinbase's minutes, as captures/bars has them."""

WALKS = given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 300),
    price=st.sampled_from([0.00042, 1.0, 64_000.0]),
    volatility=st.sampled_from([1e-4, 1e-3, 0.05]),
)


def make_bar(number: int, price: float = 100.0, **changed: float) -> Bar:
    """A minute of one price that begins `number` minutes after a midnight."""
    volume = changed.get("volume", 1.0)
    flat = Bar(
        instrument="coinbase:BTC-USD",
        interval="1m",
        start=MIDNIGHT + number * MINUTE,
        end=MIDNIGHT + (number + 1) * MINUTE,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=volume,
        buy_volume=volume / 2,
        notional=price * volume,
        count=1 if volume else 0,
    )
    return replace(flat, **changed)


def random_bars(
    seed: int, length: int, price: float = 64_000.0, volatility: float = 1e-3, first: int = 0
) -> list[Bar]:
    """Minutes of a random walk; a tenth of them without any volume."""
    random = np.random.default_rng(seed)
    closes = price * np.exp(np.cumsum(random.normal(0.0, volatility, length)))
    opens = np.concatenate(([price], closes[:-1])) * np.exp(random.normal(0, volatility, length))
    highs = np.maximum(opens, closes) * np.exp(random.exponential(volatility, length))
    lows = np.minimum(opens, closes) * np.exp(-random.exponential(volatility, length))
    volumes = random.lognormal(0.0, 1.5, length) * (random.random(length) > 0.1)
    bought = volumes * random.random(length)
    rows = zip(opens, highs, lows, closes, volumes, bought, strict=True)
    return [
        make_bar(
            first + number,
            open=float(opened),
            high=float(high),
            low=float(low),
            close=float(close),
            volume=float(volume),
            buy_volume=float(buys),
            notional=float((high + low + close) / 3 * volume),
        )
        for number, (opened, high, low, close, volume, buys) in enumerate(rows)
    ]


@cache
def real_bars(day: str) -> tuple[Bar, ...]:
    """A day of Coinbase's minutes; those in which nothing traded are not there."""
    path = Path(CAPTURES) / "bars" / f"lean_crypto_coinbase_minute_{day}_trade.csv"
    if not CAPTURES or not path.exists():
        pytest.skip("CANDLEWAX_CAPTURES does not name a folder with bars")
    bars = []
    with path.open(newline="") as lines:
        for ms, *told in csv.reader(lines):
            opened, high, low, close, volume = map(float, told)
            bars.append(
                make_bar(
                    int(ms) // 60_000,
                    open=opened,
                    high=high,
                    low=low,
                    close=close,
                    volume=volume,
                    notional=(high + low + close) / 3 * volume,
                )
            )
    return tuple(bars)


def column(bars: Sequence[Bar], field: str) -> Column:
    """One value of every bar."""
    return np.array([getattr(bar, field) for bar in bars], dtype=np.float64)


def told(indicator: BarIndicator, bars: Sequence[Bar], place: int = 0) -> list[float | None]:
    """What an indicator says after each bar."""
    values = []
    for bar in bars:
        indicator.update(bar)
        values.append(indicator.values[place])
    return values


def assert_equal(ours: Sequence[float | None], theirs: Column, scales: Column, period: int) -> None:
    """Hold values against a reference from the first one that it gives.

    They may differ by a thousand millionth of the value or of the largest of `scales` in the
    window, whichever is larger.
    """
    assert len(ours) == len(theirs)
    for number, (a, b) in enumerate(zip(ours, theirs.tolist(), strict=True)):
        if math.isnan(b):
            assert a is None, f"bar {number}: the reference has no value yet"
        else:
            assert a is not None, f"bar {number}: the reference has a value"
            scale = float(scales[max(0, number - period) : number + 1].max())
            assert abs(a - b) <= 1e-9 * max(abs(b), scale), f"bar {number}: {a} is not {b}"


def assert_settles(make: Callable[[], BarIndicator], places: int = 1) -> None:
    """Begin at several bars of a walk: once settled, what came before must not matter."""
    settled = make().settled
    assert settled is not None
    bars = random_bars(seed=7, length=settled + 400)
    for place in range(places):
        whole = told(make(), bars, place)
        for start in (1, 50, 333):
            late = told(make(), bars[start:], place)
            for a, b in zip(late[settled - 1 :], whole[start + settled - 1 :], strict=True):
                assert a == pytest.approx(b, rel=1e-4, abs=1e-12)


def assert_forgets(
    make: Callable[[], BarIndicator], huge: Bar, window: int, places: int = 1
) -> None:
    """Send a huge bar after a first one: when it is out of the window it must leave no trace."""
    bars = random_bars(seed=11, length=window + 200, first=2)
    for place in range(places):
        clean = told(make(), bars, place)[window:]
        after = told(make(), [make_bar(0), huge, *bars], place)[window + 2 :]
        for a, b in zip(after, clean, strict=True):
            assert a == pytest.approx(b, rel=1e-12, abs=1e-15)
