"""The closed bars of one series, with the indicators that are wanted of them.

An indicator is right only if no bar is missing before it. So a bar in which trades may be missing
is not given to it; the past is asked for instead (`HistoryWish`), and what comes (`History`) fills
the hole, takes the place of such bars, and lets every indicator that had begun anew go on as if
nothing had been missed: from its state before the hole where the past reaches back to it, so that
a running total keeps its level. Where no history comes they warm up with the bars that follow.

It is long because bars, holes and history come in any order, and each asks what the others left.
"""

import copy
import pickle
from bisect import insort
from collections.abc import Iterable
from operator import attrgetter
from typing import TypeAlias

import msgspec

from indicators.beginning import begun_with, whole_after
from indicators.contract import BarIndicator
from indicators.names import IndicatorName, create_for_bars, parse
from market.activity import Activity
from market.events import Bar, Feature, History, State
from market.intervals import DAY, Interval

BarLength: TypeAlias = Interval | Activity
MOST_HISTORY = 5000
"""Most bars of the past that are asked for."""
MOST_COLLECTED = 1000
"""Most bars that are kept while an answer is awaited; who waits longer does without."""
BEFORE_MIDNIGHT = 60
"""Bars more, where all of the day are wanted: only one of the day before shows where it begins."""
FOREVER = 1 << 62
REMEMBERED = 100
"""Bars that history has put right of which a late trade's correction is refused."""
_start = attrgetter("start")
REVISED = "revised input"
"""Why a feature may not be what it would have been: an earlier bar was corrected since."""


class HistoryWish(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of the past that a series wants to know.

    Attributes:
        instrument: id.
        interval: of the bars, `"1m"`.
        bars: how many would do.
        until: every bar that ended by then is wanted, ns of the venue's clock.
        clock_offset: our clock less the venue's, ns.
    """

    instrument: str
    interval: str
    bars: int
    until: int
    clock_offset: int = 0


class SeriesState(msgspec.Struct):
    """What a `BarSeries` remembers over a restart."""

    indicators: dict[str, bytes]
    cold: set[str]
    collected: list[Bar]
    awaited_until: int
    last: Bar | None
    hole: int
    taken: int
    awaited_bars: int
    healed: list[int]
    since_revised: int | None
    told_again: int
    before: dict[str, bytes] = {}
    taken_before: int = 0
    hole_from: int = 0


class BarSeries:
    """The bars of one instrument and interval, with the indicators that are wanted of them.

    Args:
        instrument: id.
        length: of the bars; only time bars have a history to ask for.
        has_past: there is somebody to ask for it.
    """

    __slots__ = (
        "_before",
        "_cold",
        "_collected",
        "_healed",
        "_hole",
        "_hole_from",
        "_places",
        "_since_revised",
        "_taken",
        "_taken_before",
        "_told_again",
        "awaited_bars",
        "awaited_until",
        "has_past",
        "indicators",
        "instrument",
        "last",
        "length",
        "names",
        "wish",
    )

    def __init__(self, instrument: str, length: BarLength, *, has_past: bool = True) -> None:
        self.instrument = instrument
        self.length = length
        self.has_past = has_past and isinstance(length, Interval)
        self.names: dict[str, IndicatorName] = {}
        self.indicators: dict[str, BarIndicator] = {}
        self._places: dict[str, list[tuple[str, int]]] = {}  # names and places, by indicator
        self.last: Bar | None = None
        """The bar that came last, marked or not."""
        self.awaited_until = 0
        """History is awaited that reaches this far, ns of the venue's clock; 0 for none."""
        self.awaited_bars = 0
        """How many bars of it."""
        self.wish: HistoryWish | None = None
        """What is to be asked for; whoever asks takes it away."""
        self._cold: set[str] = set()  # indicators that history would put right
        self._collected: list[Bar] = []
        self._hole = 0  # trades before this may be missing, and nobody knows of which bars
        self._hole_from = 0  # end of the last bar before trades were missing; 0 for no such hole
        self._taken = -FOREVER  # start of the bar that the indicators took last
        self._before: dict[str, bytes] = {}  # those that began anew, as they were then
        self._taken_before = -FOREVER  # start of the bar that these took last
        self._healed: list[int] = []
        self._since_revised: int | None = None
        self._told_again = 0  # how often the last bar's features were, besides its revisions

    def snapshot(self) -> SeriesState:
        """Return a copy of the state."""
        return SeriesState(
            indicators={
                text: pickle.dumps(indicator) for text, indicator in self.indicators.items()
            },
            cold=set(self._cold),
            collected=list(self._collected),
            awaited_until=self.awaited_until,
            last=self.last,
            hole=self._hole,
            taken=self._taken,
            awaited_bars=self.awaited_bars,
            healed=list(self._healed),
            since_revised=self._since_revised,
            told_again=self._told_again,
            before=dict(self._before),
            taken_before=self._taken_before,
            hole_from=self._hole_from,
        )

    def restore(self, state: SeriesState) -> None:
        """Go on from a snapshot; what is not wanted any more is dropped at the next `want`."""
        self.indicators = {
            text: pickle.loads(kept)  # noqa: S301 - our own store, never from outside
            for text, kept in state.indicators.items()
        }
        self._cold = set(state.cold)
        self._collected = list(state.collected)
        self.awaited_until = state.awaited_until
        self.last = state.last
        self._hole = state.hole
        self._taken = state.taken
        self.awaited_bars = state.awaited_bars
        self._healed = list(state.healed)
        self._since_revised = state.since_revised
        self._told_again = state.told_again
        self._before = dict(state.before)
        self._taken_before = state.taken_before
        self._hole_from = state.hole_from

    def want(self, names: Iterable[str]) -> None:
        """Compute exactly these indicators from now on; one already there keeps its state."""
        self.names = {name.text: name for name in map(parse, names)}
        wanted = {name.indicator: name for name in self.names.values()}
        self._places = {text: [] for text in wanted}
        for text, name in self.names.items():
            self._places[name.indicator].append((text, name.place))
        before = self.indicators
        self.indicators = {
            text: before.get(text) or create_for_bars(name) for text, name in wanted.items()
        }
        new = self.indicators.keys() - before.keys()
        self._cold = (self._cold | new) & self.indicators.keys()
        self._before = {text: self._before[text] for text in self._before.keys() & wanted.keys()}
        if new and self.last is not None and not self._hole:
            self.ask(self.last.end)

    def ask(self, until: int) -> None:
        """Wish for the bars before `until`, where an indicator or a bar would be better for it."""
        length = self.length
        is_better = self._cold or self._collected or self._hole_from
        if self.has_past and isinstance(length, Interval) and is_better:
            self.awaited_until = until = max(self.awaited_until, until)
            self.awaited_bars = self._bars_wanted(until, length)
            self.wish = HistoryWish(
                instrument=self.instrument,
                interval=length.name,
                bars=self.awaited_bars,
                until=until,
            )

    def interrupt(self) -> None:
        """Trades may be missing from here on, and with them whole bars."""
        self._hole = FOREVER
        if not self._hole_from and self.last is not None and self.has_past:
            self._hole_from = self.last.end

    def resume(self, ts: int) -> None:
        """Trades flow again from `ts` (venue's time) on: what was before may be asked for."""
        self._restart()
        if isinstance(self.length, Interval):
            start = self.length.start_of(ts)
            self._hole = start if start == ts else start + self.length.length
            self.ask(start)

    def take(self, bar: Bar) -> list[Feature]:
        """Update the indicators; return what they say of this bar, nothing if they do not."""
        if bar.revision and (self.last is None or bar.start <= self.last.start):
            return self._correct(bar)
        is_first = self.last is None
        self.last = bar
        self._told_again = 0
        if self._since_revised is not None:
            self._since_revised += 1
        if bar.gap or bar.partial:
            self._restart()
            self._hole = max(self._hole, bar.end)
            self._collect(bar)
            if self._hole < FOREVER:
                self.ask(self._hole)
            return self._features(bar)
        if self._hole:
            self._restart()
            self.ask(self._hole if self._hole < FOREVER else bar.start)
            self._hole = 0
        elif is_first:
            self.ask(bar.start)
        if bar.start <= self._taken_before:
            return []  # the past had it already: it was told later than it was over
        for indicator in self.indicators.values():
            indicator.update(bar)
        self._taken = bar.start
        if self.awaited_until or self._collected:
            self._collect(bar)
        return self._features(bar)

    def refuses(self, bar: Bar) -> bool:
        """Whether a bar is one that the past has put right, told again by a late trade of ours."""
        return bar.revision > 0 and bar.start in self._healed

    def answers(self, history: History) -> bool:
        """Whether these bars are what is awaited, as far back and as new."""
        asked = MOST_HISTORY if history.asked is None else history.asked
        return (
            self.awaited_until > 0
            and history.until >= self.awaited_until
            and asked >= self.awaited_bars
        )

    def absorb(self, history: History) -> tuple[list[Bar], list[Feature]]:
        """Take bars of the past: return bars that they put right, and what indicators say now.

        Put right are bars that were told with a mark, and bars of a hole that were never told: all
        of them are revisions, so that nobody takes them for news.

        An answer without bars is one too: there is nothing to be had, and who is cold warms up.
        """
        if self._hole == FOREVER or not self.answers(history):
            return [], []
        is_whole = history.until >= self._hole
        end = history.until if self.last is None or not is_whole else self.last.end
        known = {bar.start: bar for bar in history.bars if bar.end <= max(end, self.awaited_until)}
        healed = self._heal(known) if is_whole else []
        bars = [known[start] for start in sorted(known)] if history.bars else []
        if bars:
            self._rebuild(bars, tells_sides=history.tells_sides)
        self.awaited_until = 0
        if is_whole:
            self._hole = 0
            self._settle()
        else:
            self.ask(self._hole)  # the bar that had begun before its trades came is not over
        if not bars:
            return healed, []
        if self.last is not None and bars[-1].start == self.last.start and bars[-1] not in healed:
            self._told_again += 1
        return healed, self._features(bars[-1])

    def _rebuild(self, bars: list[Bar], *, tells_sides: bool) -> None:
        """Compute what is cold from these bars alone."""
        if self._cold == self.indicators.keys():
            self._since_revised = None  # all of it is computed from bars as they are now
        went_on: set[str] = set()
        for text in self._cold:
            name = parse(text)
            if not tells_sides and "buy_volume" in name.inputs:
                continue
            before = self._before.get(text)
            if before is not None and bars[0].start <= self._taken_before:
                indicator = pickle.loads(before)  # noqa: S301 - made here, a moment ago
                went_on.add(text)
                missed = [bar for bar in bars if bar.start > self._taken_before]
            else:
                indicator = create_for_bars(name)
                # A total depends on where it begins: not on how far others look back.
                missed = bars if indicator.settled is not None else bars[-begun_with(indicator) :]
            for bar in missed:
                indicator.update(bar)
            self.indicators[text] = indicator
        # More of the past may follow.
        self._before = {text: pickle.dumps(self.indicators[text]) for text in sorted(went_on)}
        self._taken = self._taken_before = bars[-1].start

    def values(self) -> dict[str, float | None]:
        """Return the indicators' values by canonical name; None while warming."""
        told = {}
        for of, places in self._places.items():
            values = self.indicators[of].values
            for text, place in places:
                told[text] = values[place]
        return told

    def provisional(self, bar: Bar, names: Iterable[str]) -> dict[str, float | None]:
        """Return what indicators would say if a bar that is still forming closed as it is.

        Only those of `names` are computed; one that is not wanted of this series is left out.
        """
        if self._hole or bar.gap or bar.partial:
            return {}
        asked = frozenset(names)
        told: dict[str, float | None] = {}
        for of, places in self._places.items():
            looked_at = [each for each in places if each[0] in asked]
            if looked_at:
                indicator = copy.deepcopy(self.indicators[of])
                indicator.update(bar)
                told |= {text: indicator.values[place] for text, place in looked_at}
        return told

    def _restart(self) -> None:
        """Begin every indicator afresh: bars are missing."""
        if self.has_past and not self._before and self._since_revised is None:
            warm = self.indicators.keys() - self._cold
            self._before = {text: pickle.dumps(self.indicators[text]) for text in sorted(warm)}
            self._taken_before = self._taken
        for text, indicator in self.indicators.items():
            if indicator.count:
                self.indicators[text] = create_for_bars(text)
        self._cold = set(self.indicators)
        self._since_revised = None

    def _collect(self, bar: Bar) -> None:
        """Keep a bar until the past is there, or is no longer needed."""
        if not self.has_past:
            return
        self._collected.append(bar)
        cold = (self.indicators[text] for text in self._cold)
        if len(self._collected) > MOST_COLLECTED or (
            not self._hole_from
            and not any(each.gap or each.partial for each in self._collected)
            and all(each.count >= begun_with(each) for each in cold)
        ):
            self.awaited_until = 0
            self._settle()

    def _settle(self) -> None:
        """Nothing is awaited any more."""
        self._cold.clear()
        self._collected = []
        self._before = {}
        self._hole_from = 0

    def _heal(self, known: dict[int, Bar]) -> list[Bar]:
        """Join the bars collected meanwhile to those of the past; return which were put right."""
        healed = []
        told = {ours.start for ours in self._collected}
        for start, missed in known.items() if self._hole_from else ():
            is_in_it = self._hole_from <= start and missed.end <= self.awaited_until
            if is_in_it and start not in told:
                known[start] = right = msgspec.structs.replace(missed, revision=1)
                healed.append(right)
                self._healed.append(start)
        for ours in self._collected:
            theirs = known.get(ours.start)
            if not (ours.gap or ours.partial):
                known[ours.start] = ours
            elif theirs is not None:
                right = msgspec.structs.replace(theirs, revision=ours.revision + 1)
                known[ours.start] = right
                healed.append(right)
                self._healed.append(ours.start)
                if self.last is not None and ours.start == self.last.start:
                    self.last = right
        healed.sort(key=_start)
        del self._healed[:-REMEMBERED]
        return healed

    def _correct(self, bar: Bar) -> list[Feature]:
        """Take a bar again that a late trade has changed."""
        for index, one in enumerate(self._collected):
            if one.start == bar.start:
                self._collected[index] = bar
                break
        else:
            if self._hole_from and bar.start >= self._hole_from:
                insort(self._collected, bar, key=_start)  # it was passed over
        if bar.start <= self._taken_before:
            self._before = {}  # they took it as it was
        if self.last is None or bar.start != self.last.start or bar.start < self._taken:
            if any(indicator.count for indicator in self.indicators.values()):
                self._since_revised = 0
            return []
        self.last = bar
        if bar.gap or bar.partial:
            return []
        for indicator in self.indicators.values():
            if indicator.count:
                indicator.revise(bar)
        return self._features(bar)

    def _bars_wanted(self, until: int, interval: Interval) -> int:
        """Return how many bars would let the cold indicators forget where they began."""
        wanted = 1
        if self._hole_from:
            wanted = max(wanted, -(-(until - self._hole_from) // interval.length))
        if self._before:
            wanted = max(wanted, -(-(until - self._taken_before) // interval.length))
        for text in self._cold:
            wanted = max(wanted, begun_with(self.indicators[text]))
            if parse(text).since_midnight:
                since = -(-(until % DAY) // interval.length)
                wanted = max(wanted, since + BEFORE_MIDNIGHT)
        return min(wanted, MOST_HISTORY)

    def _features(self, bar: Bar) -> list[Feature]:
        """Say what the indicators say of the bar that they took last."""
        since = self._since_revised
        revision = bar.revision + self._told_again
        features = []
        for of, places in self._places.items():
            indicator = self.indicators[of]
            values = indicator.values
            count, warm_up, settled = indicator.count, indicator.warm_up, indicator.settled
            reason = ""
            if count < warm_up:
                reason = f"warming({count} of {warm_up})"
            elif since is not None and since < (settled or MOST_HISTORY):
                reason = REVISED
            elif count < (whole := settled or whole_after(indicator)):
                reason = f"settling({count} of {whole})"
            state = State.LIVE if count >= warm_up else State.WARMING
            for text, place in places:
                features.append(
                    Feature(
                        instrument=self.instrument,
                        interval=bar.interval,
                        name=text,
                        ts_event=bar.start,
                        value=values[place],
                        state=state,
                        revision=revision,
                        reason=reason,
                    )
                )
        return features
