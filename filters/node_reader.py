"""Reading a tree of YAML nodes while collecting what is wrong with it.

What cannot be made raises `WrongError` after its fault has been reported; `attempt` turns that
into None, so that reading goes on with the next part.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from filters.yaml_nodes import Document, Mapping, Node, Scalar, Sequence
from indicators.spelling import did_you_mean
from market.errors import SpecError

_T = TypeVar("_T")
_SHOWN = 80


class WrongError(Exception):
    """Something has been reported, and what it is part of cannot be made."""


class NodeReader:
    """Reads nodes of one document.

    Args:
        document: where they stand.
        errors: gets what is wrong.
        warnings: gets what may be wrong.
    """

    def __init__(
        self,
        document: Document,
        errors: list[SpecError],
        warnings: list[SpecError] | None = None,
    ) -> None:
        self._document = document
        self._errors = errors
        self._warnings = [] if warnings is None else warnings
        self._apart: list[tuple[str, Node, int]] | None = None

    @property
    def error_count(self) -> int:
        """Errors so far, of all documents that share the list."""
        return len(self._errors)

    def report(self, message: str, node: Node, *, offset: int = 0) -> None:
        """Note what is wrong, `offset` characters into a scalar, and go on."""
        if self._apart is not None:
            self._apart.append((message, node, offset))
            return
        self._errors.append(self._document.error(message, node, offset=offset))

    def take(self, error: SpecError) -> None:
        """Note what is wrong with the document as a whole."""
        self._errors.append(error)

    def warn(self, message: str, node: Node, *, offset: int = 0) -> None:
        """Note what may be wrong, and go on."""
        self._warnings.append(self._document.error(message, node, offset=offset))

    @contextmanager
    def kept_apart(self, found: list[tuple[str, Node, int]]) -> Iterator[None]:
        """Let what is reported meanwhile go to `found` and not to the errors."""
        before, self._apart = self._apart, found
        try:
            yield
        finally:
            self._apart = before

    def wrong(self, message: str, node: Node, *, offset: int = 0) -> WrongError:
        """Note what is wrong and return what to raise."""
        self.report(message, node, offset=offset)
        return WrongError()

    def attempt(self, read: Callable[[Node], _T], node: Node) -> _T | None:
        """Return what `read` makes of a node, or None when that is reported as wrong."""
        try:
            return read(node)
        except WrongError:
            return None

    def mapping(self, node: Node, known: tuple[str, ...], what: str) -> dict[str, Node]:
        """Return a mapping's values by key; keys that are not known are reported."""
        if not isinstance(node, Mapping):
            raise self.wrong(f"{what} is written as keys and values: {', '.join(known)}", node)
        found: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in known:
                found[key.text] = value
            else:
                hint = did_you_mean(key.text, known) or f" (there are {', '.join(known)})"
                self.report(f"unknown key {shown(key.text)}{hint}", key)
        return found

    def required(
        self,
        keys: dict[str, Node],
        key: str,
        read: Callable[[Node], _T],
        *,
        parent: Node,
        why: str,
    ) -> _T | None:
        """Return what `read` makes of a key's value; report when the key is missing."""
        node = keys.get(key)
        if node is None:
            self.report(f"key {key!r} is missing: {why}", parent)
            return None
        return self.attempt(read, node)

    def optional(self, keys: dict[str, Node], key: str, read: Callable[[Node], _T]) -> _T | None:
        """Return what `read` makes of a key's value, or None when the key is missing."""
        node = keys.get(key)
        return None if node is None else self.attempt(read, node)

    def names(self, node: Node, key: str, read: Callable[[Node], str]) -> tuple[str, ...]:
        """Return a list's texts, each once; one text alone is a list of one."""
        items: tuple[Node, ...] = ()
        if isinstance(node, Scalar):
            items = (node,)
        elif isinstance(node, Sequence):
            items = node.items
        if not items:
            raise self.wrong(f"{key}: expected a list with one or more names", node)
        made = [self.attempt(read, item) for item in items]
        return tuple(dict.fromkeys(each for each in made if each is not None))

    def one_of(self, node: Node, key: str, known: Iterable[_T]) -> _T:
        """Return the known word that a node says."""
        text = self.text(node, key)
        words = {str(each): each for each in known}
        if text not in words:
            listed = ", ".join(words)
            near = did_you_mean(text, words)
            hint = f"{near} (there are {listed})" if near else f": expected one of {listed}"
            raise self.wrong(f"{key} {shown(text)}{hint}", node)
        return words[text]

    def text(self, node: Node, key: str) -> str:
        """Return a scalar's text; a number or a truth value is reported."""
        if isinstance(node, Scalar):
            if isinstance(node.value, str) and node.value.strip():
                return node.value
            if node.value is not None and node.text.strip():
                raise self.wrong(
                    f"{key}: expected text: write '{node.text[:_SHOWN]}' in quotes", node
                )
        raise self.wrong(f"{key}: expected text", node)


def shown(text: str) -> str:
    """Return what a person wrote, in quotes and cut where it is long."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
