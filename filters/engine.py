"""All specs over the series of one symbol: observations in, alerts out.

The engine is told which specs there are, what a series looks like at a moment, and what time it
is. It decides from nothing else, so the same calls in the same order give the same alerts.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from filters.alerts import Alert, Observation
from filters.compile import Clause, Condition, threshold_text
from filters.grammar import Operator
from filters.specs import Spec, SpecsChanged, hash_of
from filters.state import Phase, Seen, SpecState, Timing
from filters.templates import Template, value_text
from market.events import State
from market.instruments import symbol_of, venue_of

_HOLDS: dict[Operator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Needs(msgspec.Struct, frozen=True):
    """What specs want to know of one series.

    Attributes:
        bars: interval to canonical field names, for an observation at each closed bar; the book's
            indicators among them are those of the bar's close.
        book: canonical field names, for an observation at each book change; empty when no spec
            looks at the book.
    """

    bars: dict[str, tuple[str, ...]] = {}
    book: tuple[str, ...] = ()


class EngineState(msgspec.Struct, frozen=True):
    """What an engine remembers: plain data, no compiled condition.

    Attributes:
        generation: of the specs.
        specs: those in force.
        states: by `"id:hash:series"`.
    """

    generation: int = 0
    specs: tuple[Spec, ...] = ()
    states: dict[str, SpecState] = {}


class _Running(msgspec.Struct):
    """A spec made ready to be asked."""

    spec: Spec
    hash: str
    timing: Timing
    condition: Condition
    template: Template | None
    fields: tuple[str, ...]


class _Watch(msgspec.Struct):
    """A spec and its state with one series."""

    running: _Running
    state: SpecState


def needs_of(specs: Iterable[Spec], series: str) -> Needs:
    """Return what these specs want to know of a series (an instrument id)."""
    bars: dict[str, dict[str, None]] = {}
    book: dict[str, None] = {}
    for spec in specs:
        if spec.source.matches(series):
            is_bar = spec.source.stream == "bar"
            wanted = bars.setdefault(spec.source.interval, {}) if is_bar else book
            wanted.update(dict.fromkeys(spec.fields))
    return Needs({interval: tuple(wanted) for interval, wanted in bars.items()}, tuple(book))


class FilterEngine:
    """Runs specs over observations.

    Args:
        symbol: keeps only specs for this symbol; empty for all.
        state: what an earlier engine's `snapshot` gave, to go on from there.

    State: one small record for each spec and series that has been observed.
    """

    def __init__(self, symbol: str = "", *, state: EngineState | None = None) -> None:
        self._symbol = symbol
        self._generation = 0
        self._running: list[_Running] = []
        self._states: dict[str, SpecState] = {}
        self._watches: dict[tuple[str, str, str], list[_Watch]] = {}
        self._by_series: dict[str, list[_Watch]] = {}
        if state is not None:
            self._states = {key: each.copy() for key, each in state.states.items()}
            self.specs_changed(SpecsChanged(generation=state.generation, specs=state.specs))

    @property
    def generation(self) -> int:
        """Number of the set of specs in force; 0 before the first."""
        return self._generation

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Specs in force for the engine's symbol."""
        return tuple(running.spec for running in self._running)

    def specs_changed(self, change: SpecsChanged) -> None:
        """Put a set of specs in force; a spec that has not changed keeps its state.

        Raises:
            ValueError: a condition or template cannot be read: not made by our reader, or made by
                a later version.
        """
        self._generation = change.generation
        self._running = [
            _ready(spec)
            for spec in change.specs
            if not self._symbol or spec.source.matches_symbol(self._symbol)
        ]
        kept = {(running.spec.id, running.hash) for running in self._running}
        self._states = {
            key: state for key, state in self._states.items() if tuple(key.split(":")[:2]) in kept
        }
        self._watches = {}
        self._by_series = {}

    def needs(self, series: str) -> Needs:
        """Return what the specs in force want to know of a series."""
        return needs_of(self.specs, series)

    def observe(self, observation: Observation) -> list[Alert]:
        """Take one moment of one series; return the alerts of the specs that fire on it.

        A corrected bar (`revision` above 0) is no moment: it is passed over.
        """
        if observation.revision > 0:
            return []
        watches = self._watches.get((observation.series, observation.stream, observation.interval))
        if watches is None:
            watches = self._watch(observation.series, observation.stream, observation.interval)
        if not watches:
            return []
        alerts: list[Alert] = []
        is_live = observation.state is State.LIVE
        values = observation.values
        ts = observation.ts_recv
        for watch in watches:
            running, state = watch.running, watch.state
            if not is_live:
                state.hold_back(observation.state.value, observation.reason)
                continue
            holds = running.condition.evaluate(values)
            if holds is None:
                state.hold_back("missing", _missing(running.condition, values))
            elif not holds:
                state.became_false(running.timing, ts)
            elif state.became_true(running.timing, ts):
                alerts.append(_alert(running, observation.series, _seen(running, observation), ts))
            elif running.timing.hold and state.phase is Phase.PENDING:
                state.seen = _seen(running, observation)
        return alerts

    def heartbeat(
        self, series: str, ts: int, *, state: State = State.LIVE, reason: str = ""
    ) -> list[Alert]:
        """Take a time at which a series has nothing new; return the alerts of waits that end.

        Args:
            series: instrument id.
            ts: our time in ns.
            state: truth state of the series now; unless it is live, waits begin anew.
            reason: why it is not live, for people.
        """
        alerts: list[Alert] = []
        for watch in self._standing(series):
            standing = watch.state
            if standing.phase is Phase.PENDING and state is not State.LIVE:
                standing.hold_back(state.value, reason)
                continue
            seen = standing.seen
            if standing.elapsed(watch.running.timing, ts) and seen is not None:
                alerts.append(_alert(watch.running, series, seen, ts))
        return alerts

    def snapshot(self) -> EngineState:
        """Return a copy of what there is to remember."""
        return EngineState(
            self._generation,
            self.specs,
            {key: state.copy() for key, state in self._states.items()},
        )

    def _watch(self, series: str, stream: str, interval: str) -> list[_Watch]:
        watches: list[_Watch] = []
        for running in self._running:
            source = running.spec.source
            if source.stream == stream and source.interval == interval and source.matches(series):
                key = f"{running.spec.id}:{running.hash}:{series}"
                state = self._states.setdefault(key, SpecState())
                watches.append(_Watch(running, state))
        self._watches[series, stream, interval] = watches
        self._by_series.pop(series, None)
        return watches

    def _standing(self, series: str) -> list[_Watch]:
        # From the states and not from what has been observed, so that a wait goes on by itself
        # after a restart or a change of other specs.
        watches = self._by_series.get(series)
        if watches is None:
            watches = []
            for running in self._running:
                state = self._states.get(f"{running.spec.id}:{running.hash}:{series}")
                if state is not None:
                    watches.append(_Watch(running, state))
            self._by_series[series] = watches
        return watches


def _ready(spec: Spec) -> _Running:
    return _Running(
        spec=spec,
        hash=hash_of(spec),
        timing=Timing(spec.hold_bars, spec.hold, spec.cooldown),
        condition=spec.condition,
        template=spec.template,
        fields=spec.fields,
    )


def _seen(running: _Running, observation: Observation) -> Seen:
    return Seen(
        interval=observation.interval,
        moment=observation.moment,
        ts_event=observation.ts_event,
        values={name: observation.values.get(name) for name in running.fields},
    )


def _missing(condition: Condition, values: Mapping[str, float | None]) -> str:
    unknown = [name for name in condition.fields if values.get(name) is None]
    return f"not known yet: {', '.join(unknown)}"


def _alert(running: _Running, series: str, seen: Seen, ts: int) -> Alert:
    spec = running.spec
    if running.template is None:
        text = _sentence(running, series, seen)
    else:
        text = running.template.render(_facts(spec, series, seen), seen.values)
    return Alert(
        key=f"{spec.id}/{running.hash}/{series}/{seen.interval}/{seen.moment}",
        spec=spec.id,
        spec_hash=running.hash,
        series=series,
        interval=seen.interval,
        ts_event=seen.ts_event,
        ts_fired=ts,
        severity=spec.severity,
        targets=spec.targets,
        text=text,
        values={name: seen.values.get(name) for name in running.condition.fields},
    )


def _facts(spec: Spec, series: str, seen: Seen) -> dict[str, str]:
    moment = datetime.fromtimestamp(seen.ts_event // 1_000_000_000, UTC)
    return {
        "symbol": symbol_of(series),
        "venue": venue_of(series),
        "series": series,
        "interval": seen.interval,
        "id": spec.id,
        "title": spec.title or spec.id,
        "severity": spec.severity,
        "time": f"{moment:%Y-%m-%d %H:%M:%S} UTC",
    }


def _sentence(running: _Running, series: str, seen: Seen) -> str:
    of_what = f"{symbol_of(series)} {seen.interval or 'book'} at {venue_of(series)}"
    told = ", ".join(_clause(clause, seen.values) for clause in running.condition.clauses)
    return f"{running.spec.title or running.spec.id}: {of_what}: {told}"


def _clause(clause: Clause, values: Mapping[str, float | None]) -> str:
    value = values.get(clause.field)
    threshold = clause.threshold
    limit = values.get(threshold) if isinstance(threshold, str) else threshold
    shown = threshold_text(clause)
    if isinstance(threshold, str):
        shown = f"{shown} {value_text(limit)}"
    holds = value is not None and limit is not None and _HOLDS[clause.op](value, limit)
    return f"{clause.field} {value_text(value)} ({'' if holds else 'not '}{clause.op} {shown})"
