"""A spec with one threshold changed: what would it have done then."""

import msgspec

from filters.grammar import LONGEST_CANONICAL, parse
from filters.relations import GrammarError
from filters.specs import Spec
from filters.trees import (
    All,
    AnyOf,
    Comparison,
    Crossing,
    Leaf,
    Move,
    Not,
    Tree,
    all_of,
    any_of,
    leaves,
    not_of,
    print_tree,
)
from indicators.spelling import nearest


class VariationError(ValueError):
    """A part of a condition that cannot take the place of another one; lower case, no full stop."""


def vary(spec: Spec, text: str) -> Spec:
    """Return a spec in which one part of its conditions has another threshold.

    The part that is replaced has the same field and the same operator; a crossing the same
    direction; a move the same direction and window.

    Args:
        spec: as it is.
        text: the part as it is to be, `"rsi(14) < 28"`.

    Raises:
        VariationError: it is no such part, or the spec has none like it, or several.

    Example:
        >>> from filters.specs import Source
        >>> source = Source(stream="bar", symbols=("BTC-USDT",), interval="1m")
        >>> spec = Spec(id="dip", source=source, when="rsi(14) < 30 and volume > 5")
        >>> vary(spec, "rsi < 28").when
        'rsi(14) < 28 and volume > 5'
    """
    try:
        tree = parse(text, spec.source.stream)
    except GrammarError as error:
        raise VariationError(f"{text!r}: {error.message}") from None
    if isinstance(tree, All | AnyOf | Not):
        raise VariationError(f"{text!r}: expected one comparison such as 'rsi(14) < 28'")
    conditions = {name: getattr(spec, name) for name in ("when", "until") if getattr(spec, name)}
    trees = {
        name: parse(condition, spec.source.stream, longest=LONGEST_CANONICAL)
        for name, condition in conditions.items()
    }
    parts = [part for each in trees.values() for part in leaves(each)]
    alike = [part for part in parts if _sort(part) == _sort(tree)]
    if not alike:
        there = [print_tree(part) for part in parts]
        near = nearest(print_tree(tree), there)
        hint = f"did you mean {near!r}?" if near is not None else f"there is {', '.join(there)}"
        raise VariationError(
            f"{text!r}: {spec.id!r} has no part of this field and operator; {hint}"
        )
    if len(set(alike)) > 1:
        several = " and ".join(repr(print_tree(part)) for part in dict.fromkeys(alike))
        raise VariationError(f"{text!r}: {spec.id!r} has several such parts: {several}")
    changed = {name: print_tree(_put(each, alike[0], tree)) for name, each in trees.items()}
    return msgspec.structs.replace(spec, **changed)


def _sort(leaf: Leaf) -> tuple[object, ...]:
    """Return what two parts must have in common for one to take the other's place."""
    match leaf:
        case Comparison():
            return ("comparison", leaf.field, leaf.op)
        case Crossing():
            return ("crossing", leaf.field, leaf.direction)
        case Move():
            return ("move", leaf.field, leaf.percent > 0, leaf.is_strict, leaf.time, leaf.bars)


def _put(tree: Tree, old: Leaf, new: Leaf) -> Tree:
    match tree:
        case Comparison() | Crossing() | Move():
            return new if tree == old else tree
        case Not(of=inner):
            return not_of(_put(inner, old, new))
        case All(of=parts):
            return all_of([_put(part, old, new) for part in parts])
        case AnyOf(of=parts):
            return any_of([_put(part, old, new) for part in parts])
