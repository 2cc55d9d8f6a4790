"""A filter spec, as plain data: what to look at, what must hold, and whom to tell.

Specs travel through the flow and into recordings, so they hold no function: a condition is its
canonical text (`filters.grammar`), compiled where it is asked.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, final

import msgspec

from filters.compile import Condition, compile_condition
from filters.fields import Stream
from filters.risk import PriceRule, Risk, Strategy
from filters.templates import Template, parse_template
from filters.trees import duration_text
from market.instruments import MERGED, symbol_of, venue_of
from market.intervals import SECOND

Severity: TypeAlias = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

DEFAULT_TARGET = "default"
"""What the configuration sends alerts to when nothing else is said."""

Trigger: TypeAlias = Literal["", "bar_close", "change", "every"]
TRIGGERS: tuple[Trigger, ...] = ("bar_close", "change", "every")
Missing: TypeAlias = Literal["keep", "reset", "fire"]
MISSING: tuple[Missing, ...] = ("keep", "reset", "fire")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The data that a spec looks at.

    Attributes:
        stream: `bar` (a moment a closed bar), `book` (one a book change), `trade` (one a trade)
            or `quote` (one a change of the best prices or their sizes).
        symbols: symbols or globs, `"*-USDT"`.
        interval: of the bars, `"1m"`; empty for books.
        venues: names of venues; empty for the primary venue of each symbol; `merged` for the bars
            of all venues together.
    """

    stream: Stream
    symbols: tuple[str, ...]
    interval: str = ""
    venues: tuple[str, ...] = ()

    def matches_symbol(self, symbol: str) -> bool:
        """Return whether one of the globs fits a symbol."""
        return any(fnmatchcase(symbol, glob) for glob in self.symbols)

    def matches(self, series: str, primary: Mapping[str, str] | None = None) -> bool:
        """Return whether a series (an instrument id) is meant.

        Args:
            series: instrument id.
            primary: symbol to its primary venue; of a symbol that is not in it every venue is
                meant, where the source names none.
        """
        venue, symbol = venue_of(series), symbol_of(series)
        if self.venues:
            if venue not in self.venues:
                return False
        elif venue == MERGED or (primary and primary.get(symbol, venue) != venue):
            return False
        return self.matches_symbol(symbol)


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell: a target of the configuration, and what; without a message a plain one.

    `chart`: with a picture of the bars, where the target can show one.
    """

    to: str
    message: str = ""
    chart: bool = False


class SpecTest(msgspec.Struct, frozen=True, kw_only=True):
    """A small input and when a spec must fire on it.

    Attributes:
        name: for people.
        given: values by canonical field name, one a moment; None where not known.
        step: time from one moment to the next, ns.
        fires: numbers of the moments, from 1, at which it must fire; at no others.
    """

    name: str = ""
    given: dict[str, tuple[float | None, ...]]
    step: int
    fires: tuple[int, ...] = ()


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One filter.

    Attributes:
        id: unique; letters, digits, `-` and `_`.
        title: for people.
        source: what it looks at.
        when: canonical text of the condition.
        hold_bars: moments in a row for which it must hold; 1 fires at the first.
        hold: time for which it must hold, ns; 0 fires at once.
        cooldown: time after a firing in which it is silent, ns.
        severity: `info`, `warning` or `critical`.
        labels: free words for people and programs.
        notify: whom to tell; at least one.
        is_enabled: it is in force; else it is only checked and tested.
        trigger: when it is looked at and fires; empty for `bar_close` of bars, else `change`.
        until: canonical text of the condition that ends a firing; empty for `when` being false.
        is_once: it fires one time for each series.
        expires: our time from which on it does not fire, ns UTC; 0 for never.
        missing: what a moment means at which a value is not known.
        tests: what it must do; no part of what it is.
        strategy: where it makes signals of `when` (the entry) and `until` (the exit).
    """

    id: str
    title: str = ""
    source: Source
    when: str
    hold_bars: int = 1
    hold: int = 0
    cooldown: int = 0
    severity: Severity = "info"
    labels: dict[str, str] = {}
    notify: tuple[Notify, ...] = (Notify(to=DEFAULT_TARGET),)
    is_enabled: bool = True
    trigger: Trigger = ""
    until: str = ""
    is_once: bool = False
    expires: int = 0
    missing: Missing = "keep"
    tests: tuple[SpecTest, ...] = ()
    strategy: Strategy | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets it goes to, each once."""
        return tuple(dict.fromkeys(each.to for each in self.notify))

    @property
    def message(self) -> str:
        """The template, or an empty text where it has none."""
        return next((each.message for each in self.notify if each.message), "")

    @property
    def condition(self) -> Condition:
        """The condition, compiled (and remembered by its text).

        Raises:
            GrammarError: the spec was not made by our reader.
        """
        return compile_condition(self.when, self.source.stream)

    @property
    def until_condition(self) -> Condition | None:
        """The condition that ends a firing, compiled, or None where it has none.

        Raises:
            GrammarError: the spec was not made by our reader.
        """
        return compile_condition(self.until, self.source.stream) if self.until else None

    @property
    def template(self) -> Template | None:
        """The message's template, or None where it has none.

        Raises:
            TemplateError: the spec was not made by our reader.
        """
        return parse_template(self.message, self.source.stream) if self.message else None

    @property
    def fields(self) -> tuple[str, ...]:
        """Canonical names of what its conditions and its message need, each once."""
        template, until = self.template, self.until_condition
        shown = () if template is None else template.fields
        ending = () if until is None else until.fields
        priced = () if self.strategy is None else self.strategy.fields(self.source.stream)
        return tuple(dict.fromkeys((*self.condition.fields, *ending, *shown, *priced)))

    @property
    def looks_at_forming_bars(self) -> bool:
        """Whether it looks at bars before they close, too."""
        return self.source.stream == "bar" and self.trigger == "change"


@final
class SpecsChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From here on these specs are in force, and no others.

    Attributes:
        generation: counts the changes, so that people can tell two sets apart.
        specs: all of them.
        symbols: what is followed, as far as it was known: who a spec's globs may stand for where
            it looks at another symbol too.
        primary: symbol to the venue that specs without venues look at; empty: as it was told
            before, and where it never was, each venue by itself.
        worker: number of the worker whose input it went into: it is for what that one reads; None
            for everything.
    """

    generation: int
    specs: tuple[Spec, ...]
    symbols: tuple[str, ...] = ()
    primary: dict[str, str] = {}
    worker: int | None = None

    def after(self, before: "SpecsChanged | None") -> "SpecsChanged":
        """Return the change with what it leaves as it was."""
        if self.primary or before is None or not before.primary:
            return self
        return msgspec.structs.replace(self, primary=before.primary)


def hash_of(spec: Spec) -> str:
    """Return the hash of a spec's content: the same for the same meaning, however it was written.

    Twelve hexadecimal digits of the SHA-256 of its canonical JSON. What equals its default is left
    out, so that a later version with more keys gives the same hash. Tests and whether it is in
    force are no part of it.
    """
    content = msgspec.json.encode(_said(spec), order="sorted")
    return hashlib.sha256(content).hexdigest()[:12]


def digest_of(specs: Iterable[Spec]) -> str:
    """Return what tells a set of specs in force from every other, in whatever order they are."""
    told = sorted(f"{spec.id}:{hash_of(spec)}" for spec in specs if spec.is_enabled)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _said(part: Spec | Source | Notify | Strategy | Risk | PriceRule) -> dict[str, object]:
    said: dict[str, object] = {}
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if field.default is not msgspec.NODEFAULT:
            is_default = value == field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            is_default = value == field.default_factory()
        else:
            is_default = False
        if not is_default:
            is_part = isinstance(value, Strategy | Risk | PriceRule)
            said[field.name] = _said(value) if is_part else value
    if isinstance(part, Spec):
        said.pop("tests", None)
        said.pop("is_enabled", None)
        said["source"] = _said(part.source)
        if "notify" in said:
            said["notify"] = [_said(each) for each in part.notify]
    return said


def in_force(specs: Iterable[Spec]) -> tuple[Spec, ...]:
    """Return the specs that are not switched off, without their tests: what a flow needs."""
    return tuple(
        msgspec.structs.replace(spec, tests=()) if spec.tests else spec
        for spec in specs
        if spec.is_enabled
    )


def describe(spec: Spec, primary: Sequence[str] = ()) -> str:
    """Return what a spec does, in a few lines for people.

    Args:
        spec: the spec.
        primary: venues, the one that is asked for a symbol first.
    """
    return "\n".join(_lines(spec, primary))


def time_text(ns: int) -> str:
    """Return a time as specs write it: `"2026-12-31T18:00Z"`."""
    return f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}".replace(":00Z", "Z")


def moment_text(spec: Spec) -> str:
    """Return what a spec looks at, for people: `"every 1m bar"`."""
    if spec.looks_at_forming_bars:
        return f"every change of {spec.source.interval} bars"
    return {
        "bar": f"every {spec.source.interval} bar",
        "book": "every book change",
        "trade": "every trade",
        "quote": "every change of the best prices",
    }[spec.source.stream]


def _lines(spec: Spec, primary: Sequence[str]) -> Iterator[str]:
    source = spec.source
    venues = f" at {', '.join(source.venues) or 'the primary venue'}"
    if not source.venues and primary:
        others = "".join(f", else {name}" for name in primary[1:])
        venues += f" of each symbol ({primary[0]}{others})"
    off = "" if spec.is_enabled else " - switched off"
    yield f"{spec.id}: {spec.title or spec.id} ({spec.severity}){off}"
    yield f"  looks at  {moment_text(spec)} of {', '.join(source.symbols)}{venues}"
    yield from _conditions(spec)
    if spec.hold:
        yield f"  for       {duration_text(spec.hold)}"
    elif spec.hold_bars > 1:
        yield f"  for       {spec.hold_bars} bars"
    if spec.trigger == "every":
        yield "  fires     at every such moment"
    if spec.is_once:
        yield "  fires     once"
    if spec.expires:
        yield f"  expires   {time_text(spec.expires)}"
    if spec.cooldown:
        yield f"  cooldown  {duration_text(spec.cooldown)}"
    if spec.missing != "keep":
        yield f"  missing   {spec.missing}"
    if spec.labels:
        yield f"  labels    {', '.join(f'{key}={text}' for key, text in spec.labels.items())}"
    yield f"  tells     {', '.join(spec.targets)}"
    if spec.tests:
        yield f"  tests     {len(spec.tests)}"


def _conditions(spec: Spec) -> Iterator[str]:
    strategy = spec.strategy
    if strategy is None:
        yield f"  when      {spec.when}"
        if spec.until:
            yield f"  until     {spec.until}"
        return
    risk = strategy.risk
    yield f"  enters    {strategy.side} when {spec.when}"
    if spec.until:
        yield f"  leaves    when {spec.until}"
    yield f"  stop      {risk.stop.text}"
    if risk.target is not None:
        yield f"  target    {risk.target.text}"
    yield f"  risks     {risk.budget:g}% of {risk.equity:,.10g}"
