"""Spec files' text → specs, or everything that is wrong with them.

A file is `version: 1`, `filters:`, a list of specs, and where it has any `define:`, conditions with
names. The reader goes on after an error, so that a person sees all of them at once.
It is long because it reads every key of a spec.
"""

import re
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from datetime import UTC, datetime

import msgspec

from filters.condition_reader import ConditionReader
from filters.fields import STREAMS, Stream
from filters.grammar import Named
from filters.judge import Known, judge
from filters.node_reader import NodeReader, WrongError, shown
from filters.relations import MOST_BARS
from filters.shared_names import UNKNOWN, SharedNames
from filters.spec_set_error import SpecSetError
from filters.spec_store import StoredSpec
from filters.spec_test_reader import SpecTestReader
from filters.specs import (
    MISSING,
    SEVERITIES,
    TRIGGERS,
    Missing,
    Notify,
    Severity,
    Source,
    Spec,
    SpecTest,
    Trigger,
)
from filters.strategy_reader import StrategyRead, StrategyReader
from filters.templates import TemplateError, parse_template
from filters.trees import UNITS, Tree, print_tree
from filters.yaml_nodes import LINE_BREAK, Document, Mapping, Node, Scalar, Sequence
from market.activity import parse_bar_length
from market.errors import SpecError
from market.intervals import SECOND

VERSION = 1
LONGEST_TITLE = 120
LONGEST_SYMBOL = 40
LONGEST_DAYS = 30
LAST_EXPIRY = 9_214_646_400 * SECOND
"""The first moment of 2262, the year in which nanoseconds outgrow 64 bits."""

_FILE_KEYS = ("version", "define", "filters")
_SPEC_KEYS = (
    "id",
    "title",
    "enabled",
    "source",
    "when",
    "until",
    "strategy",
    "for",
    "trigger",
    "cooldown",
    "once",
    "expires",
    "missing",
    "severity",
    "labels",
    "notify",
    "tests",
)
_SOURCE_KEYS = ("stream", "symbols", "interval", "venues")
_NOTIFY_KEYS = ("to", "message", "chart")
_NOT_OF_STRATEGIES = {
    "when": "a strategy has an 'entry' in its place",
    "until": "a strategy has an 'exit' in its place",
}
_STRATEGY_TAKES = {"trigger": ("bar_close",), "missing": ("keep", "reset")}
_YES, _NO = ("true", "yes"), ("false", "no")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SYMBOL = re.compile(r"[A-Z0-9.*?]+(?:-[A-Z0-9.*?]+)+")
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,63}")
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhd])")
_BARS = re.compile(r"([0-9]{1,9})\s*bars?")


class Reading(msgspec.Struct, frozen=True):
    """What was read.

    Attributes:
        specs: all of them, those that are switched off too.
        warnings: what may be wrong, in the order of files and lines.
        places: where each spec stands, by its id: `"specs.yaml:3"`.
    """

    specs: tuple[Spec, ...]
    warnings: tuple[SpecError, ...] = ()
    places: dict[str, str] = {}


def read_specs(files: Iterable[tuple[str, str]]) -> tuple[Spec, ...]:
    """Read specs from files' texts; ids must differ over all of them.

    Args:
        files: path, as messages call it, and text.

    Raises:
        SpecSetError: something is wrong in them; it has all that was found.
    """
    return read(files).specs


def read(
    files: Iterable[tuple[str, str]],
    known: Known | None = None,
    stored: Iterable[StoredSpec] = (),
    named: MappingOf[Stream, Named] | None = None,
) -> Reading:
    """Read specs from files' texts, and judge whether they can do what they say.

    Args:
        files: path, as messages call it, and text.
        known: what is listed and kept; what is not given is not judged.
        stored: those of the database, which are read last: an id that both homes have is told at
            the database's, with the place in the file. What is wrong with one that is switched
            off is a warning.
        named: conditions with names that those of the database may use; without, the ones that
            the files define.

    Raises:
        SpecSetError: something is wrong in them; it has all that was found.
    """
    errors: list[SpecError] = []
    warnings: list[SpecError] = []
    specs: list[Spec] = []
    taken: dict[str, str] = {}

    names = SharedNames()
    for path, text in files:
        reader = _reader_of(path, text, errors=errors, warnings=warnings, taken=taken, known=known)
        if reader is not None:
            specs.extend(reader.specs())
            reader.share(names)
    shared = names.named() if named is None else named
    for each in stored:
        wrong: list[SpecError] = []
        is_in_file = each.id in taken
        reader = _reader_of(
            each.place, each.text,
            errors=wrong, warnings=warnings, taken=taken, known=known, named=shared,
        )  # fmt: skip
        one = None if reader is None else reader.stored(each)
        if one is not None and not wrong:
            specs.append(one)
        (errors if each.is_enabled or is_in_file else warnings).extend(wrong)
    if errors:
        raise SpecSetError(errors)
    warnings.sort(key=lambda warning: (warning.path, warning.line, warning.column))
    return Reading(tuple(specs), tuple(warnings), taken)


def read_names(files: Iterable[tuple[str, str]], *, unknown: str = UNKNOWN) -> dict[Stream, Named]:
    """Return the named conditions of files' texts, as specs of the database see them.

    Args:
        files: path, as messages call it, and text; what is wrong in them is left to `read`.
        unknown: what is said behind a word that is neither a field nor such a name.
    """
    names = SharedNames(unknown)
    taken: dict[str, str] = {}
    for path, text in files:
        reader = _reader_of(path, text, errors=[], warnings=[], taken=taken)
        if reader is not None:
            reader.specs()
            reader.share(names)
    return names.named()


def _reader_of(
    path: str,
    text: str,
    *,
    errors: list[SpecError],
    warnings: list[SpecError],
    taken: dict[str, str],
    known: Known | None = None,
    named: MappingOf[Stream, Named] | None = None,
) -> "_FileReader | None":
    try:
        document = Document(text, path)
    except SpecError as error:
        errors.append(error)
        return None
    nodes = NodeReader(document, errors, warnings)
    return _FileReader(document, nodes, taken, known or Known(), named)


class _FileReader:
    """Reads one document; `taken` has the ids of all documents and their places."""

    def __init__(
        self,
        document: Document,
        nodes: NodeReader,
        taken: dict[str, str],
        known: Known,
        named: MappingOf[Stream, Named] | None,
    ) -> None:
        self._document = document
        self._nodes = nodes
        self._conditions = ConditionReader(nodes, named)
        self._strategies = StrategyReader(nodes, self._conditions)
        self._tests = SpecTestReader(nodes)
        self._taken = taken
        self._known = known

    def specs(self) -> list[Spec]:
        """Return the specs that are right."""
        root = self._document.root
        made = None if root is None else self._nodes.attempt(self._file, root)
        return made or []

    def share(self, names: SharedNames) -> None:
        """Give away the names of the document, after it has been read."""
        names.add(self._document.path, self._conditions.named, self._conditions.lines)

    def stored(self, row: StoredSpec) -> Spec | None:
        """Return the one spec that the document is, if it is right."""
        root = self._document.root
        if root is None:
            error = SpecError("empty: expected one filter ('id: …')", path=self._document.path)
            self._nodes.take(error)
            return None
        spec = self._nodes.attempt(self._spec, root)
        if spec is not None and spec.id != row.id:
            self._nodes.report(f"id {spec.id!r}: it is kept as {row.id!r}", root)
        return None if spec is None else msgspec.structs.replace(spec, is_enabled=row.is_enabled)

    def _file(self, node: Node) -> list[Spec]:
        nodes = self._nodes
        keys = nodes.mapping(node, _FILE_KEYS, "a spec file")
        why = f"write 'version: {VERSION}'"
        nodes.required(keys, "version", self._version, parent=node, why=why)
        nodes.optional(keys, "define", self._conditions.define)
        return nodes.optional(keys, "filters", self._filters) or []

    def _version(self, node: Node) -> int:
        if not isinstance(node, Scalar) or node.value is True or node.value != VERSION:
            raise self._nodes.wrong(f"version: expected {VERSION}", node)
        return VERSION

    def _filters(self, node: Node) -> list[Spec]:
        if isinstance(node, Scalar) and node.value is None:
            return []
        if not isinstance(node, Sequence):
            raise self._nodes.wrong("filters: expected a list ('- id: …')", node)
        made = [self._nodes.attempt(self._spec, item) for item in node.items]
        return [spec for spec in made if spec is not None]

    def _spec(self, node: Node) -> Spec:
        nodes = self._nodes
        before = nodes.error_count
        keys = nodes.mapping(node, _SPEC_KEYS, "a filter")
        ident = nodes.required(keys, "id", self._id, parent=node, why="give it a name of its own")
        title = nodes.optional(keys, "title", self._title)
        source = nodes.required(
            keys, "source", self._source, parent=node, why="say what it looks at"
        )
        enabled = nodes.optional(keys, "enabled", lambda part: self._yes(part, "enabled"))
        stream = _stream_of(keys.get("source")) if source is None else source.stream
        hold = nodes.optional(keys, "for", lambda part: self._for(part, stream))
        cooldown = nodes.optional(keys, "cooldown", lambda part: self._duration(part, "cooldown"))
        trigger = nodes.optional(keys, "trigger", self._trigger)
        once = nodes.optional(keys, "once", lambda part: self._yes(part, "once"))
        expires = nodes.optional(keys, "expires", self._expires)
        missing = nodes.optional(keys, "missing", self._missing)
        severity = nodes.optional(keys, "severity", self._severity)
        labels = nodes.optional(keys, "labels", self._labels)
        when: Tree | None = None
        until: Tree | None = None
        notify: tuple[Notify, ...] | None = None
        strategy: StrategyRead | None = None
        if stream is not None:
            why = "say when it fires, as in 'rsi(14) < 30'"
            read = self._conditions.when
            if "strategy" in keys:
                strategy = self._strategy(keys, stream)
            else:
                when = nodes.required(
                    keys, "when", lambda part: read(part, stream), parent=node, why=why
                )
                until = nodes.optional(keys, "until", lambda part: read(part, stream, "until"))
            if strategy is not None:
                when, until = strategy.entry, strategy.exit
                keys = {**keys, **strategy.nodes}
            notify = nodes.optional(keys, "notify", lambda part: self._notify(part, stream))
        if ident is None or source is None or when is None or nodes.error_count > before:
            raise WrongError
        bars, time = hold or (1, 0)
        spec = Spec(
            id=ident,
            title=title or "",
            source=source,
            when=print_tree(when),
            hold_bars=bars,
            hold=time,
            cooldown=cooldown or 0,
            severity=severity or "info",
            labels=labels or {},
            is_enabled=enabled is not False,
            trigger=trigger or "",
            until="" if until is None else print_tree(until),
            is_once=once or False,
            expires=expires or 0,
            missing=missing or "keep",
            strategy=None if strategy is None else strategy.strategy,
        )
        if notify is not None:
            spec = msgspec.structs.replace(spec, notify=notify)
        judge(spec, when, keys, nodes, self._known)
        tests: tuple[SpecTest, ...] | None
        tests = nodes.optional(keys, "tests", lambda part: self._tests.tests(part, spec))
        if nodes.error_count > before:
            raise WrongError
        return msgspec.structs.replace(spec, tests=tests or ())

    def _strategy(self, keys: dict[str, Node], stream: Stream) -> StrategyRead | None:
        """Read a strategy; what only an alert may have beside it is reported."""
        nodes = self._nodes
        for key, why in _NOT_OF_STRATEGIES.items():
            if key in keys:
                nodes.report(f"{key}: {why}", keys[key])
        for key, words in _STRATEGY_TAKES.items():
            part = keys.get(key)
            if part is not None and (not isinstance(part, Scalar) or part.text not in words):
                nodes.report(f"{key}: a strategy takes {' or '.join(words)} only", part)
        return nodes.attempt(lambda part: self._strategies.strategy(part, stream), keys["strategy"])

    def _id(self, node: Node) -> str:
        text = self._nodes.text(node, "id")
        if _ID.fullmatch(text) is None:
            raise self._nodes.wrong(
                f"id {shown(text)}: expected letters, digits, '-' and '_', at most 64", node
            )
        if text in self._taken:
            raise self._nodes.wrong(f"id {text!r} is taken already, in {self._taken[text]}", node)
        self._taken[text] = f"{self._document.path}:{node.place.line}"
        return text

    def _title(self, node: Node) -> str:
        text = self._nodes.text(node, "title")
        if len(text) > LONGEST_TITLE or LINE_BREAK.search(text):
            raise self._nodes.wrong(
                f"title: expected one line of at most {LONGEST_TITLE} characters", node
            )
        return text

    def _source(self, node: Node) -> Source:
        nodes = self._nodes
        before = nodes.error_count
        keys = nodes.mapping(node, _SOURCE_KEYS, "a source")
        stream = nodes.required(keys, "stream", self._stream, parent=node, why=", ".join(STREAMS))
        symbols = nodes.required(
            keys,
            "symbols",
            lambda part: nodes.names(part, "symbols", self._symbol),
            parent=node,
            why="as in '[BTC-USDT]'",
        )
        venues = nodes.optional(
            keys, "venues", lambda part: nodes.names(part, "venues", self._venue)
        )
        interval: str | None = None
        if stream == "bar":
            why = "the length of the bars, as in '1m'"
            interval = nodes.required(keys, "interval", self._interval, parent=node, why=why)
        elif stream is not None and "interval" in keys:
            nodes.report(f"interval: a {stream} has none: leave it out", keys["interval"])
        if stream is None or symbols is None or nodes.error_count > before:
            raise WrongError
        return Source(stream=stream, symbols=symbols, interval=interval or "", venues=venues or ())

    def _stream(self, node: Node) -> Stream:
        return self._nodes.one_of(node, "stream", STREAMS)

    def _symbol(self, node: Node) -> str:
        text = self._nodes.text(node, "symbol")
        if text == "*" or (_SYMBOL.fullmatch(text) and len(text) <= LONGEST_SYMBOL):
            return text
        if ":" in text:
            venue, _, symbol = text.partition(":")
            hint = f": write {shown(symbol)} here and {shown(venue)} under 'venues'"
        else:
            better = text.upper().replace("/", "-").replace("_", "-")
            fits = _SYMBOL.fullmatch(better) is not None and len(text) <= LONGEST_SYMBOL
            hint = f"; did you mean {better!r}?" if fits else ": expected one such as 'BTC-USDT'"
        raise self._nodes.wrong(f"symbol {shown(text)}{hint}", node)

    def _venue(self, node: Node) -> str:
        text = self._nodes.text(node, "venue")
        if _VENUE.fullmatch(text) is None:
            raise self._nodes.wrong(
                f"venue {shown(text)}: expected a lower-case name such as 'binance'", node
            )
        return text

    def _interval(self, node: Node) -> str:
        try:
            return parse_bar_length(self._nodes.text(node, "interval")).name
        except ValueError as error:
            raise self._nodes.wrong(str(error), node) from None

    def _for(self, node: Node, stream: Stream | None) -> tuple[int, int]:
        bars = _BARS.fullmatch(node.text.strip()) if isinstance(node, Scalar) else None
        if bars is None:
            return 1, self._duration(node, "for")
        if stream not in ("bar", None):
            raise self._nodes.wrong(
                f"for: a {stream} has no bars: write a time such as '90s'", node
            )
        if not 1 <= int(bars[1]) <= MOST_BARS:
            raise self._nodes.wrong(f"for: expected 1 to {MOST_BARS} bars", node)
        return int(bars[1]), 0

    def _duration(self, node: Node, key: str) -> int:
        text = node.text.strip() if isinstance(node, Scalar) else ""
        match = _DURATION.fullmatch(text)
        if match is None:
            example = "'3 bars' or a time such as '90s'" if key == "for" else "a time such as '15m'"
            unit = " (s, m, h or d is missing)" if text.isascii() and text.isdigit() else ""
            raise self._nodes.wrong(f"{key}: expected {example}{unit}", node)
        length = int(match[1]) * UNITS[match[2]]
        if key == "for" and not length:
            raise self._nodes.wrong(
                "for: expected at least 1s: leave it out to speak at once", node
            )
        if length > LONGEST_DAYS * UNITS["d"]:
            raise self._nodes.wrong(f"{key}: expected at most {LONGEST_DAYS}d", node)
        return length

    def _trigger(self, node: Node) -> Trigger:
        return self._nodes.one_of(node, "trigger", TRIGGERS)

    def _missing(self, node: Node) -> Missing:
        return self._nodes.one_of(node, "missing", MISSING)

    def _yes(self, node: Node, key: str) -> bool:
        text = node.text if isinstance(node, Scalar) else ""
        if text not in (*_YES, *_NO):
            raise self._nodes.wrong(f"{key}: expected true or false", node)
        return text in _YES

    def _expires(self, node: Node) -> int:
        text = node.text.strip() if isinstance(node, Scalar) else ""
        if _DURATION.fullmatch(text):
            raise self._nodes.wrong(
                "expires: a length of time has no beginning here: write when it ends, as in"
                " '2026-12-31' or '2026-12-31T18:00Z'",
                node,
            )
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self._nodes.wrong(
                "expires: expected a day such as '2026-12-31', or a time of it (UTC if it does"
                " not say) such as '2026-12-31T18:00Z'",
                node,
            ) from None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        expires = int(moment.timestamp()) * SECOND
        if not 0 < expires < LAST_EXPIRY:
            raise self._nodes.wrong(
                "expires: expected a time from 1970 to 2261: leave it out for never", node
            )
        return expires

    def _severity(self, node: Node) -> Severity:
        return self._nodes.one_of(node, "severity", SEVERITIES)

    def _labels(self, node: Node) -> dict[str, str]:
        if not isinstance(node, Mapping):
            raise self._nodes.wrong("labels: expected names and texts, as in '{desk: spot}'", node)
        labels: dict[str, str] = {}
        for key, value in node.items:
            if isinstance(value, Scalar):
                labels[key.text] = value.text
            else:
                self._nodes.report(f"label {shown(key.text)}: expected a text", value)
        return labels

    def _notify(self, node: Node, stream: Stream) -> tuple[Notify, ...]:
        if not isinstance(node, Sequence) or not node.items:
            raise self._nodes.wrong("notify: expected a list ('- to: default')", node)
        made = [
            self._nodes.attempt(lambda part: self._target(part, stream), item)
            for item in node.items
        ]
        first = next((each.message for each in made if each is not None and each.message), "")
        for item, each in zip(node.items, made, strict=True):
            if each is not None and each.message not in ("", first):
                self._nodes.report("one message goes to all targets: leave this one out", item)
        return tuple(each for each in made if each is not None)

    def _target(self, node: Node, stream: Stream) -> Notify:
        nodes = self._nodes
        keys = nodes.mapping(node, _NOTIFY_KEYS, "a target")
        why = "a target, as in 'to: default'"
        to = nodes.required(keys, "to", self._to, parent=node, why=why)
        message = nodes.optional(keys, "message", lambda part: self._message(part, stream))
        chart = nodes.optional(keys, "chart", lambda part: self._yes(part, "chart"))
        if to is None:
            raise WrongError
        return Notify(to=to, message=message or "", chart=chart or False)

    def _to(self, node: Node) -> str:
        text = self._nodes.text(node, "to")
        if _TARGET.fullmatch(text) is None:
            raise self._nodes.wrong(
                f"to {shown(text)}: expected a name such as 'default' or 'telegram/main'", node
            )
        return text

    def _message(self, node: Node, stream: Stream) -> str:
        text = self._nodes.text(node, "message").rstrip("\n")
        try:
            parse_template(text, stream)
        except TemplateError as error:
            raise self._nodes.wrong(error.message, node, offset=error.offset) from None
        return text


def _stream_of(source: Node | None) -> Stream | None:
    """Find the stream of a source that is wrong otherwise, to read the rest of its spec."""
    if isinstance(source, Mapping):
        for key, value in source.items:
            if key.text == "stream" and isinstance(value, Scalar):
                return next((each for each in STREAMS if each == value.text), None)
    return None
