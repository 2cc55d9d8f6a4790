"""Bars that a venue makes itself, for intervals of which we make none."""

from msgspec.structs import replace

from market.events import Aggregate, Bar


class VenueBars:
    """What a venue told last of one instrument's bars, by interval.

    A bar told twice is told on once; one that says something else is its revision. Such a bar has
    no `count` (0), and one half of its volume counts as bought: the venue does not say.
    """

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: dict[str, Bar] = {}

    def take(self, aggregate: Aggregate) -> Bar | None:
        """Return the bar that is news, or None."""
        last = self.told.get(aggregate.interval)
        is_same = last is not None and last.start == aggregate.start
        vwap = aggregate.close if aggregate.vwap is None else aggregate.vwap
        bar = Bar(
            instrument=aggregate.instrument,
            interval=aggregate.interval,
            start=aggregate.start,
            end=aggregate.end,
            open=aggregate.open,
            high=aggregate.high,
            low=aggregate.low,
            close=aggregate.close,
            volume=aggregate.volume,
            buy_volume=aggregate.volume / 2,
            notional=aggregate.volume * vwap,
            count=0,
            revision=last.revision if last is not None and is_same else 0,
        )
        if last is not None and aggregate.start < last.start:
            return None  # an old one again: nothing shows whether it is a correction
        if bar == last:
            return None
        if is_same:
            bar = replace(bar, revision=bar.revision + 1)
        self.told[aggregate.interval] = bar
        return bar
