"""Conditions as people write them.

    condition   = conjunction, { "or", conjunction } ;
    conjunction = term, { "and", term } ;
    term        = "not", term | "(", condition, ")" | defined | relation ;
    relation    = comparison | between | among | crossing | move ;
    comparison  = operand, operator, operand, { operator, operand } ;
    operator    = "<" | "<=" | ">" | ">=" | "==" | "!=" ;
    between     = operand, "between", operand, "and", operand ;
    among       = operand, "in", "(", operand, { ",", operand }, ")" ;
    crossing    = operand, crosses, operand ;
    crosses     = "crosses_above" | "crosses_below" | "crosses" ;
    move        = operand, changes, operator, number, "within", window ;
    changes     = "changes_by_pct" | "moves_by_pct" ;
    window      = number, ( "s" | "m" | "h" | "d" | "bars" ) ;
    operand     = [ "+" | "-" ], number | field, [ "@", place ] ;

A field is a name of `filters.fields`, a place one of `filters.places`, and what is defined a name
that the file gives to a condition. `20 < rsi(14) < 30` means both of its comparisons. There is no
arithmetic, no text and no other call: what this parser does not know cannot be said. Conditions
are kept as trees (`filters.trees`) and travel as their canonical text. This file is long because
one descent reads all of it, and says at each place what was expected there.
"""

import math
import re
from collections.abc import Mapping

import msgspec

from filters import fields
from filters.fields import WORDS, FieldError, Stream
from filters.places import SUFFIX, Place
from filters.relations import (
    CROSSINGS,
    MOVES,
    WINDOW,
    GrammarError,
    Operand,
    among,
    between,
    compare,
    crossing,
    move,
    parse_window,
)
from filters.trees import OPERATORS, Operator, Tree, all_of, any_of, leaves, not_of
from indicators.spelling import did_you_mean

LONGEST_TEXT = 1000
LONGEST_CANONICAL = 20_000
"""Characters of a whole condition, put together of all its parts."""
DEEPEST = 20
MOST_COMPARISONS = 64
LONGEST_NUMBER = 40
RELATIONS = ("between", "in", *CROSSINGS, *MOVES)
RESERVED = ("and", "or", "not", "within", "bars", "bar", *RELATIONS)
"""Words that no condition may be named by."""

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
    "above": ">",
    "below": "<",
    "over": ">",
    "under": "<",
    "is": "==",
    "equals": "==",
    "crossover": "crosses_above",
    "crossunder": "crosses_below",
    "cross": "crosses",
    "cross_above": "crosses_above",
    "cross_below": "crosses_below",
    "crosses_over": "crosses_above",
    "crosses_under": "crosses_below",
    "changes": "changes_by_pct",
    "moves": "moves_by_pct",
}
_KEYWORDS = ("and", "or", "not")
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_OPENED = re.compile(r"[ \t]*\(")
_PARENTHESIS = re.compile(r"[()]")
_OUTPUT = re.compile(r"(?:\.\w*)?", re.ASCII)
_THOUSANDS = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
_SIGNS = re.compile(r"[<>=!&|~*/%^+\-]+|.", re.DOTALL)


class Named(msgspec.Struct, frozen=True):
    """What a file has given names to, for one stream.

    Attributes:
        trees: conditions by name.
        wrong: names whose condition cannot be read for this stream, and why.
        else_unknown: what is said of a name that is neither here nor a field; empty for nothing.
    """

    trees: Mapping[str, Tree] = {}
    wrong: Mapping[str, str] = {}
    else_unknown: str = ""


NOTHING_NAMED = Named()
HERE = Place()


def parse(
    text: str,
    stream: Stream,
    *,
    named: Named = NOTHING_NAMED,
    place: Place = HERE,
    longest: int = LONGEST_TEXT,
) -> Tree:
    """Read a condition in its short form.

    Args:
        text: what was written.
        stream: whose fields it may name.
        named: conditions that may stand by their names.
        place: where its fields are read that name no place.
        longest: characters that are taken.

    Raises:
        GrammarError: it is none, or compares what cannot be compared.

    Example:
        >>> from filters.trees import print_tree
        >>> print_tree(parse("20 < rsi <= 30 or not volume > 1e3", "bar"))
        '(rsi(14) > 20 and rsi(14) <= 30) or not (volume > 1000)'
    """
    if len(text) > longest:
        raise GrammarError(f"a condition of more than {longest} characters")
    return _Parser(text, stream, named, place).whole()


def parse_operand(
    text: str, stream: Stream, *, place: Place = HERE, beside: Operand | None = None
) -> Operand:
    """Read a field or a number that stands alone.

    Args:
        text: what was written.
        stream: whose field it may be.
        place: where it is read if it names no place.
        beside: what it is compared with, for the message when it is wrong.

    Raises:
        GrammarError: it is neither.
    """
    if len(text) > LONGEST_TEXT:
        raise GrammarError(f"a name of more than {LONGEST_TEXT} characters")
    return _Parser(text, stream, NOTHING_NAMED, place).operand_alone(beside)


class _Parser:
    """Recursive descent over one text; `_at` is where it has come to."""

    def __init__(self, text: str, stream: Stream, named: Named, place: Place) -> None:
        self._text = text
        self._stream = stream
        self._named = named
        self._place = place
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

    def operand_alone(self, beside: Operand | None) -> Operand:
        self._skip()
        operand = self._operand(beside)
        if self._at < len(self._text):
            raise self._unexpected("a field alone")
        return operand

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
            tree = self._defined() or self._relation()
        self._depth -= 1
        return tree

    def _defined(self) -> Tree | None:
        found = _WORD.match(self._text, self._at)
        if found is None or not (found[0] in self._named.trees or found[0] in self._named.wrong):
            return None
        if found[0] in self._named.wrong:
            raise GrammarError(
                f"{found[0]!r} cannot be used with `stream: {self._stream}`:"
                f" {self._named.wrong[found[0]]}",
                offset=self._at,
            )
        tree = self._named.trees[found[0]]
        self._counted(len(leaves(tree)), self._at)
        if self._place != HERE:
            raise GrammarError(
                f"{found[0]!r} is a condition of its own: write '@{self._place.text[1:]}' behind"
                " its fields instead",
                offset=self._at,
            )
        self._move(found.end())
        return tree

    def _relation(self) -> Tree:
        left = self._operand()
        found = _WORD.match(self._text, self._at)
        word = "" if found is None else found[0]
        if found is not None and word in RELATIONS:
            self._counted(2, left.start)
            self._move(found.end())
            if word == "between":
                return self._between(left)
            if word == "in":
                return self._among(left)
            if word in CROSSINGS:
                return self._crossing(left, word)
            return self._movement(left, word)
        return self._comparison(left)

    def _comparison(self, left: Operand) -> Tree:
        first = left
        found: list[Tree] = []
        while True:
            operator = self._operator()
            if operator is None:
                break
            right = self._operand(left)
            self._counted(1, left.start)
            found.append(compare(left, operator, right))
            left = right
        if not found:
            raise self._unexpected(
                f"a comparison after {first.shown!r}, such as '<' and a number", after=True
            )
        return all_of(found)

    def _between(self, middle: Operand) -> Tree:
        low = self._operand()
        if not self._keyword("and"):
            raise self._unexpected("'and' and the greater of two numbers")
        return between(middle, low, self._operand())

    def _among(self, left: Operand) -> Tree:
        opened = self._text[self._at : self._at + 1]
        if opened not in ("(", "["):
            raise self._unexpected("'(' and numbers with ',' between")
        self._move(self._at + 1)
        choices = [self._operand(left)]
        while self._text.startswith(",", self._at):
            self._move(self._at + 1)
            self._counted(1, self._at)
            choices.append(self._operand(left))
        if not self._text.startswith(")" if opened == "(" else "]", self._at):
            raise self._unexpected(f"',' or {')' if opened == '(' else ']'!r}")
        self._move(self._at + 1)
        return among(left, choices)

    def _crossing(self, left: Operand, word: str) -> Tree:
        found = _WORD.match(self._text, self._at)
        if word == "crosses" and found is not None and found[0] in ("above", "below"):
            raise GrammarError(
                f"'crosses {found[0]}': did you mean 'crosses_{found[0]}'?", offset=self._at
            )
        return crossing(left, word, self._operand())

    def _movement(self, left: Operand, word: str) -> Tree:
        at = self._at
        operator = self._operator()
        if operator is None:
            raise GrammarError(f"{word}: write how far, as in '{word} >= 2'", offset=at)
        percent = self._operand()
        if not self._keyword("within"):
            raise self._unexpected("'within' and a time, such as 'within 5m'")
        found = WINDOW.match(self._text, self._at)
        try:
            window = parse_window("" if found is None else found[0], self._stream)
        except GrammarError as error:
            raise GrammarError(error.message, offset=self._at) from None
        if found is not None:
            self._move(found.end())
        return move(left, word, operator, percent, window)

    def _counted(self, more: int, offset: int) -> None:
        self._count += more
        if self._count > MOST_COMPARISONS:
            raise GrammarError(f"more than {MOST_COMPARISONS} comparisons", offset=offset)

    def _operator(self) -> Operator | None:
        if not self._text[self._at : self._at + 1] or self._text[self._at] not in "<>=!":
            return None
        start = self._at
        signs = _SIGNS.match(self._text, start)
        written = signs[0].rstrip("+-") if signs else ""
        operator = OPERATORS.get(written)
        if operator is None:
            meant = _MEANT.get(written)
            hint = f"; did you mean {meant!r}?" if meant else f": use one of {' '.join(OPERATORS)}"
            raise GrammarError(f"{written!r} is no comparison{hint}", offset=start)
        self._move(start + len(written))
        return operator

    def _operand(self, beside: Operand | None = None) -> Operand:
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
        place = SUFFIX.match(self._text, end)
        if place is not None:
            end = place.end()
        written = self._text[start:end]
        if self._stream == "trade" and written in WORDS:
            self._move(end)
            return Operand(WORDS[written], start, written)
        try:
            name = fields.resolve(written, self._stream)
        except FieldError as error:
            is_side = self._stream == "trade" and beside is not None and beside.value == "side"
            message = (
                f"a side is {' or '.join(WORDS)}, not {written!r}"
                if is_side
                else self._or_defined(error, written)
            )
            raise GrammarError(message, offset=start + error.offset) from None
        self._move(end)
        if place is None and self._place != HERE:
            name += self._place.text
        return Operand(name, start, written)

    def _or_defined(self, error: FieldError, written: str) -> str:
        """Return an error's message, with the defined name that may have been meant."""
        if "did you mean" in error.message:
            return error.message
        near = did_you_mean(written, self._named.trees)
        if not near and written.isidentifier():
            return error.message + self._named.else_unknown
        return error.message + near

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

    def _number(self, start: int, text: str, end: int, *, negative: bool) -> Operand:
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
        return Operand(-value if negative and value else value, start, self._text[start:end])

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

    def _unexpected(self, expected: str, *, after: bool = False) -> GrammarError:
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
        if shown == "," and _THOUSANDS.match(self._text, max(at - 1, 0)):
            return GrammarError("a number has no commas: write '70000' for '70,000'", offset=at)
        if shown[0] in "'\"":
            return GrammarError(
                "text in quotes: fields are numbers and compare with numbers", offset=at
            )
        if shown == "@":
            return GrammarError(
                "'@' needs a symbol or the length of other bars right behind it: '@BTC-USDT@15m'",
                offset=at,
            )
        hint = did_you_mean(shown, RELATIONS) if after else ""
        return GrammarError(f"expected {expected}, found {shown!r}{hint}", offset=at)
