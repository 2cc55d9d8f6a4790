"""Conditions as we keep them: trees of comparisons, crossings and moves, and their text.

The text of a tree (`print_tree`) is canonical: `filters.grammar` reads it back to the same tree, so
that a spec is plain data.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from market.intervals import SECOND

Operator: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
Direction: TypeAlias = Literal["crosses_above", "crosses_below"]

OPERATORS: dict[str, Operator] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "==": "==",
    "!=": "!=",
}
MIRRORED: dict[Operator, Operator] = {
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
    "==": "==",
    "!=": "!=",
}
UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}


class Comparison(msgspec.Struct, frozen=True):
    """A field against a number or another field; a field by its canonical name."""

    field: str
    op: Operator
    operand: float | str


class Crossing(msgspec.Struct, frozen=True):
    """A field comes out on the other side of a number or of another field, at this moment."""

    field: str
    direction: Direction
    operand: float | str


class Move(msgspec.Struct, frozen=True):
    """A field has risen or fallen by so much within a time, or within so many bars.

    Attributes:
        field: canonical name.
        percent: above 0 for a rise from the lowest value of the window, below 0 for a fall from the
            highest.
        is_strict: more than that, and not that much or more.
        time: length of the window, ns; 0 where it is counted in bars.
        bars: length of the window in bars; 0 where it is a time.
    """

    field: str
    percent: float
    is_strict: bool = False
    time: int = 0
    bars: int = 0


class All(msgspec.Struct, frozen=True):
    """Two or more trees, none of them an `All`; true when every one is."""

    of: tuple["Tree", ...]


class AnyOf(msgspec.Struct, frozen=True):
    """Two or more trees, none of them an `AnyOf`; true when one is."""

    of: tuple["Tree", ...]


class Not(msgspec.Struct, frozen=True):
    """A tree, not itself a `Not`; true when it is false."""

    of: "Tree"


Leaf: TypeAlias = Comparison | Crossing | Move
Remembering: TypeAlias = Crossing | Move
"""Leaves that depend on earlier moments."""
Tree: TypeAlias = Comparison | Crossing | Move | All | AnyOf | Not


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


def leaves(tree: Tree) -> list[Leaf]:
    """Return the leaves of a tree, in the order they are written."""
    match tree:
        case Comparison() | Crossing() | Move():
            return [tree]
        case Not(of=inner):
            return leaves(inner)
        case All(of=parts) | AnyOf(of=parts):
            return [found for part in parts for found in leaves(part)]


def fields_of(leaf: Leaf) -> tuple[str, ...]:
    """Return the canonical names of the one or two fields of a leaf."""
    if isinstance(leaf, Move) or not isinstance(leaf.operand, str):
        return (leaf.field,)
    return leaf.field, leaf.operand


def depth_of(tree: Tree) -> int:
    """Return how many trees stand in each other at most; 1 for a leaf."""
    match tree:
        case Not(of=inner):
            return 1 + depth_of(inner)
        case All(of=parts) | AnyOf(of=parts):
            return 1 + max(map(depth_of, parts))
        case _:
            return 1


def number_text(value: float) -> str:
    """Return the shortest text that reads back as this number."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def duration_text(ns: int) -> str:
    """Return a duration in its largest whole unit, as specs write it: `"15m"`."""
    for unit, length in reversed(UNITS.items()):
        if ns and ns % length == 0:
            return f"{ns // length}{unit}"
    return f"{ns // SECOND}s"


def window_text(move: Move) -> str:
    """Return the window of a move: `"5m"` or `"3 bars"`."""
    if move.bars:
        return f"{move.bars} bar{'' if move.bars == 1 else 's'}"
    return duration_text(move.time)


def print_tree(tree: Tree) -> str:
    """Return the canonical text of a tree: reading it gives the same tree again."""
    match tree:
        case Comparison(field=field, op=op, operand=operand):
            return f"{field} {op} {_operand(operand)}"
        case Crossing(field=field, direction=direction, operand=operand):
            return f"{field} {direction} {_operand(operand)}"
        case Move():
            sign = (">" if tree.percent > 0 else "<") + ("" if tree.is_strict else "=")
            return (
                f"{tree.field} changes_by_pct {sign} {number_text(tree.percent)}"
                f" within {window_text(tree)}"
            )
        case Not(of=inner):
            return f"not ({print_tree(inner)})"
        case All(of=parts):
            return " and ".join(_print_part(part) for part in parts)
        case AnyOf(of=parts):
            return " or ".join(_print_part(part) for part in parts)


def _operand(operand: float | str) -> str:
    return operand if isinstance(operand, str) else number_text(operand)


def _print_part(tree: Tree) -> str:
    return f"({print_tree(tree)})" if isinstance(tree, All | AnyOf) else print_tree(tree)
