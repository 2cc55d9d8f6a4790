"""YAML as a tree that knows where everything stands.

Scalars are read after the core schema of YAML 1.2 (null, true and false, whole numbers, numbers),
so that `no`, `on`, `1:30` and `012` are the text they look like. A key given twice, an alias, a
tag, a second document, and what is too large or too deep are refused: each node is built once from
the text that stands there.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeAlias

import msgspec
import yaml

from market.errors import SpecError

DEEPEST = 40
LONGEST_TEXT = 500_000
"""Characters of one file."""
LONGEST_SHOWN = 200
"""Characters of a line that an error shows whole; of a longer one it shows nothing."""

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for the library, by which it counts them."""

Value: TypeAlias = str | int | float | bool | None

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_WHOLE = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,4})?"
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""What the library makes of an escape, and neither UTF-8 nor a database takes."""
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Place(msgspec.Struct, frozen=True):
    """Where a node begins: line and column from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """One value; `text` is as written but for quotes, folding and escapes."""

    place: Place
    value: Value
    text: str
    style: str


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    place: Place
    items: tuple["Node", ...]


class Mapping(msgspec.Struct, frozen=True):
    """Keys and values, in the order in which they are written."""

    place: Place
    items: tuple[tuple[Scalar, "Node"], ...]


Node: TypeAlias = Scalar | Sequence | Mapping


class Document:
    """One file's text and tree.

    Args:
        text: the whole file.
        path: how messages call it.

    Raises:
        SpecError: it is not YAML, or more of YAML than we take.
    """

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self._lines = LINE_BREAK.split(text)
        if len(text) > LONGEST_TEXT:
            raise SpecError(f"larger than {LONGEST_TEXT} characters", path=path)
        self.root = self._read(text)

    def error(self, message: str, node: Node, *, offset: int = 0) -> SpecError:
        """Make the error for a place in a node.

        Args:
            message: what is wrong and what to do.
            node: where it is.
            offset: for a scalar, characters into its text.
        """
        place = self._within(node, offset) if isinstance(node, Scalar) else node.place
        return self._error(message, place)

    def _error(self, message: str, place: Place) -> SpecError:
        inside = 0 < place.line <= len(self._lines)
        source = self._lines[place.line - 1].rstrip() if inside else ""
        if len(source) > LONGEST_SHOWN:
            source = ""
        return SpecError(
            message, path=self.path, line=place.line, column=place.column, source=source
        )

    def _within(self, node: Scalar, offset: int) -> Place:
        """Find a scalar's character in the file; its beginning where that is not plain to see."""
        offset = min(offset, len(node.text))
        # Of text in quotes such a character may be an escape: it ended no line.
        breaks = [each.end() for each in LINE_BREAK.finditer(node.text)]
        row = sum(end <= offset for end in breaks)
        line = node.place.line + row + (1 if node.style in ("|", ">") else 0)
        row_text = LINE_BREAK.split(node.text)[row]
        at = offset - (breaks[row - 1] if row else 0)
        if not 0 < line <= len(self._lines):
            return node.place
        start = node.place.column - 1 if line == node.place.line else 0
        found = self._lines[line - 1].find(row_text, start) if row_text else -1
        return Place(line, found + at + 1) if found >= 0 else node.place

    def _read(self, text: str) -> Node | None:
        try:
            loader = yaml.SafeLoader(text)
            # Events, not nodes: the library's composer recurses, and follows aliases.
            builder = _Builder(self._error)
            try:
                while loader.check_event():
                    builder.take(loader.get_event())  # type: ignore[no-untyped-call]
            except (ValueError, OverflowError):  # the library's own, of an escape
                here = loader.get_mark()
                place = Place(here.line + 1, here.column + 1)
                raise self._error("an escape that is no character", place) from None
        except yaml.reader.ReaderError as error:
            before = LINE_BREAK.split(text[: error.position])
            line, column = len(before), len(before[-1]) + 1
            # The line is not shown: it holds what a terminal should not see.
            raise SpecError(
                "a character that YAML does not allow", path=self.path, line=line, column=column
            ) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"not YAML: {_plainly(error.problem or error.context or 'cannot be read')}"
            if mark is None:
                raise SpecError(message, path=self.path) from None
            raise self._error(message, Place(mark.line + 1, mark.column + 1)) from None
        return builder.root


_SAID_PLAINLY = {
    "expected <block end>": "the indentation does not fit the lines above",
    "mapping values are not allowed here": (
        "a ':' too many, or the indentation does not fit: put text with ': ' in quotes"
    ),
    "found character '\\t'": "a tab: indent with spaces",
    "could not find expected ':'": "a key without ':', or the indentation does not fit",
    "found character '@'": "text that begins with '@' needs quotes",
    "found character '`'": "text that begins with '`' needs quotes",
    "found unexpected end of stream": "a quote or bracket is never closed",
    "expected ',' or ']'": "a list's ',' or ']' is missing",
    "expected ',' or '}'": "a ',' or '}' is missing",
}
"""What the library says, and what a person can do about it."""


def _plainly(problem: str) -> str:
    for begin, said in _SAID_PLAINLY.items():
        if problem.startswith(begin):
            return said
    return problem


_MakeError: TypeAlias = Callable[[str, Place], SpecError]


class _Open(msgspec.Struct):
    """A list or mapping whose end has not come."""

    place: Place
    is_mapping: bool
    items: list[Node] = []
    keys: dict[str, int] = {}


class _Builder:
    """Puts events together to a tree."""

    def __init__(self, error: _MakeError) -> None:
        self.root: Node | None = None
        self._error = error
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse("a second document ('---') in one file: make it another file", place)
        elif isinstance(event, yaml.AliasEvent):
            self._refuse("an alias ('*name'): write it out", place)
        elif isinstance(event, yaml.ScalarEvent):
            self._no_tag(event.tag, place)
            self._add(self._scalar(event, place), place)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._no_tag(event.tag, place)
            if len(self._open) >= DEEPEST:
                self._refuse(f"nested deeper than {DEEPEST}", place)
            self._open.append(_Open(place, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close()

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        style = event.style or ""
        odd = _NO_TEXT.search(event.value)
        if odd is not None:
            self._refuse(f"the escape of U+{ord(odd[0]):04X}, which no message can hold", place)
        if style or event.tag == "!":
            return Scalar(place, event.value, event.value, style)
        return Scalar(place, self._plain(event.value, place), event.value, "")

    def _plain(self, text: str, place: Place) -> Value:
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text):
            return True
        if _FALSE.fullmatch(text):
            return False
        if _WHOLE.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _NUMBER.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
            self._refuse(f"{text} is too large", place)
        if _NOT_FINITE.fullmatch(text):
            self._refuse(f"{text} is not a number we can use", place)
        return text

    def _add(self, node: Node, place: Place) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if parent.is_mapping and len(parent.items) % 2 == 0:
            if not isinstance(node, Scalar):
                self._refuse("a key must be one word", place)
            first = parent.keys.get(node.text)
            if first is not None:
                self._refuse(f"key {node.text!r} is given twice (first in line {first})", place)
            parent.keys[node.text] = place.line
        parent.items.append(node)

    def _close(self) -> None:
        done = self._open.pop()
        if done.is_mapping:
            self._add(Mapping(done.place, tuple(_pairs(done.items))), done.place)
        else:
            self._add(Sequence(done.place, tuple(done.items)), done.place)

    def _no_tag(self, tag: str | None, place: Place) -> None:
        if tag not in (None, "!"):
            self._refuse(f"a tag ({tag}): leave it out", place)

    def _refuse(self, message: str, place: Place) -> NoReturn:
        raise self._error(message, place)


def _pairs(items: list[Node]) -> Iterator[tuple[Scalar, Node]]:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, Scalar):  # `_add` has seen to it
            yield key, value
