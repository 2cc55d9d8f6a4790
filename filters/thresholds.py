"""Comparisons that have only one answer, and conditions that contradict themselves."""

from collections.abc import Iterator

import msgspec

from filters import fields
from filters.trees import (
    All,
    AnyOf,
    Comparison,
    Crossing,
    Move,
    Not,
    Operator,
    Tree,
    number_text,
)


def impossible(field: str, op: Operator, threshold: float) -> str:
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
    shown = f"'{field} {op} {number_text(threshold)}'"
    return f"{bounds(field)}: {shown} is {'always' if always else 'never'} true"


def never_crossed(field: str, threshold: float) -> str:
    """Say that a field cannot be on both sides of a number, or nothing."""
    least, most = fields.range_of(field)
    outside = (least is not None and threshold <= least) or (most is not None and threshold >= most)
    return f"{bounds(field)}: it never crosses {number_text(threshold)}" if outside else ""


def bounds(field: str) -> str:
    """Say between which values a field lies; it has a bound."""
    least, most = fields.range_of(field)
    if most is None:
        return f"{field!r} is never below {number_text(least or 0.0)}"
    return f"{field!r} lies between {number_text(least or 0.0)} and {number_text(most)}"


class _Span(msgspec.Struct):
    """The values of a field that some comparisons leave."""

    least: float = float("-inf")
    most: float = float("inf")
    is_above: bool = False
    is_below: bool = False
    texts: list[str] = []

    def take(self, comparison: Comparison, limit: float) -> None:
        """Leave what this comparison does, too."""
        is_strict = comparison.op in ("<", ">")
        if comparison.op in (">", ">=", "==") and limit >= self.least:
            self.is_above = is_strict or (limit == self.least and self.is_above)
            self.least = limit
        if comparison.op in ("<", "<=", "==") and limit <= self.most:
            self.is_below = is_strict or (limit == self.most and self.is_below)
            self.most = limit
        self.texts = [*self.texts, f"{comparison.op} {number_text(limit)}"]

    @property
    def is_empty(self) -> bool:
        """Whether no value is left."""
        is_open = self.is_above or self.is_below
        return self.least > self.most or (self.least == self.most and is_open)


def contradictions(tree: Tree) -> Iterator[str]:
    """Say which parts of a condition can never be true, because they ask for two things at once.

    Example:
        >>> from filters.grammar import parse
        >>> list(contradictions(parse("rsi < 30 and rsi > 70", "bar")))
        ["'rsi(14)' cannot be < 30 and > 70 at once: the condition is never true"]
    """
    match tree:
        case All(of=parts):
            spans: dict[str, _Span] = {}
            for part in parts:
                if isinstance(part, Comparison) and not isinstance(part.operand, str):
                    spans.setdefault(part.field, _Span()).take(part, part.operand)
            for field, span in spans.items():
                if span.is_empty:
                    wanted = " and ".join(span.texts)
                    yield f"{field!r} cannot be {wanted} at once: the condition is never true"
            yield from (found for part in parts for found in contradictions(part))
        case AnyOf(of=parts):
            yield from (found for part in parts for found in contradictions(part))
        case Not(of=inner):
            yield from contradictions(inner)
        case Comparison() | Crossing() | Move():
            return
