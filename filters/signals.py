"""Alerts of strategies: what is entered or left, with stop, target and size."""

from collections.abc import Sequence

import msgspec

from filters.alerts import Alert, Clause
from filters.messages import ClauseSeen, Running, make_alert
from filters.position import Position, Reason
from filters.risk import Strategy
from filters.state import Seen
from filters.templates import value_text
from market.instruments import symbol_of, venue_of

PREFIX = "position."
"""What the names of a position's numbers begin with, among an alert's values."""


def entry_signal(
    running: Running, strategy: Strategy, series: str, seen: Seen, *, ts: int, position: Position
) -> Alert:
    """Make the alert of an entry."""
    alert = make_alert(running, series, seen, ts)
    target = "" if position.target is None else f", target {value_text(position.target)}"
    lost = abs(position.entry - position.stop) * position.size
    said = (
        f"enter {strategy.side} {value_text(position.size)} at {value_text(position.entry)}, stop"
        f" {value_text(position.stop)}{target}, at risk {lost:,.2f}"
    )
    return _signal(
        alert, running, seen, said=said, signal="entry", numbers=_numbers(position, strategy)
    )


def exit_signal(
    running: Running,
    strategy: Strategy,
    series: str,
    seen: Seen,
    *,
    ts: int,
    before: Position,
    after: Position,
    reason: Reason,
    clauses: Sequence[ClauseSeen] = (),
) -> Alert:
    """Make the alert of an exit.

    Args:
        running: the spec.
        strategy: of the spec.
        series: instrument id.
        seen: the moment at which it was left.
        ts: our time then, ns.
        before: the position that was left.
        after: what there is afterwards.
        reason: why it was left.
        clauses: parts of the ways out that were open; none at a stop or target.
    """
    alert = make_alert(running, series, seen, ts)
    gain = after.realised - before.realised
    times = "1 position" if after.closed == 1 else f"{after.closed} positions"
    said = (
        f"leave {strategy.side} {value_text(before.size)} at {value_text(after.price)} ({reason}):"
        f" {gain:+,.2f}; {times} closed, {after.realised:+,.2f} in all"
    )
    numbers = _numbers(after, strategy) | {
        f"{PREFIX}size": before.size,
        f"{PREFIX}entry": before.entry,
        f"{PREFIX}stop": before.stop,
        f"{PREFIX}target": before.target,
        f"{PREFIX}profit": gain,
    }
    made = _signal(alert, running, seen, said=said, signal=reason, numbers=numbers)
    told = tuple(Clause(each.text, each.value, each.limit, each.holds) for each in clauses)
    return msgspec.structs.replace(made, clauses=told)


def _signal(
    alert: Alert,
    running: Running,
    seen: Seen,
    *,
    said: str,
    signal: str,
    numbers: dict[str, float | None],
) -> Alert:
    spec = running.spec
    where = f"{symbol_of(alert.series)} {seen.interval or spec.source.stream}"
    text = f"{spec.title or spec.id}: {where} at {venue_of(alert.series)}: {said}"
    if running.template is not None:
        text = f"{text}\n{alert.text}"
    return msgspec.structs.replace(alert, text=text, values=alert.values | numbers, signal=signal)


def _numbers(position: Position, strategy: Strategy) -> dict[str, float | None]:
    return {
        f"{PREFIX}side": 1.0 if strategy.side == "long" else -1.0,
        f"{PREFIX}open": float(position.is_open),
        f"{PREFIX}size": position.size,
        f"{PREFIX}entry": position.entry,
        f"{PREFIX}stop": position.stop,
        f"{PREFIX}target": position.target,
        f"{PREFIX}price": position.price,
        f"{PREFIX}closed": float(position.closed),
        f"{PREFIX}won": float(position.won),
        f"{PREFIX}realised": position.realised,
    }
