"""One strategy and one moment: entries, exits and the paper position.

flat ──entry holds, stop and target known──► open ──stop, target or exit──► flat

A position is entered at the moment at which the entry fires, and watched from the next one on.
While it is open the entry is not looked for. An entry that holds all the time is made once.

A moment that is not live enters nothing and reads no exit and no target from it. A stop is another
matter: where a bar may lack trades, those that it has are true, and a price beyond the stop is one
at which it was left. A book that is not live shows no true price: the stop waits for the next live
one, and the position is left at that, however far beyond the stop it is.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from filters.alerts import Alert, Observation
from filters.compile import Condition
from filters.looking import Beat, Watch, missing_value, pass_time, seen_of
from filters.memory import fresh, step
from filters.messages import clauses_seen
from filters.position import Plan, Position, Reason, leaving, plan_entry, quote_of
from filters.risk import Strategy
from filters.signals import entry_signal, exit_signal
from filters.state import Phase, Seen
from market.events import State

WayOut: TypeAlias = tuple[Condition, Sequence[bool | None]]
"""One condition of an exit, with what its crossings and moves say at a moment."""


def look_at_strategy(
    watch: Watch,
    strategy: Strategy,
    observation: Observation,
    values: dict[str, float | None],
) -> Alert | None:
    """Let a strategy look at a moment."""
    running, state = watch.running, watch.state
    position = state.position or Position()
    quote = quote_of(running.spec.source.stream, strategy.side, values)
    is_live = observation.state is State.LIVE
    is_true = is_live or observation.stream in ("bar", "trade")
    state.looked += 1
    left = None
    if position.is_open and quote is not None and is_true:
        left = leaving(position, strategy.side, quote, is_live=is_live)
        position = state.position = msgspec.structs.replace(position, price=quote.last)
    if not is_live:
        state.hold_back(observation.state.value, observation.reason)
        return None if left is None else _leave(watch, strategy, observation, values, left)
    remembered = _remembered(watch, observation, values)
    ways = _ways_out(watch, observation, values)
    holds = running.condition.evaluate(values, *remembered)
    ts = observation.ts_recv
    state.looked_at, state.values, state.remembered, state.holds = ts, values, remembered, holds
    if position.is_open:
        if holds is False:
            state.became_false(running.timing, ts)
        state.reason = ""
        if left is not None:
            return _leave(watch, strategy, observation, values, left)
        if ways and quote is not None:
            way_out: tuple[Reason, float] = ("exit", quote.last)
            return _leave(watch, strategy, observation, values, way_out, ways=ways)
        return None
    if running.ends and state.is_over(running.timing, ts):
        state.became_false(running.timing, ts)
        return None
    if holds is None:
        return missing_value(watch, observation, values)
    if not holds:
        state.reason = ""
        state.became_false(running.timing, ts)
        return None
    plan = plan_entry(strategy, quote, values)
    if isinstance(plan, str):
        state.hold_back("no_entry", plan)
        return None
    state.reason = ""
    seen = seen_of(running, observation, values, remembered)
    if state.became_true(running.timing, ts):
        return _enter(watch, strategy, plan, observation.ts_event, entry_seen=seen, ts=ts)
    if running.timing.hold and state.phase is Phase.PENDING:
        state.seen = seen
    return None


def pass_time_of_strategy(watch: Watch, strategy: Strategy, beat: Beat) -> Alert | None:
    """Let time pass for a strategy: an entry that had to hold for a time may be made."""
    seen = watch.state.seen
    if pass_time(watch, beat) is None or seen is None:
        return None
    quote = quote_of(watch.running.spec.source.stream, strategy.side, seen.values)
    plan = plan_entry(strategy, quote, seen.values)
    if isinstance(plan, str):
        return None  # it was one when it was seen
    return _enter(watch, strategy, plan, seen.ts_event, entry_seen=seen, ts=beat.ts)


def _enter(
    watch: Watch, strategy: Strategy, plan: Plan, opened_at: int, *, entry_seen: Seen, ts: int
) -> Alert:
    position = (watch.state.position or Position()).entered(plan, opened_at)
    watch.state.position = position
    return entry_signal(watch.running, strategy, watch.series, entry_seen, ts=ts, position=position)


def _leave(
    watch: Watch,
    strategy: Strategy,
    observation: Observation,
    values: dict[str, float | None],
    left: tuple[Reason, float],
    *,
    ways: Sequence[WayOut] = (),
) -> Alert:
    state = watch.state
    reason, price = left
    before = state.position or Position()
    state.position = after = before.left(price, strategy.side)
    seen = seen_of(watch.running, observation, values, ())
    return exit_signal(
        watch.running,
        strategy,
        watch.series,
        seen,
        ts=observation.ts_recv,
        before=before,
        after=after,
        reason=reason,
        clauses=tuple(
            clause for way, told in ways for clause in clauses_seen(way, seen.values, told)
        ),
    )


def _ways_out(
    watch: Watch, observation: Observation, values: dict[str, float | None]
) -> list[WayOut]:
    """Return the ways out that are open; one of which a value is not known is not."""
    until, state = watch.running.until, watch.state
    told: tuple[bool | None, ...] = ()
    if until is not None and until.remembering:
        if not state.until_memory:
            state.until_memory = fresh(until.remembering)
        told = step(until.steps, state.until_memory, values, observation.ts_event, state.looked)
        state.until_remembered = told
    found: list[WayOut] = []
    for way in watch.running.exits:
        count = len(way.remembering)
        if way.evaluate(values, *told[:count]):
            found.append((way, told[:count]))
        told = told[count:]
    return found


def _remembered(
    watch: Watch, observation: Observation, values: dict[str, float | None]
) -> tuple[bool | None, ...]:
    condition, state = watch.running.condition, watch.state
    if not condition.remembering:
        return ()
    if not state.memory:
        state.memory = fresh(condition.remembering)
    return step(condition.steps, state.memory, values, observation.ts_event, state.looked)
