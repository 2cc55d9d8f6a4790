"""Bars of small numbers, so that ties happen, and what an indicator tells of them."""

from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from indicators.contract import BarIndicator
from indicators.names import create_for_bars
from market.events import Bar

SMALL = st.lists(st.integers(-3, 3), max_size=40)


def bar(close: float, *, other: float = 0.0, low: float = 0.0, high: float = 0.0) -> Bar:
    """A bar whose values have nothing to do with each other; `other` is its open."""
    return Bar(
        instrument="binance:BTC-USDT",
        interval="1m",
        start=0,
        end=60_000_000_000,
        open=float(other),
        high=float(high),
        low=float(low),
        close=float(close),
        volume=1.0,
        buy_volume=0.5,
        notional=1.0,
        count=1,
    )


def told(name: str, bars: Iterable[Bar]) -> list[tuple[float | None, ...]]:
    """What an indicator tells at each of them."""
    indicator = create_for_bars(name)
    found = []
    for each in bars:
        indicator.update(each)
        found.append(indicator.values)
    return found


def told_of(name: str, closes: Iterable[float]) -> list[float | None]:
    """What an indicator of one value tells at each of these closes."""
    return [values[0] for values in told(name, map(bar, closes))]


class Scripted(msgspec.Struct):
    """An indicator that says what it was told to, None where it does not know, and never more."""

    script: list[float | None]
    count: int = 0
    settled: int | None = 1

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def warm_up(self) -> int:
        return 1

    @property
    def values(self) -> tuple[float | None, ...]:
        return (self.script[self.count - 1] if self.count else None,)

    def update(self, _bar: Bar) -> None:
        self.count += 1

    def revise(self, _bar: Bar) -> None:
        """Say the same again."""


def run(indicator: BarIndicator, length: int) -> list[tuple[float | None, ...]]:
    """What an indicator over scripted series tells."""
    found = []
    for _ in range(length):
        indicator.update(bar(0.0))
        found.append(indicator.values)
    return found
