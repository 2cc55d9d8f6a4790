"""A spec tried on the past: the same bars, indicators, observations and engine as in a live flow.

It goes a symbol at a time, bar by bar, so that neither the length of the past nor the number of
symbols takes memory. What is not stored cannot be tried: who looks at books, trades, quotes or bars
that have not closed needs a recording (`flows.preview_recording`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from filters.alerts import Alert, Passed
from filters.engine import FilterEngine
from filters.fields import OWN
from filters.needs import needs_of
from filters.places import split
from filters.specs import Spec, SpecsChanged, hash_of
from filters.trees import duration_text
from filters.variation import vary
from flows.market_output import MarketOutput
from flows.past_bars import PastBars, ReadBars, together
from flows.preview_tally import HORIZONS, MOST_LISTED, Fired, Preview, PreviewTally
from indicators.names import parse
from market.activity import parse_bar_length
from market.events import Bar
from market.instruments import symbol_of
from market.intervals import DAY, Interval

Report = Callable[[str, int, int], None]
"""Told of the progress: the symbol, ns of its range that are done, ns of the range."""
_OFTEN = 2000


def needs_recording(spec: Spec) -> str:
    """Say why stored bars are not enough to try a spec on, or nothing.

    Example:
        >>> from filters.specs import Source
        >>> source = Source(stream="bar", symbols=("BTC-USDT",), interval="1m")
        >>> needs_recording(Spec(id="near", source=source, when="support_distance_bps(1) < 5"))
        "it looks at 'support_distance_bps(1)', which is of the book"
    """
    stream = spec.source.stream
    if stream != "bar":
        return {
            "book": "it looks at every change of the book",
            "trade": "it looks at every trade",
            "quote": "it looks at every change of the best prices",
        }[stream]
    if spec.looks_at_forming_bars:
        return "with 'trigger: change' it looks at bars before they close"
    for name in spec.fields:
        own, _ = split(name)
        if own not in OWN["bar"] and parse(own).reads != "bar":
            return f"it looks at {own!r}, which is of the book"
    return ""


def variants(spec: Spec, varied: Iterable[str]) -> dict[str, Spec]:
    """Return the specs to try, by what was changed: the spec as it is first, under `""`.

    What says the same as one before it is left out.

    Raises:
        VariationError: a change that the spec has no place for.
    """
    found = {"": msgspec.structs.replace(spec, is_enabled=True, tests=())}
    known = {hash_of(found[""])}
    for text in varied:
        made = vary(found[""], text)
        if hash_of(made) not in known:
            known.add(hash_of(made))
            found[text] = made
    return found


def preview(
    specs: Mapping[str, Spec],
    series: Sequence[str],
    read: ReadBars,
    start: int,
    end: int,
    *,
    horizons: Sequence[int] = HORIZONS,
    warms_up: bool = True,
    primary: Mapping[str, str] | None = None,
    report: Report = lambda _symbol, _done, _whole: None,
) -> list[Preview]:
    """Try a spec, and variants of it, on bars of the past.

    Args:
        specs: by what was changed, as `variants` gives them.
        series: instrument ids to try it on; those that the spec does not mean are passed over.
        read: where the bars come from.
        start: ns UTC.
        end: ns UTC.
        horizons: times after a firing at which the price is looked at, ns.
        warms_up: indicators know the bars before `start`.
        primary: symbol to the venue that specs without venues look at; without, at every one.
        report: told of the progress.

    Returns:
        What each of them would have done, in their order.
    """
    tallies = {text: tally_of(spec, text, horizons) for text, spec in specs.items()}
    by_symbol: dict[str, list[str]] = {}
    primary = primary or {}
    for instrument in series:
        if any(spec.source.matches(instrument, primary) for spec in specs.values()):
            by_symbol.setdefault(symbol_of(instrument), []).append(instrument)
    for symbol, instruments in by_symbol.items():
        tried = _Tried(specs, tallies, symbol, instruments, primary)
        tried.run(read, start, end, warms_up=warms_up, report=report)
    return [tally.result() for tally in tallies.values()]


def tally_of(spec: Spec, varied: str, horizons: Sequence[int]) -> PreviewTally:
    """Begin to count what a variant of a spec does."""
    side = "long" if spec.strategy is None else spec.strategy.side
    begun = Preview(spec=spec.id, varied=varied, when=spec.when)
    return PreviewTally(begun, horizons, side=side)


class _Tried:
    """One symbol's series, and the engine over them."""

    def __init__(
        self,
        specs: Mapping[str, Spec],
        tallies: Mapping[str, PreviewTally],
        symbol: str,
        instruments: Sequence[str],
        primary: Mapping[str, str],
    ) -> None:
        self._symbol = symbol
        self._primary = dict(primary)
        self._instruments = instruments
        self._engine = FilterEngine()
        self._specs = tuple({hash_of(spec): spec for spec in specs.values()}.values())
        self._engine.specs_changed(
            SpecsChanged(generation=1, specs=self._specs, symbols=(symbol,), primary=self._primary)
        )
        self._tallies = {hash_of(spec): tallies[text] for text, spec in specs.items()}
        self._source = self._specs[0].source
        self._holds = sorted({spec.hold for spec in self._specs if spec.hold})
        self._due: dict[tuple[str, int], deque[int]] = {}

    def run(self, read: ReadBars, start: int, end: int, *, warms_up: bool, report: Report) -> None:
        """Take every bar of the range."""
        past = {
            instrument: PastBars(instrument, needs, read, start, end, warms_up=warms_up)
            for instrument in self._all()
            if (needs := needs_of(self._specs, instrument, (self._symbol,), self._primary)).bars
        }
        own = {name for name in self._instruments if name in past}
        asks_others = any("@" in name for spec in self._specs for name in spec.fields)
        report(self._symbol, 0, end - start)
        for number, (ts, bars) in enumerate(together(past)):
            if self._holds:
                self._pass_to(ts)
            for bar in bars:
                self._take(past[bar.instrument], bar, is_own=bar.instrument in own)
            if asks_others:
                for each in past.values():
                    self._passed(each, ts, is_own=each.instrument in own)
            if number % _OFTEN == 0:
                report(self._symbol, ts - start, end - start)
        if self._holds:
            self._pass_to(end)
        self._finish()
        report(self._symbol, end - start, end - start)

    def _all(self) -> list[str]:
        """Return the symbol's own series, and those that its specs look at besides."""
        found = dict.fromkeys(self._instruments)
        for spec in self._specs:
            for name in spec.fields:
                place = split(name)[1]
                if place is not None:
                    for instrument in self._instruments:
                        found[place.seen_from(instrument, spec.source.interval)[0]] = None
        return list(found)

    def _take(self, past: PastBars, bar: Bar, *, is_own: bool) -> None:
        out = MarketOutput()
        seen = past.tell(bar, out)
        if not is_own:
            self._copied(out)
            return
        if bar.interval == self._source.interval:
            for tally in self._tallies.values():
                tally.priced(bar.instrument, bar.end, bar.close)
            for hold in self._holds:
                self._due.setdefault((bar.instrument, hold), deque()).append(bar.end + hold)
        self._fired(self._engine.observe(seen))

    def _passed(self, past: PastBars, ts: int, *, is_own: bool) -> None:
        out = MarketOutput()
        past.passed(ts, out)
        if not is_own:
            self._copied(out)
            return
        for moment in out.moments:
            if isinstance(moment, Passed):
                self._fired(self._engine.learn(moment))

    def _copied(self, out: MarketOutput) -> None:
        for asker, copied in out.copies:
            if asker == self._symbol:
                self._fired(self._engine.learn(copied.moment))

    def _pass_to(self, ts: int) -> None:
        """Let the waits end that end before a time: a live flow's heartbeats would end them."""
        due: list[tuple[int, str]] = []
        for (instrument, _), times in self._due.items():
            while times and times[0] <= ts:
                at = times.popleft()
                if at < ts:
                    due.append((at, instrument))
        for at, instrument in sorted(due):
            self._fired(self._engine.heartbeat(instrument, at))

    def _fired(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._tallies[alert.spec_hash].fired(alert, alert.ts_fired)

    def _finish(self) -> None:
        states = self._engine.snapshot().states
        for spec in self._specs:
            tally = self._tallies[hash_of(spec)]
            for series in self._instruments:
                if spec.source.matches(series, self._primary):
                    digest = hash_of(spec)
                    tally.standing(series, states.get(f"{spec.id}:{digest}:{series}"))
                    tally.series_is_over(series)


class PreviewDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What an edited spec would have done otherwise.

    Attributes:
        spec: its id.
        length: of the time that was looked at, ns.
        before: how often the old one would have fired; None where it is new.
        after: how often the new one; None where it is gone.
        lost: the old one's firings that the new one has not, the first of them.
        gained: the new one's firings that the old one has not, the first of them.
        reason: why there is no comparison; empty where there is one.
    """

    spec: str
    length: int
    before: int | None = None
    after: int | None = None
    lost: tuple[Fired, ...] = ()
    gained: tuple[Fired, ...] = ()
    reason: str = ""

    @property
    def text(self) -> str:
        """The difference in one line for people."""
        span = duration_text(self.length)
        if self.reason:
            return f"{self.spec}: not compared over the last {span}: {self.reason}"
        if self.before is None:
            return f"{self.spec}: new; it would have fired {self.after} times in the last {span}"
        if self.after is None:
            return f"{self.spec}: gone; it would have fired {self.before} times in the last {span}"
        return (
            f"{self.spec}: over the last {span} it fires {self.after} times, before {self.before}"
            f" ({len(self.gained)} new, {len(self.lost)} no more)"
        )


def compare(
    old: Spec | None,
    new: Spec | None,
    series: Sequence[str],
    read: ReadBars,
    end: int,
    *,
    length: int = DAY,
    primary: Mapping[str, str] | None = None,
) -> PreviewDifference:
    """Compare what a spec would have done before and after an edit.

    Args:
        old: the spec as it was; None where it is new.
        new: the spec as it is; None where it is gone.
        series: instrument ids to try them on.
        read: where the bars come from.
        end: of the time to look at, ns UTC.
        length: of that time, ns.
        primary: symbol to the venue that specs without venues look at; without, at every one.

    Raises:
        ValueError: neither is given.
    """
    given = [spec for spec in (old, new) if spec is not None]
    if not given:
        raise ValueError("nothing to compare: neither an old spec nor a new one")
    told = PreviewDifference(spec=given[-1].id, length=length)
    for spec in given:
        reason = needs_recording(spec)
        if reason:
            return msgspec.structs.replace(told, reason=f"{reason}: that needs a recording")
    start = end - length
    found: list[Preview | None] = [
        None
        if spec is None
        else preview(
            {"": msgspec.structs.replace(spec, tests=())}, series, read, start, end, primary=primary
        )[0]
        for spec in (old, new)
    ]
    before, after = found
    lost, gained = _only(before, after), _only(after, before)
    return msgspec.structs.replace(
        told,
        before=None if before is None else before.fired,
        after=None if after is None else after.fired,
        lost=lost if after is not None else (),
        gained=gained if before is not None else (),
    )


def _only(these: Preview | None, those: Preview | None) -> tuple[Fired, ...]:
    """Return the firings of one that the other has not, by series and moment."""
    if these is None:
        return ()
    known = set() if those is None else {_place_of(each) for each in those.fires}
    return tuple(each for each in these.fires if _place_of(each) not in known)[:MOST_LISTED]


def _place_of(fired: Fired) -> str:
    return fired.key.split("/", 2)[2]


def coverage(
    missing: Sequence[tuple[int, int]], interval: str, start: int, end: int
) -> tuple[float, float]:
    """Return how many days are stored, and of how many, of a range with holes.

    Minutes in which nothing traded have no bar: a hole counts from an hour on, or ten bars where
    that is longer; at the ends of the range from ten bars on.

    Args:
        missing: where no whole bar is, ns.
        interval: of the bars.
        start: ns UTC.
        end: ns UTC.
    """
    of = parse_bar_length(interval)
    ten = 10 * of.length if isinstance(of, Interval) else 0
    lacking = sum(
        until - begins
        for begins, until in missing
        if until - begins >= (ten if begins <= start or until >= end else max(ten, DAY // 24))
    )
    return (end - start - lacking) / DAY, (end - start) / DAY
