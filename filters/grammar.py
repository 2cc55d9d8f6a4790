"""Conditions as people write them, and as we keep them.

    condition  = conjunction, { "or", conjunction } ;
    conjunction = term, { "and", term } ;
    term       = "not", term | "(", condition, ")" | comparison ;
    comparison = operand, operator, operand, { operator, operand } ;
    operator   = "<" | "<=" | ">" | ">=" | "==" | "!=" ;
    operand    = [ "+" | "-" ], number | field ;

A field is a name of `filters.fields`. `20 < rsi(14) < 30` means both of its comparisons. There is
no arithmetic, no text and no other call: what this parser does not know cannot be said. Conditions
are kept as text in canonical form (`print_tree`), so that a spec is plain data.
"""

import math
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from filters import fields
from filters.fields import FieldError, Stream

Operator: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]

LONGEST_TEXT = 1000
DEEPEST = 20
MOST_COMPARISONS = 64
LONGEST_NUMBER = 40

_OPERATORS: dict[str, Operator] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "==": "==",
    "!=": "!=",
}
_MIRRORED: dict[Operator, Operator] = {
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
    "==": "==",
    "!=": "!=",
}
_MEANT = {
    "=": "==",
    "=<": "<=",
    "=>": ">=",
    "<>": "!=",
    "===": "==",
    "!==": "!=",
    "<<": "<",
    ">>": ">",
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "!": "not",
    "~": "not",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
}
_KEYWORDS = ("and", "or", "not")
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_OPENED = re.compile(r"[ \t]*\(")
_PARENTHESIS = re.compile(r"[()]")
_OUTPUT = re.compile(r"(?:\.\w*)?", re.ASCII)
_SIGNS = re.compile(r"[<>=!&|~*/%^+\-]+|.", re.DOTALL)


class GrammarError(ValueError):
    """A condition that cannot be read.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the text, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Comparison(msgspec.Struct, frozen=True):
    """A field against a number or another field; a field by its canonical name."""

    field: str
    op: Operator
    operand: float | str


class All(msgspec.Struct, frozen=True):
    """Two or more trees, none of them an `All`; true when every one is."""

    of: tuple["Tree", ...]


class AnyOf(msgspec.Struct, frozen=True):
    """Two or more trees, none of them an `AnyOf`; true when one is."""

    of: tuple["Tree", ...]


class Not(msgspec.Struct, frozen=True):
    """A tree, not itself a `Not`; true when it is false."""

    of: "Tree"


Tree: TypeAlias = Comparison | All | AnyOf | Not


def all_of(trees: Sequence[Tree]) -> Tree:
    """Join trees that must all be true; at least one."""
    flat = [part for tree in trees for part in (tree.of if isinstance(tree, All) else (tree,))]
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def any_of(trees: Sequence[Tree]) -> Tree:
    """Join trees of which one must be true; at least one."""
    flat = [part for tree in trees for part in (tree.of if isinstance(tree, AnyOf) else (tree,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def not_of(tree: Tree) -> Tree:
    """Return what is true when a tree is false."""
    return tree.of if isinstance(tree, Not) else Not(tree)


def comparisons(tree: Tree) -> list[Comparison]:
    """Return the comparisons of a tree, in the order they are written."""
    match tree:
        case Comparison():
            return [tree]
        case Not(of=inner):
            return comparisons(inner)
        case All(of=parts) | AnyOf(of=parts):
            return [found for part in parts for found in comparisons(part)]


def number_text(value: float) -> str:
    """Return the shortest text that reads back as this number."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def print_tree(tree: Tree) -> str:
    """Return the canonical text of a tree: reading it gives the same tree again."""
    match tree:
        case Comparison(field=field, op=op, operand=operand):
            shown = operand if isinstance(operand, str) else number_text(operand)
            return f"{field} {op} {shown}"
        case Not(of=inner):
            return f"not ({print_tree(inner)})"
        case All(of=parts):
            return " and ".join(_print_part(part) for part in parts)
        case AnyOf(of=parts):
            return " or ".join(_print_part(part) for part in parts)


def _print_part(tree: Tree) -> str:
    return f"({print_tree(tree)})" if isinstance(tree, All | AnyOf) else print_tree(tree)


def parse(text: str, stream: Stream) -> Tree:
    """Read a condition in its short form.

    Raises:
        GrammarError: it is none, or compares what cannot be compared.

    Example:
        >>> print_tree(parse("20 < rsi <= 30 or not volume > 1e3", "bar"))
        '(rsi(14) > 20 and rsi(14) <= 30) or not (volume > 1000)'
    """
    if len(text) > LONGEST_TEXT:
        raise GrammarError(f"a condition of more than {LONGEST_TEXT} characters")
    return _Parser(text, stream).whole()


class _Operand(msgspec.Struct, frozen=True):
    value: float | str
    start: int
    shown: str


class _Parser:
    """Recursive descent over one text; `_at` is where it has come to."""

    def __init__(self, text: str, stream: Stream) -> None:
        self._text = text
        self._stream = stream
        self._at = 0
        self._depth = 0
        self._count = 0

    def whole(self) -> Tree:
        self._skip()
        if self._at == len(self._text):
            raise GrammarError("empty condition: write one such as 'rsi(14) < 30'")
        tree = self._condition()
        if self._at < len(self._text):
            raise self._unexpected("'and', 'or' or the end")
        return tree

    def _condition(self) -> Tree:
        parts = [self._conjunction()]
        while self._keyword("or"):
            parts.append(self._conjunction())
        return any_of(parts)

    def _conjunction(self) -> Tree:
        parts = [self._term()]
        while self._keyword("and"):
            parts.append(self._term())
        return all_of(parts)

    def _term(self) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise GrammarError(f"nested deeper than {DEEPEST}", offset=self._at)
        if self._keyword("not"):
            tree = not_of(self._term())
        elif self._text.startswith("(", self._at):
            opened = self._at
            self._move(self._at + 1)
            tree = self._condition()
            if not self._text.startswith(")", self._at):
                if self._at == len(self._text):
                    raise GrammarError("'(' is never closed", offset=opened)
                raise self._unexpected("'and', 'or' or ')'")
            self._move(self._at + 1)
        else:
            tree = self._comparison()
        self._depth -= 1
        return tree

    def _comparison(self) -> Tree:
        left = self._operand()
        found: list[Tree] = []
        while True:
            operator = self._operator()
            if operator is None:
                break
            right = self._operand()
            found.append(self._compare(left, operator, right))
            left = right
        if not found:
            raise self._unexpected(f"a comparison after {left.shown!r}, such as '<' and a number")
        return all_of(found)

    def _compare(self, left: _Operand, op: Operator, right: _Operand) -> Comparison:
        self._count += 1
        if self._count > MOST_COMPARISONS:
            raise GrammarError(f"more than {MOST_COMPARISONS} comparisons", offset=left.start)
        if not isinstance(left.value, str):
            if not isinstance(right.value, str):
                raise GrammarError(
                    "two numbers are compared: name a field, as in 'rsi(14) < 30'",
                    offset=left.start,
                )
            left, right, op = right, left, _MIRRORED[op]
        field = str(left.value)
        if field == right.value:
            raise GrammarError(f"{field!r} is compared with itself", offset=right.start)
        if not isinstance(right.value, str):
            wrong = _impossible(field, op, right.value)
            if wrong:
                raise GrammarError(wrong, offset=right.start)
        return Comparison(field, op, right.value)

    def _operator(self) -> Operator | None:
        if not self._text[self._at : self._at + 1] or self._text[self._at] not in "<>=!":
            return None
        start = self._at
        signs = _SIGNS.match(self._text, start)
        written = signs[0].rstrip("+-") if signs else ""
        operator = _OPERATORS.get(written)
        if operator is None:
            meant = _MEANT.get(written)
            hint = f"; did you mean {meant!r}?" if meant else f": use one of {' '.join(_OPERATORS)}"
            raise GrammarError(f"{written!r} is no comparison{hint}", offset=start)
        self._move(start + len(written))
        return operator

    def _operand(self) -> _Operand:
        start = self._at
        sign = self._text[start : start + 1]
        if sign in ("+", "-") and sign:
            self._move(start + 1)
        number = _NUMBER.match(self._text, self._at)
        if number is not None:
            return self._number(start, number[0], number.end(), negative=sign == "-")
        if self._at != start:
            raise GrammarError(f"a number must follow {sign!r}", offset=start)
        word = _WORD.match(self._text, start)
        if word is None or word[0] in _KEYWORDS:
            raise self._unexpected("a field or a number")
        end = self._end_of_call(word.end())
        written = self._text[start:end]
        try:
            name = fields.resolve(written, self._stream)
        except FieldError as error:
            raise GrammarError(error.message, offset=start + error.offset) from None
        self._move(end)
        return _Operand(name, start, written)

    def _end_of_call(self, at: int) -> int:
        """Return where a field ends whose word ends at `at`: after its parentheses and output."""
        opened = _OPENED.match(self._text, at)
        if opened is None:
            return at
        depth = 0
        for found in _PARENTHESIS.finditer(self._text, at):
            depth += 1 if found[0] == "(" else -1
            if not depth:
                output = _OUTPUT.match(self._text, found.end())
                return found.end() if output is None else output.end()
        raise GrammarError("'(' is never closed", offset=opened.end() - 1)

    def _number(self, start: int, text: str, end: int, *, negative: bool) -> _Operand:
        if len(text) > LONGEST_NUMBER:
            raise GrammarError(f"a number of more than {LONGEST_NUMBER} digits", offset=start)
        after = self._text[end : end + 1]
        if after == "%":
            raise GrammarError("a number stands alone: leave out '%'", offset=end)
        if after and (after.isalnum() or after in "._"):
            raise GrammarError(f"a number stands alone: {after!r} follows it", offset=end)
        try:
            value = float(text)
        except ValueError:  # underscores in odd places
            raise GrammarError(f"{text!r} is not a number", offset=start) from None
        if not math.isfinite(value):
            raise GrammarError(f"{text!r} is too large", offset=start)
        self._move(end)
        return _Operand(-value if negative and value else value, start, self._text[start:end])

    def _keyword(self, word: str) -> bool:
        found = _WORD.match(self._text, self._at)
        if found is None or found[0] != word:
            return False
        self._move(found.end())
        return True

    def _move(self, at: int) -> None:
        self._at = at
        self._skip()

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        if space is not None:
            self._at = space.end()

    def _unexpected(self, expected: str) -> GrammarError:
        at = self._at
        if at >= len(self._text):
            return GrammarError(f"expected {expected}, found the end", offset=at)
        found = _WORD.match(self._text, at) or _SIGNS.match(self._text, at)
        shown = self._text[at] if found is None else found[0]
        if shown in _MEANT:
            return GrammarError(f"{shown!r}: did you mean {_MEANT[shown]!r}?", offset=at)
        if shown[0] in "*/%^+-":
            return GrammarError(
                f"{shown!r}: a condition compares, it does not calculate", offset=at
            )
        if shown[0] in "'\"":
            return GrammarError(
                "text in quotes: fields are numbers and compare with numbers", offset=at
            )
        return GrammarError(f"expected {expected}, found {shown!r}", offset=at)


def _impossible(field: str, op: Operator, threshold: float) -> str:
    """Say that a comparison has only one answer, or nothing."""
    least, most = fields.range_of(field)
    below = least is not None and threshold < least
    above = most is not None and threshold > most
    at_least, at_most = threshold == least, threshold == most
    always = {
        "<": above,
        "<=": above or at_most,
        ">": below,
        ">=": below or at_least,
        "==": False,
        "!=": above or below,
    }[op]
    never = {
        "<": below or at_least,
        "<=": below,
        ">": above or at_most,
        ">=": above,
        "==": above or below,
        "!=": False,
    }[op]
    if not always and not never:
        return ""
    bounds = (
        f"is never below {number_text(least or 0.0)}"
        if most is None
        else f"lies between {number_text(least or 0.0)} and {number_text(most)}"
    )
    shown = f"'{field} {op} {number_text(threshold)}'"
    return f"{field!r} {bounds}: {shown} is {'always' if always else 'never'} true"
