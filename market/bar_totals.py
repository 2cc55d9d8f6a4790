"""What bars that are told already have accumulated: one of them, or several in one."""

from collections.abc import Iterable

from market.bars import Accumulator
from market.events import Bar


def accumulator_of(bar: Bar, times: tuple[int, int] | None = None) -> Accumulator:
    """Return what a bar has accumulated.

    Args:
        bar: closed or revised.
        times: of its first and its last trade, ns; without them those of its interval.
    """
    first, last = (bar.start, bar.end - 1) if times is None else times
    return Accumulator(
        start=bar.start,
        end=bar.end,
        first_ts=first,
        last_ts=last,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        buy_volume=bar.buy_volume,
        notional=bar.notional,
        count=bar.count,
    )


def total_of(bars: Iterable[Bar], times: tuple[int, int] | None = None) -> Accumulator:
    """Return what whole bars have accumulated together.

    Of two that begin at the same time the earlier one in `bars` gives the open, of two that end at
    the same time the later one the close. A bar in which nothing traded adds nothing, unless all
    are such: then its prices are the first one's. `count` is 0 where one of them does not tell it.

    Args:
        bars: at least one, in order.
        times: start and end of the whole, ns; without them those of the first.
    """
    given = list(bars)
    traded = [bar for bar in given if bar.volume > 0] or given[:1]
    total = accumulator_of(traded[0])
    for bar in traded[1:]:
        total.merge(accumulator_of(bar))
    if not all(bar.count for bar in traded):
        total.count = 0
    total.start, total.end = times or (given[0].start, given[0].end)
    return total
