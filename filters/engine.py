"""All specs over the series of one symbol: observations in, alerts out.

The engine is told which specs there are, what a series looks like at a moment, and what time it
is. It decides from nothing else, so the same calls in the same order give the same alerts. A spec
that looks at other bars too answers a moment only when those are known (`filters.others`): its
moments wait in their order, so that it does not matter which series was told first.
"""

from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from filters.alerts import Alert, AlertEnded, Observation, Passed
from filters.explain import Explanation, explain
from filters.looking import Beat, Watch, look, pass_time
from filters.messages import Running, ready
from filters.needs import Needs, looks_at, needs_of
from filters.others import Others, OthersState
from filters.places import split
from filters.specs import Spec, SpecsChanged
from filters.state import SpecState
from filters.strategy import look_at_strategy, pass_time_of_strategy
from market.events import State

MOST_WAITING = 4096
"""Moments that wait for other bars; the oldest of more is answered as if those were not known."""


class EngineState(msgspec.Struct, frozen=True):
    """What an engine remembers: plain data, no compiled condition.

    Attributes:
        generation: of the specs.
        specs: those in force.
        states: by `"id:hash:series"`.
        symbols: what is followed.
        waiting: moments that wait for other bars, as `states`.
        others: what is known of other bars.
        primary: symbol to the venue that specs without venues look at.
    """

    generation: int = 0
    specs: tuple[Spec, ...] = ()
    states: dict[str, SpecState] = {}
    symbols: tuple[str, ...] = ()
    waiting: dict[str, list[Observation | Beat]] = {}
    others: OthersState = OthersState()
    primary: dict[str, str] = {}


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
        self._symbols: tuple[str, ...] = ()
        self._primary: dict[str, str] = {}
        self._running: list[Running] = []
        self._states: dict[str, SpecState] = {}
        self._waiting: dict[str, deque[Observation | Beat]] = {}
        self._watches: dict[tuple[str, str, str], list[Watch]] = {}
        self._by_series: dict[str, list[Watch]] = {}
        self._looks_at_others = False
        self._looked_at: dict[tuple[str, str], bool] = {}
        self._ended: list[AlertEnded] = []
        self._others = Others(None if state is None else state.others)
        if state is not None:
            self._states = {key: each.copy() for key, each in state.states.items()}
            self._waiting = {key: deque(each) for key, each in state.waiting.items()}
            self.specs_changed(
                SpecsChanged(
                    generation=state.generation,
                    specs=state.specs,
                    symbols=state.symbols,
                    primary=state.primary,
                )
            )

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
        self._symbols = change.symbols
        self._primary = change.primary or self._primary
        self._running = [
            ready(spec)
            for spec in change.specs
            if spec.is_enabled and (not self._symbol or spec.source.matches_symbol(self._symbol))
        ]
        self._looks_at_others = any(running.others for running in self._running)
        kept = {(running.spec.id, running.hash) for running in self._running}
        self._states = {
            key: state for key, state in self._states.items() if tuple(key.split(":")[:2]) in kept
        }
        self._waiting = {key: each for key, each in self._waiting.items() if key in self._states}
        self._watches = {}
        self._by_series = {}
        self._looked_at = {}

    def looks_at_others(self, spec: str = "") -> bool:
        """Whether a spec in force looks at other bars than its own: this one by its id, or any."""
        return self._looks_at_others and any(
            running.others for running in self._running if spec in ("", running.spec.id)
        )

    def unanswered(self) -> set[str]:
        """Return the moments that specs which look at other bars may still fire on.

        Each as an alert's key ends: series, interval and moment, with `/` between.
        """
        if not self._looks_at_others:
            return set()
        found = {
            moment_key(moment)
            for waiting in self._waiting.values()
            for moment in waiting
            if isinstance(moment, Observation)
        }
        for key, state in self._states.items():
            if state.seen is not None:
                series = key.split(":", 2)[2]
                found.add(f"{series}/{state.seen.interval}/{state.seen.moment}")
        return found

    def needs(self, series: str) -> Needs:
        """Return what the specs in force want to know of a series."""
        return needs_of(self.specs, series, self._symbols, self._primary)

    def observe(self, observation: Observation) -> list[Alert]:
        """Take one moment of one series; return the alerts of the specs that fire on it.

        A corrected bar (`revision` above 0) is no moment: it is passed over.
        """
        if observation.revision > 0:
            return []
        if self._looks_at_others and self._is_looked_at(observation):
            self._others.take(observation)
        key = (observation.series, observation.stream, observation.interval)
        watches = self._watches.get(key)
        if watches is None:
            watches = self._watch(*key)
        alerts: list[Alert] = []
        for watch in watches:
            if watch.running.others:
                alerts += self._wait(watch, observation)
                continue
            alert = _look(watch, observation, observation.values)
            if alert is not None:
                alerts.append(alert)
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
        beat = Beat(ts, state, reason)
        for watch in self._standing(series):
            if watch.waiting:
                alerts += self._wait(watch, beat)
                continue
            alert = _pass(watch, beat)
            if alert is not None:
                alerts.append(alert)
        return alerts

    def learn(self, moment: Observation | Passed) -> list[Alert]:
        """Take what another symbol's series says, or which time a series is past.

        Returns the alerts of the specs that have waited for it.
        """
        if isinstance(moment, Observation):
            self._others.take(moment)
            return []
        self._others.pass_by(moment)
        alerts: list[Alert] = []
        for running in self._running:
            if running.others:
                for key, waiting in self._waiting.items():
                    if waiting and key.startswith(f"{running.spec.id}:{running.hash}:"):
                        alerts += self._answer(self._made(running, key.split(":", 2)[2]))
        return alerts

    def take_ended(self) -> list[AlertEnded]:
        """Return which alerts are true no more, in the order in which they ended, each once.

        An alert ends when its condition is false (with `until`: when that is true), when a value
        is missing and the spec resets then, and when it fires again with `trigger: every`. Where
        the market is not live nothing ends, nor when its spec is edited or taken away: nobody
        knows what is true then.
        """
        ended = self._ended.copy()
        self._ended.clear()
        return ended

    def explain(self, series: str) -> list[Explanation]:
        """Say of each spec in force for a series why it has fired, or why not."""
        told = []
        for running in self._running:
            if running.spec.source.matches(series, self._primary):
                key = _key(running, series)
                watch = Watch(
                    running,
                    series,
                    self._states.get(key) or SpecState(),
                    self._waiting.get(key) or deque(),
                    [],
                )
                told.append(explain(running, series, watch.state, self._waits_for(watch)))
        return told

    def snapshot(self) -> EngineState:
        """Return a copy of what there is to remember."""
        fields = {(running.spec.id, running.hash): running.fields for running in self._running}
        return EngineState(
            self._generation,
            self.specs,
            {key: state.copy(_fields_of(key, fields)) for key, state in self._states.items()},
            self._symbols,
            {key: list(each) for key, each in self._waiting.items() if each},
            self._others.snapshot(),
            self._primary,
        )

    def _is_looked_at(self, observation: Observation) -> bool:
        """Whether a spec looks at these bars besides its own."""
        if observation.stream != "bar":
            return False
        key = observation.series, observation.interval
        known = self._looked_at.get(key)
        if known is None:
            known = self._looked_at[key] = any(
                looks_at(running.spec, name, *key, self._primary)
                for running in self._running
                for name in running.others
            )
        return known

    def _watch(self, series: str, stream: str, interval: str) -> list[Watch]:
        watches: list[Watch] = []
        for running in self._running:
            source = running.spec.source
            is_of = source.stream == stream or (
                stream == "forming" and running.spec.looks_at_forming_bars
            )
            is_of = is_of and source.interval == interval
            if is_of and source.matches(series, self._primary):
                watches.append(self._made(running, series))
        self._watches[series, stream, interval] = watches
        self._by_series.pop(series, None)
        return watches

    def _made(self, running: Running, series: str) -> Watch:
        key = _key(running, series)
        state = self._states.setdefault(key, SpecState())
        waiting = self._waiting.setdefault(key, deque()) if running.others else deque()
        return Watch(running, series, state, waiting, self._ended)

    def _standing(self, series: str) -> list[Watch]:
        # From the states and not from what has been observed, so that a wait goes on by itself
        # after a restart or a change of other specs.
        watches = self._by_series.get(series)
        if watches is None:
            watches = [
                self._made(running, series)
                for running in self._running
                if _key(running, series) in self._states
            ]
            self._by_series[series] = watches
        return watches

    def _wait(self, watch: Watch, moment: Observation | Beat) -> Iterator[Alert]:
        if isinstance(moment, Observation):
            # It may wait for long: what the spec does not look at would only be held in memory.
            fields = watch.running.fields
            values = {name: moment.values[name] for name in fields if name in moment.values}
            moment = msgspec.structs.replace(moment, values=values)
        watch.waiting.append(moment)
        yield from self._answer(watch)

    def _answer(self, watch: Watch) -> Iterator[Alert]:
        """Answer the moments whose other bars are known, in their order."""
        waiting = watch.waiting
        while waiting:
            moment = waiting[0]
            if isinstance(moment, Beat):
                alert = _pass(watch, moment)
            else:
                is_too_long = len(waiting) > MOST_WAITING
                if not is_too_long and self._unknown(watch, moment):
                    return
                alert = _look(watch, moment, self._joined(watch, moment, known=not is_too_long))
            waiting.popleft()
            if alert is not None:
                yield alert

    def _unknown(self, watch: Watch, moment: Observation) -> list[str]:
        """Return the other series that are not past a moment yet."""
        found: dict[str, None] = {}
        for name in watch.running.others:
            place = split(name)[1]
            if place is not None and name not in moment.values:
                series, _ = place.seen_from(moment.series, moment.interval)
                if not self._others.is_past(series, moment.ts_event):
                    found[series] = None
        return list(found)

    def _joined(self, watch: Watch, moment: Observation, *, known: bool) -> dict[str, float | None]:
        values = dict(moment.values)
        for name in watch.running.others:
            field, place = split(name)
            if known and place is not None and name not in values:
                series, interval = place.seen_from(moment.series, moment.interval)
                values[name] = self._others.value(series, interval, field, moment.ts_event)
        return values

    def _waits_for(self, watch: Watch) -> tuple[str, ...]:
        first = next((each for each in watch.waiting if isinstance(each, Observation)), None)
        return () if first is None else tuple(self._unknown(watch, first))


def moment_key(observation: Observation) -> str:
    """Return how the key of an alert on a moment ends."""
    return f"{observation.series}/{observation.interval}/{observation.moment}"


def _look(watch: Watch, observation: Observation, values: dict[str, float | None]) -> Alert | None:
    strategy = watch.running.strategy
    if strategy is None:
        return look(watch, observation, values)
    return look_at_strategy(watch, strategy, observation, values)


def _pass(watch: Watch, beat: Beat) -> Alert | None:
    strategy = watch.running.strategy
    if strategy is None:
        return pass_time(watch, beat)
    return pass_time_of_strategy(watch, strategy, beat)


def _key(running: Running, series: str) -> str:
    return f"{running.spec.id}:{running.hash}:{series}"


def _fields_of(key: str, fields: Mapping[tuple[str, str], tuple[str, ...]]) -> tuple[str, ...]:
    ident, digest, _ = key.split(":", 2)
    return fields[ident, digest]
