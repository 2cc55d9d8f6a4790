"""One spec and one moment: what it makes of it."""

from collections import deque
from collections.abc import Sequence

import msgspec

from filters.alerts import Alert, AlertEnded, Observation
from filters.memory import fresh, step
from filters.messages import Running, make_alert, missing
from filters.state import Phase, Seen, SpecState
from market.events import State


class Beat(msgspec.Struct, frozen=True, tag=True):
    """A time at which a series has nothing new."""

    ts: int
    state: State = State.LIVE
    reason: str = ""


class Watch(msgspec.Struct):
    """A spec and its state with one series; `ended` gets what is over."""

    running: Running
    series: str
    state: SpecState
    waiting: deque[Observation | Beat]
    ended: list[AlertEnded]


def look(watch: Watch, observation: Observation, values: dict[str, float | None]) -> Alert | None:
    """Let a spec look at a moment."""
    running, state = watch.running, watch.state
    state.looked += 1
    ts = observation.ts_recv
    if observation.state is not State.LIVE:
        state.hold_back(observation.state.value, observation.reason)
        return None
    if running.ends and state.phase is not Phase.FIRING and state.is_over(running.timing, ts):
        state.became_false(running.timing, ts)
        return None
    condition = running.condition
    remembered: tuple[bool | None, ...] = ()
    if condition.remembering:
        if not state.memory:
            state.memory = fresh(condition.remembering)
        remembered = step(condition.steps, state.memory, values, observation.ts_event, state.looked)
    is_released = released(running, state, observation, values)
    holds = condition.evaluate(values, *remembered)
    state.looked_at, state.values, state.remembered, state.holds = ts, values, remembered, holds
    if holds is None:
        return missing_value(watch, observation, values)
    state.reason = ""
    if is_released and state.phase is Phase.FIRING:
        state.became_false(running.timing, ts)
    elif not holds:
        state.became_false(running.timing, ts, is_released=running.until is None)
    else:
        return _held(watch, observation, values, remembered)
    if state.told and state.phase is not Phase.FIRING:
        _end(watch, ts)
    return None


def _held(
    watch: Watch,
    observation: Observation,
    values: dict[str, float | None],
    remembered: tuple[bool | None, ...],
) -> Alert | None:
    """Take a moment at which the condition holds."""
    running, state = watch.running, watch.state
    ts = observation.ts_recv
    if state.became_true(running.timing, ts):
        return _tell(watch, seen_of(running, observation, values, remembered), ts)
    if running.timing.hold and state.phase is Phase.PENDING:
        state.seen = seen_of(running, observation, values, remembered)
    return None


def missing_value(
    watch: Watch, observation: Observation, values: dict[str, float | None]
) -> Alert | None:
    """Take a moment at which a value is not known."""
    running, state = watch.running, watch.state
    if running.spec.missing == "fire":
        state.reason = ""
        return _held(watch, observation, values, ())
    state.hold_back("missing", missing(running.condition, values, observation.reason))
    if running.spec.missing == "reset":
        state.forget(running.timing, observation.ts_recv)
        if state.told:
            _end(watch, observation.ts_recv)
    return None


def released(
    running: Running,
    state: SpecState,
    observation: Observation,
    values: dict[str, float | None],
) -> bool | None:
    """Whether what has fired may fire again; it is looked at always, as it may remember."""
    until = running.until
    if until is None:
        return None
    if not until.remembering:
        return until.evaluate(values)
    if not state.until_memory:
        state.until_memory = fresh(until.remembering)
    told = step(until.steps, state.until_memory, values, observation.ts_event, state.looked)
    state.until_remembered = told
    return until.evaluate(values, *told)


def pass_time(watch: Watch, beat: Beat) -> Alert | None:
    """Let time pass for a spec."""
    standing = watch.state
    if standing.phase is Phase.PENDING and beat.state is not State.LIVE:
        standing.hold_back(beat.state.value, beat.reason)
        return None
    seen = standing.seen
    if standing.elapsed(watch.running.timing, beat.ts) and seen is not None:
        return _tell(watch, seen, beat.ts)
    return None


def _tell(watch: Watch, seen: Seen, ts: int) -> Alert:
    """Make the alert, which takes the place of one that is still true."""
    alert = make_alert(watch.running, watch.series, seen, ts)
    if watch.state.told not in ("", alert.key):
        _end(watch, ts)
    watch.state.told = alert.key
    return alert


def _end(watch: Watch, ts: int) -> None:
    """Say that what was told is over."""
    state = watch.state
    state.told, key = "", state.told
    watch.ended.append(
        AlertEnded(key=key, spec=watch.running.spec.id, series=watch.series, ts_ended=ts)
    )


def seen_of(
    running: Running,
    observation: Observation,
    values: dict[str, float | None],
    remembered: Sequence[bool | None],
) -> Seen:
    """Return what is kept of a moment: what the spec looks at."""
    return Seen(
        interval=observation.interval,
        moment=observation.moment,
        ts_event=observation.ts_event,
        values={name: values.get(name) for name in running.fields},
        remembered=tuple(remembered),
    )
