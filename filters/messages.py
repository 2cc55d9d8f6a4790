"""Alerts out of what a spec has seen: the record and its text."""

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from filters.alerts import Alert
from filters.alerts import Clause as AlertClause
from filters.compile import Clause, Condition, compile_tree, threshold_text
from filters.grammar import LONGEST_CANONICAL, parse
from filters.risk import Strategy
from filters.specs import Spec, hash_of
from filters.state import Seen, Timing
from filters.templates import Template, value_text
from filters.trees import AnyOf
from market.instruments import symbol_of, venue_of

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Running(msgspec.Struct):
    """A spec made ready to be asked.

    Attributes:
        spec: as it was given.
        hash: of its content.
        timing: how long it waits and is silent.
        condition: compiled.
        until: compiled; None where the spec has none.
        template: of its message; None where it has none.
        fields: canonical names of all that it needs.
        others: those of `fields` that are of other bars.
        ends: it may come to an end of its own.
        strategy: where it makes signals; else None.
        exits: of a strategy, the ways out: each by itself, as not all may be known.
    """

    spec: Spec
    hash: str
    timing: Timing
    condition: Condition
    until: Condition | None
    template: Template | None
    fields: tuple[str, ...]
    others: tuple[str, ...]
    ends: bool
    strategy: Strategy | None = None
    exits: tuple[Condition, ...] = ()


class ClauseSeen(msgspec.Struct, frozen=True):
    """One part of a condition with what it said at a moment.

    Attributes:
        text: as printed, `"rsi(14) < 30"`.
        field: what was compared.
        value: of the field; None where not known.
        op: the comparison.
        limit: the threshold as a number; None where not known.
        holds: what it said; None where a value was not known.
    """

    text: str
    field: str
    value: float | None
    op: str
    limit: float | None
    holds: bool | None


def ready(spec: Spec) -> Running:
    """Make a spec ready to be asked.

    Raises:
        ValueError: a condition or template cannot be read.
    """
    return Running(
        spec=spec,
        hash=hash_of(spec),
        timing=Timing(
            spec.hold_bars,
            spec.hold,
            spec.cooldown,
            spec.trigger == "every",
            spec.is_once,
            spec.expires,
        ),
        condition=spec.condition,
        until=spec.until_condition,
        template=spec.template,
        fields=spec.fields,
        others=tuple(name for name in spec.fields if "@" in name),
        ends=spec.is_once or spec.expires > 0,
        strategy=spec.strategy,
        exits=_exits(spec),
    )


def _exits(spec: Spec) -> tuple[Condition, ...]:
    if spec.strategy is None or not spec.until:
        return ()
    tree = parse(spec.until, spec.source.stream, longest=LONGEST_CANONICAL)
    return tuple(map(compile_tree, tree.of if isinstance(tree, AnyOf) else (tree,)))


def clauses_seen(
    condition: Condition,
    values: Mapping[str, float | None],
    remembered: Sequence[bool | None] = (),
) -> tuple[ClauseSeen, ...]:
    """Return every part of a condition with its value, its threshold and whether it held.

    Args:
        condition: compiled.
        values: by canonical field name, as an alert has them too.
        remembered: what each crossing and move said; not known where it is shorter.
    """
    return tuple(_clause_seen(clause, values, remembered) for clause in condition.clauses)


def make_alert(running: Running, series: str, seen: Seen, ts: int) -> Alert:
    """Make the alert of a spec that fires.

    Args:
        running: the spec.
        series: instrument id.
        seen: the moment it fires on.
        ts: our time at which it fires, ns.
    """
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
        chart=any(each.chart for each in spec.notify),
        labels=spec.labels,
        clauses=tuple(
            AlertClause(told.text, told.value, told.limit, told.holds)
            for told in clauses_seen(running.condition, seen.values, seen.remembered)
        ),
    )


def missing(condition: Condition, values: Mapping[str, float | None], why: str = "") -> str:
    """Say which values of a condition are not known.

    Args:
        condition: compiled.
        values: by canonical field name.
        why: of some names, `"rsi(14) warming(3 of 15); …"`.
    """
    unknown = [name for name in condition.fields if values.get(name) is None]
    reasons = why.split("; ") if why else []
    told = [
        next((each for each in reasons if each.startswith(f"{name} ")), name) for name in unknown
    ]
    return f"not known yet: {', '.join(told)}"


def _clause_seen(
    clause: Clause, values: Mapping[str, float | None], remembered: Sequence[bool | None]
) -> ClauseSeen:
    value = values.get(clause.field)
    threshold = clause.threshold
    limit = values.get(threshold) if isinstance(threshold, str) else threshold
    holds: bool | None = None
    if clause.remembering is not None:
        if clause.remembering < len(remembered):
            holds = remembered[clause.remembering]
    elif value is not None and limit is not None:
        holds = _HOLDS[clause.op](value, limit)
    return ClauseSeen(clause.text, clause.field, value, clause.op, limit, holds)


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


def _sentence(running: Running, series: str, seen: Seen) -> str:
    spec = running.spec
    of_what = f"{symbol_of(series)} {seen.interval or spec.source.stream} at {venue_of(series)}"
    clauses = running.condition.clauses
    told = clauses_seen(running.condition, seen.values, seen.remembered)
    said = ", ".join(_said(*each, seen.values) for each in zip(clauses, told, strict=True))
    return f"{spec.title or spec.id}: {of_what}: {said}"


def _said(clause: Clause, told: ClauseSeen, values: Mapping[str, float | None]) -> str:
    shown = threshold_text(clause)
    if isinstance(clause.threshold, str):
        shown = f"{shown} {value_text(values.get(clause.threshold))}"
    if clause.window:
        shown = f"{shown} within {clause.window}"
    not_so = "" if told.holds else "not "
    return f"{clause.field} {value_text(told.value)} ({not_so}{clause.op} {shown})"
