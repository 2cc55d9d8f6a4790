"""Why an alert fired, from what is stored of it."""

from filters.alerts import Clause
from market.intervals import SECOND
from sinks.alert_facts import AlertFacts
from sinks.message import Composer, number

DIGITS = 9
"""Of a value: enough for every price, and no more than a phone has room for."""


def explain(facts: AlertFacts, composer: Composer, *, acked_by: str | None = None) -> str:
    """Return why an alert fired, a line for each part of its condition.

    Args:
        facts: what is stored of it.
        composer: knows whose local time is told.
        acked_by: who acknowledged it, if anybody.
    """
    where = " ".join(part for part in (facts.venue, facts.symbol, facts.interval) if part)
    lines = [f"{facts.spec} on {where}", f"fired {composer.moment(facts.fired_at)}"]
    if facts.clauses:
        lines += [_clause(clause) for clause in facts.clauses]
        told = {clause.text for clause in facts.clauses}
        lines += [
            f"{name} was {_value(value)}"
            for name, value in sorted(facts.values.items())
            if not any(name in text for text in told)
        ]
    else:
        lines += [f"{name} was {_value(value)}" for name, value in sorted(facts.values.items())]
    lines.append(f"decided {facts.age_ns / SECOND:.1f} s after the market's time")
    if facts.ended_at is not None:
        lines.append(f"over since {composer.moment(facts.ended_at)}")
    if acked_by is not None:
        lines.append(f"acknowledged by {acked_by}")
    return "\n".join(lines)


def _clause(clause: Clause) -> str:
    verdict = {True: "yes", False: "no", None: "not known"}[clause.holds]
    against = "" if clause.threshold is None else f", against {number(clause.threshold)}"
    return f"{verdict}: {clause.text} (was {_value(clause.value)}{against})"


def _value(value: float | None) -> str:
    return "not known" if value is None else number(float(f"{value:.{DIGITS}g}"))
