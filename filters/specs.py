"""A filter spec, as plain data: what to look at, what must hold, and whom to tell.

Specs travel through the flow and into recordings, so they hold no function: a condition is its
canonical text (`filters.grammar`), compiled where it is asked.
"""

import hashlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, final

import msgspec

from filters.compile import Condition, compile_condition
from filters.fields import Stream
from filters.templates import Template, parse_template
from market.instruments import MERGED, symbol_of, venue_of

Severity: TypeAlias = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

DEFAULT_TARGET = "default"
"""What the configuration sends alerts to when nothing else is said."""

_SECOND = 1_000_000_000
_UNITS = (("d", 86_400 * _SECOND), ("h", 3600 * _SECOND), ("m", 60 * _SECOND), ("s", _SECOND))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The data that a spec looks at.

    Attributes:
        stream: `bar` (a moment a closed bar) or `book` (a moment a book change).
        symbols: symbols or globs, `"*-USDT"`.
        interval: of the bars, `"1m"`; empty for books.
        venues: names of venues, or `merged` for the bars over all of them; empty for the symbol's
            primary one, which the flow chooses.
    """

    stream: Stream
    symbols: tuple[str, ...]
    interval: str = ""
    venues: tuple[str, ...] = ()

    def matches_symbol(self, symbol: str) -> bool:
        """Return whether one of the globs fits a symbol."""
        return any(fnmatchcase(symbol, glob) for glob in self.symbols)

    def matches(self, series: str) -> bool:
        """Return whether a series (an instrument id) is meant."""
        venue = venue_of(series)
        if venue not in self.venues and (self.venues or venue == MERGED):
            return False
        return self.matches_symbol(symbol_of(series))


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell: a target of the configuration, and what; without a message a plain one."""

    to: str
    message: str = ""


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
    def template(self) -> Template | None:
        """The message's template, or None where it has none.

        Raises:
            TemplateError: the spec was not made by our reader.
        """
        return parse_template(self.message, self.source.stream) if self.message else None

    @property
    def fields(self) -> tuple[str, ...]:
        """Canonical names of what its condition and its message need, each once."""
        template = self.template
        shown = () if template is None else template.fields
        return tuple(dict.fromkeys((*self.condition.fields, *shown)))


@final
class SpecsChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From here on these specs are in force, and no others.

    Attributes:
        generation: counts the changes, so that people can tell two sets apart.
        specs: all of them.
    """

    generation: int
    specs: tuple[Spec, ...]


def hash_of(spec: Spec) -> str:
    """Return the hash of a spec's content: the same for the same meaning, however it was written.

    Twelve hexadecimal digits of the SHA-256 of its canonical JSON. What equals its default is left
    out, so that a later version with more keys gives the same hash.
    """
    content = msgspec.json.encode(_said(spec), order="sorted")
    return hashlib.sha256(content).hexdigest()[:12]


def _said(part: Spec | Source | Notify) -> dict[str, object]:
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
            said[field.name] = value
    if isinstance(part, Spec):
        said["source"] = _said(part.source)
        if "notify" in said:
            said["notify"] = [_said(each) for each in part.notify]
    return said


def duration_text(ns: int) -> str:
    """Return a duration in its largest whole unit, as specs write it: `"15m"`."""
    for unit, length in _UNITS:
        if ns and ns % length == 0:
            return f"{ns // length}{unit}"
    return f"{ns // _SECOND}s"


def describe(spec: Spec) -> str:
    """Return what a spec does, in a few lines for people."""
    return "\n".join(_lines(spec))


def _lines(spec: Spec) -> Iterator[str]:
    source = spec.source
    moment = f"{source.interval} bar" if source.stream == "bar" else "book change"
    venues = f" at {', '.join(source.venues)}" if source.venues else ""
    yield f"{spec.id}: {spec.title or spec.id} ({spec.severity})"
    yield f"  looks at  every {moment} of {', '.join(source.symbols)}{venues}"
    yield f"  when      {spec.when}"
    if spec.hold:
        yield f"  for       {duration_text(spec.hold)}"
    elif spec.hold_bars > 1:
        yield f"  for       {spec.hold_bars} bars"
    if spec.cooldown:
        yield f"  cooldown  {duration_text(spec.cooldown)}"
    if spec.labels:
        yield f"  labels    {', '.join(f'{key}={text}' for key, text in spec.labels.items())}"
    yield f"  tells     {', '.join(spec.targets)}"
