"""Why a spec has fired, or has not: every part with its value, and where the spec stands."""

from collections.abc import Iterator

import msgspec

from filters.messages import ClauseSeen, Running, clauses_seen
from filters.specs import time_text
from filters.state import Phase, SpecState
from filters.templates import value_text
from filters.trees import duration_text


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a spec stands with one series.

    Attributes:
        spec: its id.
        title: for people.
        series: instrument id.
        phase: where it stands.
        when: canonical text of its condition.
        clauses: the parts of the condition at the last moment that counted.
        holds: what the condition said then; None before the first.
        looked_at: our time of that moment, ns; 0 before the first.
        held_back: why the last moment did not count; empty if it did.
        held: moments that did not count, by kind of reason.
        waits_for: other series whose bars it waits for.
        fired: how often it has fired.
        fired_at: when it last did, our time in ns; None for never.
        suppressed: episodes that the cooldown kept from being told.
        because: one line for people: why it is not speaking now, or that it has spoken.
        spec_hash: of its content.
        over: why it can never fire again; empty while it can.
        ends: the parts of what would end it then: the exit of a position that is held, the `until`
            of what has fired; else empty.
        cooling_until: our time until which it is silent after it has fired, ns; 0 for no such time.
    """

    spec: str
    title: str
    series: str
    phase: Phase
    when: str
    clauses: tuple[ClauseSeen, ...]
    holds: bool | None
    looked_at: int
    held_back: str
    held: dict[str, int]
    waits_for: tuple[str, ...]
    fired: int
    fired_at: int | None
    suppressed: int
    because: str
    spec_hash: str = ""
    over: str = ""
    cooling_until: int = 0
    ends: tuple[ClauseSeen, ...] = ()


def explain(
    running: Running, series: str, state: SpecState, waits_for: tuple[str, ...]
) -> Explanation:
    """Say where a spec stands with a series."""
    clauses = clauses_seen(running.condition, state.values, state.remembered)
    return Explanation(
        spec=running.spec.id,
        title=running.spec.title or running.spec.id,
        series=series,
        phase=state.phase,
        when=running.condition.text,
        clauses=clauses,
        holds=state.holds,
        looked_at=state.looked_at,
        held_back=state.reason,
        held=dict(state.held),
        waits_for=waits_for,
        fired=state.fired,
        fired_at=state.fired_at,
        suppressed=state.suppressed,
        because=_because(running, state, clauses, waits_for),
        spec_hash=running.hash,
        over=state.is_over(running.timing, state.looked_at),
        cooling_until=_cooling_until(running, state),
        ends=_ends(running, state),
    )


def clause_text(clause: ClauseSeen) -> str:
    """Return a part of a condition with its value, and by how much it is not so.

    Example:
        >>> clause_text(ClauseSeen("rsi(14) < 30", "rsi(14)", 34.25, "<", 30.0, False))
        'no   rsi(14) < 30  (rsi(14) is 34.25: 4.25 too high)'
    """
    mark = {True: "yes", False: "no", None: "?"}[clause.holds]
    return f"{mark:3}  {clause.text}  ({clause.field} is {value_text(clause.value)}{_off(clause)})"


def explanation_text(explanation: Explanation) -> str:
    """Return an explanation in a few lines for people."""
    return "\n".join(_lines(explanation))


def _ends(running: Running, state: SpecState) -> tuple[ClauseSeen, ...]:
    position = state.position
    is_held = position is not None and position.is_open
    has_fired = running.strategy is None and state.phase is Phase.FIRING
    if running.until is None or not (is_held or has_fired):
        return ()
    return clauses_seen(running.until, state.values, state.until_remembered)


def _because(
    running: Running,
    state: SpecState,
    clauses: tuple[ClauseSeen, ...],
    waits_for: tuple[str, ...],
) -> str:
    position, strategy = state.position, running.strategy
    if strategy is not None and position is not None and position.is_open:
        return (
            f"it is {strategy.side} {value_text(position.size)} since"
            f" {value_text(position.entry)}, stop {value_text(position.stop)}"
        )
    over = state.is_over(running.timing, state.looked_at)
    if over:
        return over
    if waits_for:
        return f"it waits for the bars of {', '.join(waits_for)}"
    if state.reason:
        return f"it was held back: {state.reason}"
    if not state.looked_at:
        return "it has not seen a moment of this series yet"
    if state.phase is Phase.FIRING and not state.holds:
        return "it has fired, and is quiet until its 'until' holds"
    if state.phase is Phase.FIRING:
        return "it has fired, and is quiet while its condition stays true"
    if state.phase is Phase.PENDING:
        return _pending(running, state)
    wrong = [each.text for each in clauses if each.holds is False]
    until = _cooling_until(running, state)
    is_cooling = until and state.phase is Phase.COOLING
    cooling = f" (and it is silent until {time_text(until)})" if is_cooling else ""
    return f"its condition is false: {', '.join(wrong) or running.condition.text}{cooling}"


def _cooling_until(running: Running, state: SpecState) -> int:
    cooldown = running.timing.cooldown
    return 0 if state.fired_at is None or not cooldown else state.fired_at + cooldown


def _off(clause: ClauseSeen) -> str:
    """Say how far a value is from where the clause would hold."""
    if clause.holds is not False or clause.value is None or clause.limit is None:
        return ""
    by = clause.value - clause.limit
    if clause.op in ("<", "<="):
        return f": {value_text(by)} too high" if by else ": just not below"
    if clause.op in (">", ">="):
        return f": {value_text(-by)} too low" if by else ": just not above"
    if clause.op in ("crosses_above", "crosses_below"):
        side = "above" if by > 0 else "below" if by < 0 else "away"
        return f": {value_text(abs(by))} {side}, and did not cross"
    return ""


def _pending(running: Running, state: SpecState) -> str:
    timing = running.timing
    if timing.hold:
        done = duration_text(state.looked_at - state.since)
        return f"its condition holds, and must for {duration_text(timing.hold)} ({done} so far)"
    return f"its condition holds, and must for {timing.moments} bars ({state.moments} so far)"


def _lines(told: Explanation) -> Iterator[str]:
    yield f"{told.spec} on {told.series}: {told.phase}: {told.because}"
    for clause in told.clauses:
        yield f"  {clause_text(clause)}"
    if told.ends:
        yield "  it ends when:"
        for clause in told.ends:
            yield f"  {clause_text(clause)}"
    yield f"  fired {told.fired}, suppressed {told.suppressed}"
    if told.held:
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(told.held.items()))
        yield f"  held back: {counts}"
