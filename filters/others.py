"""Other bars than a spec's own: what they said at a time, and whether all of it is known.

A spec over 1 m bars of ETH-USDT may name `close@BTC-USDT`: the close of the last BTC-USDT bar that
ended no later than its own. The two symbols come from two places, and one may be ahead. So nothing
is answered before the other series has said that it is past that time (`Passed`), and then the
answer is what it had said until just then: the same whichever of the two was faster.
"""

from bisect import bisect_left

import msgspec

from filters.alerts import Observation, Passed
from market.events import State

KEPT = 1024
"""Bars and passed times that are kept of a series: so far may one symbol be ahead of another."""


class _Told(msgspec.Struct):
    """One bar: its end, how many bars the series had told with it, its values if it was live."""

    end: int
    number: int
    values: dict[str, float | None] | None


class _Passed(msgspec.Struct):
    """A time that a series is past: bars told by then, and until when it was last not live."""

    until: int
    number: int
    dead: int


class OthersState(msgspec.Struct, frozen=True):
    """What an `Others` remembers; plain data."""

    bars: dict[str, dict[str, list[_Told]]] = {}
    passed: dict[str, list[_Passed]] = {}


class Others:
    """What is known of other series.

    Args:
        state: what `snapshot` returned, to go on from there.

    Example:
        >>> others = Others()
        >>> others.is_past("binance:BTC-USDT", 60)
        False
        >>> others.pass_by(Passed(series="binance:BTC-USDT", until=60, ts_recv=62))
        >>> others.is_past("binance:BTC-USDT", 60)
        True
    """

    def __init__(self, state: OthersState | None = None) -> None:
        kept = OthersState() if state is None else _copied(state)
        self._bars = kept.bars
        self._passed = kept.passed

    def take(self, observation: Observation) -> None:
        """Take a bar of another series; it is past the bar's end then."""
        of_series = self._bars.setdefault(observation.series, {})
        told = of_series.setdefault(observation.interval, [])
        is_live = observation.state is State.LIVE
        number = 1 + max((bars[-1].number for bars in of_series.values() if bars), default=0)
        values = observation.values if is_live else None
        told.append(_Told(observation.ts_event, number, values))
        if len(told) > 2 * KEPT:
            del told[:KEPT]

    def pass_by(self, passed: Passed) -> None:
        """Take the time that a series is past: all its bars that ended by then have been told."""
        known = self._passed.setdefault(passed.series, [])
        until, dead = passed.until, 0
        if known:
            until, dead = max(until, known[-1].until), known[-1].dead
        if passed.state is not State.LIVE:
            dead = max(dead, until)
        of_series = self._bars.get(passed.series, {})
        number = max((bars[-1].number for bars in of_series.values() if bars), default=0)
        known.append(_Passed(until, number, dead))
        if len(known) > 2 * KEPT:
            del known[:KEPT]

    def is_past(self, series: str, ts: int) -> bool:
        """Whether a series is past a time, ns of the venues' clocks."""
        known = self._passed.get(series)
        return known is not None and known[-1].until >= ts

    def value(self, series: str, interval: str, field: str, ts: int) -> float | None:
        """Return a field of the last bar that ended by `ts`, which the series must be past.

        None where it is not known, or where the series has not been live since.
        """
        known = self._passed[series]
        passed = known[bisect_left(known, ts, key=lambda each: each.until)]
        for told in reversed(self._bars.get(series, {}).get(interval, ())):
            if told.end <= ts and told.number <= passed.number:
                is_live = told.values is not None and passed.dead <= told.end
                return told.values.get(field) if is_live and told.values is not None else None
        return None

    def snapshot(self) -> OthersState:
        """Return a copy of what there is to remember."""
        return _copied(OthersState(self._bars, self._passed))


def _copied(state: OthersState) -> OthersState:
    bars = {
        series: {interval: list(told) for interval, told in intervals.items()}
        for series, intervals in state.bars.items()
    }
    return OthersState(bars, {series: list(known) for series, known in state.passed.items()})
