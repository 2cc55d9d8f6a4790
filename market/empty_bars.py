"""Empty bars: what a series says of an interval in which nothing was traded.

Venues differ. Binance sends a flat candle for every silent interval; others leave it out. So it is
a choice: `none` says nothing, and bars then have holes; `flat` says a bar whose four prices are the
last close, with volume 0 and count 0. Every indicator of the series sees flat bars as it sees any
other: a period of 14 is then 14 intervals of time and not 14 intervals with trades.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from market.bars import GRACE, LATENESS
from market.events import Bar
from market.intervals import Interval


class EmptyBars(StrEnum):
    """What is said of an interval without trades."""

    NONE = "none"
    FLAT = "flat"


def is_flat(bar: Bar) -> bool:
    """Tell whether nothing was traded; a bar that a venue made has no count, but it has volume."""
    return not bar.count and not bar.volume


@dataclass(frozen=True, slots=True)
class Run:
    """Bars that were said: one with trades, or flat ones in a row that are alike.

    Attributes:
        start: of the first, ns.
        end: of the last, ns.
        close: the last price.
        revision: as it was said last.
        added: by how much this is more than its maker says, for it took the place of a flat bar.
        is_flat: nothing was traded.
    """

    start: int
    end: int
    close: float
    revision: int
    added: int
    is_flat: bool


class FlatBarsState(msgspec.Struct, frozen=True, kw_only=True):
    """What `FlatBars` remembers, for recovery; plain data that can be pickled.

    Attributes:
        instrument: whose bars they are; empty before the first.
        runs: what was said of late, oldest first.
        fills: no trade may be missing since the last bar.
    """

    instrument: str
    runs: tuple[Run, ...]
    fills: bool


class FlatBars:
    """Says the flat bars of one instrument and interval: the policy `flat`.

    It stands behind the series' maker (`BarBuilder`, `BarRollup`, `MergedBars`): each bar that one
    says goes through `take`, and what comes out is said in its place.

    A flat bar is said as the others are: with the first bar after it, or with a heartbeat that is
    as far past its end as closes a bar. A late trade for its interval revises it: the bar with the
    trade is said as a revision of the flat one, its `revision` one higher, whatever its maker
    called it. A late trade that changes the close of the bar before it revises it too.

    Nothing is filled over a gap: not after `interrupt`, nor next to a bar with `gap`, until a bar
    without it has come. Nothing comes before the first bar.

    Args:
        interval: length of a bar.
        lateness: how long a bar can still be corrected, ns, as its maker has it.
        state: what `snapshot` returned, to go on from there.

    State: the bars of the last `lateness` before the newest with trades; flat ones that are alike
    and in a row count as one, so it does not grow in a silence.

    Example:
        >>> flat = FlatBars(Interval.parse("1s"))
        >>> bar = Bar(instrument="binance:BTC-USDT", interval="1s", start=0, end=10**9, open=1.0,
        ...     high=3.0, low=1.0, close=2.0, volume=5.0, buy_volume=2.5, notional=10.0, count=4)
        >>> len(flat.take(bar))
        1
        >>> [(bar.start // 10**9, bar.high, bar.volume) for bar in flat.advance(5 * 10**9)]
        [(1, 2.0, 0.0), (2, 2.0, 0.0)]
    """

    __slots__ = ("_fills", "_instrument", "_runs", "interval", "lateness")

    def __init__(
        self,
        interval: Interval,
        *,
        lateness: int = LATENESS,
        state: FlatBarsState | None = None,
    ) -> None:
        self.interval = interval
        self.lateness = lateness
        self._instrument = "" if state is None else state.instrument
        self._runs: list[Run] = [] if state is None else list(state.runs)
        self._fills = state is not None and state.fills

    def interrupt(self) -> None:
        """Say that trades may be missing from here on: what is silent is not known to be empty."""
        self._fills = False

    def take(self, bar: Bar) -> list[Bar]:
        """Take a bar of the maker, closed or revised; return all there is to say, in order.

        That is: flat bars of empty intervals before it, the bar itself, and revisions of flat bars
        after it whose price it changes.
        """
        self._instrument = bar.instrument
        runs = self._runs
        if runs and bar.start < runs[-1].end:
            said = self._replace(bar)
        else:
            said = [] if bar.gap else self._fill(bar.start)
            said.append(bar)
            self._fills = not bar.gap
            runs.append(_run(bar, 0))
        while runs[0].end <= bar.start - self.lateness:
            del runs[0]
        return said

    def advance(self, venue_time: int) -> list[Bar]:
        """Return the flat bars that are over when the venue's time, less the grace, is past them.

        Call it after the maker's own `advance`, with the same time, and after `take` of what that
        returned.
        """
        return self._fill(self.interval.start_of(venue_time - GRACE))

    def snapshot(self) -> FlatBarsState:
        """Return the state for recovery; what comes later does not change it."""
        return FlatBarsState(instrument=self._instrument, runs=tuple(self._runs), fills=self._fills)

    def _fill(self, until: int) -> list[Bar]:
        runs = self._runs
        if not self._fills or not runs or runs[-1].end >= until:
            return []
        last = runs[-1]
        new = Run(last.end, until, last.close, 0, 0, is_flat=True)
        if last.is_flat and last.revision == 0:
            runs[-1] = replace(last, end=until)
        else:
            runs.append(new)
        return self._flat(new)

    def _replace(self, bar: Bar) -> list[Bar]:
        """Say a bar in the place of what was said of its interval, or of nothing."""
        runs = self._runs
        at = next((at for at, run in enumerate(runs) if bar.start < run.end), len(runs))
        old = runs[at]
        if old.start > bar.start:
            runs.insert(at, _run(bar, 0))
        elif old.is_flat:
            bar_run = _run(bar, old.revision + 1 - bar.revision)
            before = replace(old, end=bar.start)
            after = replace(old, start=bar.end)
            pieces = [run for run in (before, bar_run, after) if run.start < run.end]
            runs[at : at + 1] = pieces
            at = runs.index(bar_run, at)
        else:
            runs[at] = _run(bar, old.added)
        said = [msgspec.structs.replace(bar, revision=runs[at].revision)]
        for place in range(at + 1, len(runs)):
            run = runs[place]
            if not run.is_flat or run.start != runs[place - 1].end or run.close == bar.close:
                break
            runs[place] = replace(run, close=bar.close, revision=run.revision + 1)
            said += self._flat(runs[place])
        return said

    def _flat(self, run: Run) -> list[Bar]:
        length = self.interval.length
        return [
            Bar(
                instrument=self._instrument,
                interval=self.interval.name,
                start=start,
                end=start + length,
                open=run.close,
                high=run.close,
                low=run.close,
                close=run.close,
                volume=0.0,
                buy_volume=0.0,
                notional=0.0,
                count=0,
                revision=run.revision,
            )
            for start in range(run.start, run.end, length)
        ]


def flat_past(bars: Iterable[Bar], interval: Interval, until: int) -> tuple[Bar, ...]:
    """Return bars of the past with flat ones where nothing was traded.

    Args:
        bars: of the interval, oldest first.
        interval: of the bars.
        until: all that ended by then is known, ns.
    """
    flats = FlatBars(interval)
    told = [each for bar in bars for each in flats.take(bar)]
    return (*told, *flats.advance(until + GRACE))


def _run(bar: Bar, added: int) -> Run:
    return Run(bar.start, bar.end, bar.close, bar.revision + added, added, is_flat(bar))
