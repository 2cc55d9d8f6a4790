"""One candle of the simulated market, in ticks and steps, so that sums are exact."""

import msgspec


class Candle(msgspec.Struct):
    """What traded from `start` on.

    Attributes:
        start: ns UTC.
        open: ticks.
        high: ticks.
        low: ticks.
        close: ticks.
        volume: steps.
        bought: steps whose aggressor bought.
        worth: ticks times steps of the volume.
        bought_worth: the same of what was bought.
        count: trades.
    """

    start: int
    open: int
    high: int
    low: int
    close: int = 0
    volume: int = 0
    bought: int = 0
    worth: int = 0
    bought_worth: int = 0
    count: int = 0

    def add(self, price: int, size: int, *, buyer_took: bool) -> None:
        """Take one trade, the latest."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += size
        self.worth += price * size
        if buyer_took:
            self.bought += size
            self.bought_worth += price * size
        self.count += 1


def joined(start: int, earlier: Candle | None, later: Candle) -> Candle:
    """Return the candle from `start` on that two smaller ones make up, or one alone."""
    if earlier is None:
        return later if later.start == start else msgspec.structs.replace(later, start=start)
    return Candle(
        start=start,
        open=earlier.open,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=earlier.volume + later.volume,
        bought=earlier.bought + later.bought,
        worth=earlier.worth + later.worth,
        bought_worth=earlier.bought_worth + later.bought_worth,
        count=earlier.count + later.count,
    )
