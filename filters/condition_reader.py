"""Conditions as nodes: lists and keys, the short form, the long form, and named ones.

when:
  any:
    - rsi(14) < 30 and oversold             # short form; `oversold` is defined in the file
    - {field: close, op: crosses_above, value: 70000}     # long form
    - BTC-USDT@15m: rsi(14) < 30            # of other bars
    - not: close > ema(50)
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from filters import grammar, relations
from filters.compile import compile_condition
from filters.fields import STREAMS, Stream
from filters.grammar import DEEPEST, HERE, LONGEST_CANONICAL, RESERVED, Named
from filters.node_reader import NodeReader, WrongError, shown
from filters.places import Place, PlaceError, parse_place
from filters.relations import CROSSINGS, MOVES, GrammarError, Operand
from filters.trees import OPERATORS, Operator, Tree, all_of, any_of, depth_of, not_of, print_tree
from filters.yaml_nodes import Mapping as MappingNode
from filters.yaml_nodes import Node, Scalar, Sequence
from indicators.spelling import did_you_mean

MOST_NESTED = 20
JOINS = ("all", "any", "not")
LONG_KEYS = ("field", "op", "value", "within")
WORDS: dict[str, Operator] = {
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
    **OPERATORS,
}
_MEANT = {
    "lower": "lt",
    "less": "lt",
    "below": "lt",
    "higher": "gt",
    "greater": "gt",
    "above": "gt",
    "equals": "eq",
    "=": "eq",
    "crosses_over": "crosses_above",
    "crosses_under": "crosses_below",
}
OPS = (*WORDS, "between", "in", *CROSSINGS, *MOVES)

_T = TypeVar("_T")


class ConditionReader:
    """Reads the conditions of one document.

    Args:
        nodes: reads its nodes and collects errors.
        named: conditions that have names already, by stream.
    """

    def __init__(self, nodes: NodeReader, named: Mapping[Stream, Named] | None = None) -> None:
        self._nodes = nodes
        self._named: dict[Stream, Named] = dict(named or {})
        self._lines: dict[str, int] = {}

    @property
    def named(self) -> dict[Stream, Named]:
        """Conditions that have names, by stream."""
        return self._named

    @property
    def lines(self) -> dict[str, int]:
        """The line on which each name that the document gives stands."""
        return self._lines

    def define(self, node: Node) -> None:
        """Take the named conditions of a file; each may use those before it."""
        if not isinstance(node, MappingNode):
            raise self._nodes.wrong("define: expected names and conditions", node)
        for key, value in node.items:
            self._lines.setdefault(key.text, key.place.line)
            if not key.text.isidentifier() or key.text in RESERVED:
                self._nodes.report(
                    f"define {shown(key.text)}: expected a name of letters, digits and _", key
                )
                continue
            is_field = any(self._is_field(key.text, stream) for stream in STREAMS)
            if is_field:
                self._nodes.report(
                    f"define {shown(key.text)}: there is a field of this name: take another", key
                )
                continue
            self._define(key.text, value)

    def when(self, node: Node, stream: Stream, key: str = "when") -> Tree:
        """Return the condition that a node says."""
        tree = self._when(node, stream, 0, HERE, key)
        text = print_tree(tree)
        if len(text) > LONGEST_CANONICAL or depth_of(tree) > DEEPEST:
            raise self._nodes.wrong(f"{key}: too long or too deep: make it two filters", node)
        try:
            compile_condition(text, stream)
        except GrammarError as error:
            raise self._nodes.wrong(f"{key}: {error.message}", node) from None
        return tree

    def _is_field(self, name: str, stream: Stream) -> bool:
        try:
            grammar.parse_operand(name, stream)
        except GrammarError as error:
            return "has several values" in error.message
        return True

    def _define(self, name: str, node: Node) -> None:
        """Read a named condition for every stream; one that no stream understands is wrong."""
        nodes = self._nodes
        failures: dict[Stream, list[tuple[str, Node, int]]] = {}
        for stream in STREAMS:
            named = self._named.get(stream, Named())
            trees, wrong = dict(named.trees), dict(named.wrong)
            found: list[tuple[str, Node, int]] = []
            with nodes.kept_apart(found):
                tree = nodes.attempt(self._reader_of(stream), node)
            if tree is None:
                failures[stream] = found
                wrong[name] = found[0][0]
            else:
                trees[name] = tree
            self._named[stream] = Named(trees, wrong)
        if len(failures) == len(STREAMS):
            # The stream that understands most of it tells best what is wrong.
            best = max(failures.values(), key=lambda found: found[0][2])
            for message, where, offset in best:
                nodes.report(message, where, offset=offset)
            for stream in STREAMS:
                named = self._named[stream]
                wrong = {key: why for key, why in named.wrong.items() if key != name}
                trees = dict(named.trees)
                self._named[stream] = Named(trees, {**wrong, name: "its definition is wrong"})

    def _reader_of(self, stream: Stream) -> Callable[[Node], Tree]:
        return lambda node: self._when(node, stream, 0, HERE, "define")

    def _when(self, node: Node, stream: Stream, depth: int, place: Place, key: str) -> Tree:
        nodes = self._nodes
        if depth > MOST_NESTED:
            raise nodes.wrong(f"{key}: nested deeper than {MOST_NESTED}", node)
        if isinstance(node, Scalar):
            return self._short(node, stream, place, key)
        if isinstance(node, Sequence):
            return all_of(self._conditions(node, stream, depth, place, key))
        if any(each.text in LONG_KEYS for each, _ in node.items):
            return self._long(node, stream, place)
        if len(node.items) != 1:
            self._refuse_keys(node, stream)
            raise nodes.wrong(f"{key}: one of all, any and not at a time: make a list", node)
        word, inner = node.items[0]
        if word.text == "not":
            return not_of(self._when(inner, stream, depth + 1, place, key))
        if word.text not in JOINS:
            other = self._place(word, stream)
            if place != HERE:
                raise nodes.wrong("bars within other bars: name one place only", word)
            return self._when(inner, stream, depth + 1, other, key)
        if not isinstance(inner, Sequence):
            raise nodes.wrong(f"{word.text}: expected a list of conditions", inner)
        join = all_of if word.text == "all" else any_of
        return join(self._conditions(inner, stream, depth, place, key))

    def _refuse_keys(self, node: MappingNode, stream: Stream) -> None:
        for word, _ in node.items:
            if word.text not in JOINS:
                self._place(word, stream)

    def _place(self, word: Scalar, stream: Stream) -> Place:
        nodes = self._nodes
        is_place = "@" in word.text or "-" in word.text or word.text[:1].isdigit()
        if not is_place:
            hint = did_you_mean(word.text, (*JOINS, *LONG_KEYS))
            raise nodes.wrong(
                f"{shown(word.text)}: expected a condition, or all, any or not{hint}", word
            )
        if stream != "bar":
            raise nodes.wrong(
                f"{shown(word.text)}: other bars can only be named with `stream: bar`", word
            )
        lead = 1 if word.text.startswith("@") else 0
        try:
            return parse_place(word.text[lead:].strip())
        except PlaceError as error:
            raise nodes.wrong(error.message, word, offset=lead + error.offset) from None

    def _short(self, node: Scalar, stream: Stream, place: Place, key: str) -> Tree:
        if not isinstance(node.value, str):
            raise self._nodes.wrong(f"{key}: expected a condition such as 'rsi(14) < 30'", node)
        named = self._named.get(stream, Named())
        return self._understood(
            node, lambda: grammar.parse(node.text, stream, named=named, place=place)
        )

    def _long(self, node: MappingNode, stream: Stream, place: Place) -> Tree:
        nodes = self._nodes
        keys = nodes.mapping(node, LONG_KEYS, "a comparison")
        why = "as in '{field: rsi(14), op: lt, value: 30}'"
        field = nodes.required(
            keys,
            "field",
            lambda part: self._operand(part, stream, place, "field"),
            parent=node,
            why=why,
        )
        op = nodes.required(keys, "op", self._op, parent=node, why=why)
        values = nodes.required(
            keys,
            "value",
            lambda part: self._values(part, stream, place, field),
            parent=node,
            why=why,
        )
        window: tuple[int, int] | None = None
        if op in MOVES:
            why = "a time, as in 'within: 5m'"
            window = nodes.required(
                keys, "within", lambda part: self._within(part, stream), parent=node, why=why
            )
        elif op is not None and "within" in keys:
            nodes.report(f"within: {op!r} looks at one moment: leave it out", keys["within"])
        if field is None or op is None or values is None or (op in MOVES and window is None):
            raise WrongError
        asked = {"between": 2}.get(op, 1)
        if len(values) != asked and op != "in":
            expected = "two values: [low, high]" if asked == 2 else "one value"
            raise nodes.wrong(f"value: {op!r} takes {expected}", keys["value"])
        return self._understood(
            keys["value"], lambda: _related(field, op, values, window or (0, 0)), is_whole=True
        )

    def _op(self, node: Node) -> str:
        text = node.text if isinstance(node, Scalar) else ""
        if text in _MEANT:
            raise self._nodes.wrong(f"op {shown(text)}; did you mean {_MEANT[text]!r}?", node)
        return self._nodes.one_of(node, "op", OPS)

    def _operand(
        self,
        node: Node,
        stream: Stream,
        place: Place,
        key: str,
        beside: Operand | None = None,
    ) -> Operand:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or value is None or not str(value).strip():
            raise self._nodes.wrong(f"{key}: expected a number or a field", node)
        if isinstance(value, int | float):
            return Operand(float(value), 0, node.text if isinstance(node, Scalar) else "")
        return self._understood(
            node, lambda: grammar.parse_operand(value, stream, place=place, beside=beside)
        )

    def _values(
        self, node: Node, stream: Stream, place: Place, beside: Operand | None
    ) -> list[Operand]:
        items = node.items if isinstance(node, Sequence) else (node,)
        made = [
            self._nodes.attempt(
                lambda part: self._operand(part, stream, place, "value", beside), item
            )
            for item in items
            if not isinstance(item, tuple)
        ]
        values = [each for each in made if each is not None]
        if len(values) < len(made):
            raise WrongError
        if not values:
            raise self._nodes.wrong("value: expected at least one", node)
        return values

    def _within(self, node: Node, stream: Stream) -> tuple[int, int]:
        text = self._nodes.text(node, "within")
        return self._understood(node, lambda: relations.parse_window(text, stream))

    def _conditions(
        self, node: Sequence, stream: Stream, depth: int, place: Place, key: str
    ) -> list[Tree]:
        if not node.items:
            raise self._nodes.wrong("an empty list: write a condition such as 'close > 1'", node)
        made = [
            self._nodes.attempt(lambda part: self._when(part, stream, depth + 1, place, key), item)
            for item in node.items
        ]
        trees = [tree for tree in made if tree is not None]
        if len(trees) < len(made):
            raise WrongError
        return trees

    def _understood(self, node: Node, read: Callable[[], _T], *, is_whole: bool = False) -> _T:
        """Return what `read` makes, or report what it finds wrong at its place in the node."""
        try:
            return read()
        except GrammarError as error:
            offset = 0 if is_whole else error.offset
            raise self._nodes.wrong(error.message, node, offset=offset) from None


def _related(field: Operand, op: str, values: list[Operand], window: tuple[int, int]) -> Tree:
    if op in WORDS:
        return relations.compare(field, WORDS[op], values[0])
    if op == "between":
        return relations.between(field, values[0], values[1])
    if op == "in":
        return relations.among(field, values)
    if op in CROSSINGS:
        return relations.crossing(field, op, values[0])
    value = values[0].value
    is_fall = isinstance(value, float) and value < 0
    return relations.move(field, op, "<=" if is_fall else ">=", values[0], window)
