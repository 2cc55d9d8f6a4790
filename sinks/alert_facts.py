"""What the store knows of an alert beyond its text."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import psycopg

from filters.alerts import Clause
from sinks.nanoseconds import ns_of
from sinks.rows import Cell

_PRICES = ("close", "price", "book.mid", "mid", "book.microprice")
"""Fields that are a price of the series, the best first."""

_NAMES = ("key", "spec", "venue", "symbol", "interval", "severity", "text", "time", "fired_at")

_QUERY = f"""
SELECT
    a.key, a.spec, a.venue, a.symbol, a."interval", a.severity, a.text,
    {ns_of("a.time")}, {ns_of("a.fired_at")}, a."values", a.chart, a.clauses,
    a.signal, a.labels,
    {ns_of("e.ended_at")},
    coalesce(
        (SELECT close FROM bars b
         WHERE b.venue = a.venue AND b.symbol = a.symbol AND b."interval" = a."interval"
           AND b."end" = a.time AND b.start > a.time - interval '32 days'),
        (SELECT (t.bid_prices[1] + t.ask_prices[1]) / 2 FROM book_tops t
         WHERE t.venue = a.venue AND t.symbol = a.symbol AND t.time <= a.time
           AND t.time > a.time - interval '1 minute'
         ORDER BY t.time DESC LIMIT 1)
    )
FROM alerts a LEFT JOIN alert_endings e ON e.key = a.key
WHERE a.key = ANY(%s)
"""


class AlertFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as the store has it.

    Attributes:
        key: identity.
        spec: id of the spec.
        venue: of the series.
        symbol: of the series.
        interval: of the bar; empty for a book.
        severity: `info`, `warning` or `critical`.
        text: the spec's message.
        time: the venue's time of what it fired on, ns UTC.
        fired_at: our time when it fired, ns UTC.
        values: fields that the condition looked at.
        chart: the spec wants a picture.
        clauses: parts of the condition; empty where the filters did not tell them.
        signal: of a strategy `entry`, or why it left: `stop`, `target` or `exit`; else empty.
        labels: free words of the spec.
        ended_at: our time when it was true no more, ns UTC; None when no end was told.
        price: of the series when it fired, as far as it is stored.
    """

    key: str
    spec: str
    venue: str
    symbol: str
    interval: str
    severity: str
    text: str
    time: int
    fired_at: int
    values: dict[str, float | None]
    chart: bool = False
    clauses: tuple[Clause, ...] = ()
    signal: str = ""
    labels: dict[str, str] = {}
    ended_at: int | None = None
    price: float | None = None

    @property
    def age_ns(self) -> int:
        """How old what it fired on was when it fired."""
        return max(0, self.fired_at - self.time)


def read_facts(connection: psycopg.Connection, keys: Iterable[str]) -> dict[str, AlertFacts]:
    """Return what is stored of some alerts, by key; one that is not stored is left out.

    The price is the alert's own, else the close of its bar, else the middle of the book then.
    """
    found: dict[str, AlertFacts] = {}
    for row in connection.execute(_QUERY, (list(keys),)):
        facts = _facts(row)
        found[facts.key] = facts
    return found


def facts_of_row(cells: Mapping[str, Cell]) -> AlertFacts:
    """Return what the row of an alert says of it, before it is stored.

    Args:
        cells: by column of the table `alerts`; an older version's has fewer.
    """
    told = {name: cells[name] for name in (*_NAMES, "values")}
    facts = msgspec.convert(
        {
            **told,
            "chart": cells.get("chart") is True,
            "clauses": msgspec.json.decode(str(cells.get("clauses") or "[]")),
            "signal": cells.get("signal") or "",
            "labels": msgspec.json.decode(str(cells.get("labels") or "{}")),
        },
        AlertFacts,
    )
    return msgspec.structs.replace(facts, price=_own_price(facts))


def _facts(row: Sequence[object]) -> AlertFacts:
    *told, stored_price = row
    more = ("values", "chart", "clauses", "signal", "labels", "ended_at")
    facts = msgspec.convert(dict(zip((*_NAMES, *more), told, strict=True)), AlertFacts)
    own = _own_price(facts)
    price = own if own is not None else stored_price
    return msgspec.structs.replace(facts, price=None if price is None else float(str(price)))


def _own_price(facts: AlertFacts) -> float | None:
    return next((facts.values[name] for name in _PRICES if name in facts.values), None)
