"""What a spec looks at, and what it says."""

import msgspec

from market.events import State


class Observation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One moment of one series, as a spec may look at it.

    Attributes:
        series: instrument id, `"binance:BTC-USDT"`.
        stream: `"bar"` (one observation a closed bar), `"forming"` (of a bar that has not closed),
            `"book"` (one a book change), `"trade"` (one a trade) or `"quote"` (one a change of the
            best prices).
        interval: the bar's, `"1m"`; empty for others.
        ts_event: the venue's time in ns: the bar's end, or the message's.
        ts_recv: our time in ns of the event that led here.
        moment: what makes it unique in its series: the bar's start in ns, the book's sequence, a
            number of the trade; our time where a bar has not closed.
        revision: above 0 for a corrected bar, which never fires.
        values: field name to value; None where it is not known yet.
        state: truth state of what the values come from.
        reason: why the state is not live, for people.
    """

    series: str
    stream: str
    interval: str
    ts_event: int
    ts_recv: int
    moment: int
    revision: int
    values: dict[str, float | None]
    state: State
    reason: str = ""


class Clause(msgspec.Struct, frozen=True):
    """One part of a spec's condition, as it was when the alert fired.

    Attributes:
        text: as the spec has it, `"rsi(14) < 30"`.
        value: what its left side was; None when it was not known.
        threshold: what it was held against; None when there is no number.
        holds: whether it was true; None where a value was not known.
    """

    text: str
    value: float | None = None
    threshold: float | None = None
    holds: bool | None = True


class Passed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Every bar of a series that ends by `until` (ns of the venue's clock) has been told.

    `state` is whether its trades flow, by our clock's `ts_recv`.
    """

    series: str
    until: int
    ts_recv: int
    state: State = State.LIVE


class Copied(msgspec.Struct, frozen=True):
    """What another symbol's series says, for the specs that look at it besides their own."""

    moment: Observation | Passed


class AlertEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What an alert told is true no more.

    Attributes:
        key: of the alert.
        spec: id of the spec.
        series: instrument id.
        ts_ended: our time of the event that ended it, ns.
    """

    key: str
    spec: str
    series: str
    ts_ended: int


class Alert(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A spec fired.

    Attributes:
        key: identity, the same however often the same input is read:
            spec id, content hash, series, interval and moment, with `/` between.
        spec: id of the spec.
        spec_hash: hash of its content.
        series: instrument id.
        interval: of the bar; empty for a book.
        ts_event: venue's time of what it fired on, ns.
        ts_fired: our time of the event that made it fire, ns.
        severity: `info`, `warning` or `critical`.
        targets: names of the targets it goes to.
        text: the rendered message.
        values: the fields that the condition looked at, with their values then.
        chart: a target is to get a picture with it.
        clauses: the parts of the condition then; empty in recordings of before they were told.
        signal: of a strategy `entry`, or why it left: `stop`, `target` or `exit`; else empty.
        labels: free words of the spec, for people and programs.
    """

    key: str
    spec: str
    spec_hash: str
    series: str
    interval: str
    ts_event: int
    ts_fired: int
    severity: str
    targets: tuple[str, ...]
    text: str
    values: dict[str, float | None]
    chart: bool = False
    clauses: tuple[Clause, ...] = ()
    signal: str = ""
    labels: dict[str, str] = {}
