"""Random conditions and values, and a plain evaluator to hold ours against."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence

from hypothesis import strategies as st

from filters.trees import (
    All,
    AnyOf,
    Comparison,
    Crossing,
    Direction,
    Move,
    Not,
    Operator,
    Tree,
    all_of,
    any_of,
    not_of,
)

UNBOUNDED = [
    "ema(20)",
    "ema(5)@15m",
    "roc(3)@ETH-USDT@1h",
    "change_bps",
    "divergence(rsi(14),3,60).price_1",
]
RANGED = {
    "rsi(14)": (0.0, 100.0),
    "rsi(2)": (0.0, 100.0),
    "book.imbalance(10)": (-1.0, 1.0),
    "crosses(rsi(14),30)": (-1.0, 1.0),
    "zone(crosses(close,ema(20)),-2.5,3).oversold": (-1.0, 1.0),
    "book.count_imbalance(3)": (-1.0, 1.0),
}
NAMES = [*UNBOUNDED, *RANGED]
OPERATORS: list[Operator] = ["<", "<=", ">", ">=", "==", "!="]
COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-1000, 1000).map(float),
).map(lambda number: number + 0.0)  # there is no -0.0


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    field = draw(st.sampled_from(NAMES))
    op = draw(st.sampled_from(OPERATORS))
    if draw(st.booleans()):
        return Comparison(field, op, draw(st.sampled_from([n for n in NAMES if n != field])))
    if field in RANGED:
        least, most = RANGED[field]
        inside = st.floats(least, most, exclude_min=True, exclude_max=True)
        return Comparison(field, op, draw(inside) + 0.0)
    return Comparison(field, op, draw(NUMBERS))


DIRECTIONS: list[Direction] = ["crosses_above", "crosses_below"]
MOVES = st.builds(
    Move,
    st.sampled_from(NAMES),
    st.floats(0.01, 99.0).flatmap(lambda size: st.sampled_from([size, -size])),
    st.booleans(),
    st.sampled_from([0, 5_000_000_000, 3_600_000_000_000]),
).map(lambda move: move if move.time else Move(move.field, move.percent, move.is_strict, 0, 3))


@st.composite
def crossings(draw: st.DrawFn) -> Crossing:
    field = draw(st.sampled_from(NAMES))
    least, most = RANGED.get(field, (-1e9, 1e9))
    number = st.floats(least, most, exclude_min=True, exclude_max=True).map(lambda n: n + 0.0)
    other = st.sampled_from([name for name in NAMES if name != field])
    return Crossing(field, draw(st.sampled_from(DIRECTIONS)), draw(st.one_of(number, other)))


TREES: st.SearchStrategy[Tree] = st.recursive(
    st.one_of(comparisons(), comparisons(), crossings(), MOVES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
        inner.map(not_of),
    ),
    max_leaves=8,
)
VALUES = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(
        st.none(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([0.0, 1.0, -1.0, 50.0]),
    ),
    min_size=4,
)


def names_of(tree: Tree) -> set[str]:
    match tree:
        case Comparison(field=field, operand=operand) | Crossing(field=field, operand=operand):
            return {field, operand} if isinstance(operand, str) else {field}
        case Move(field=field):
            return {field}
        case Not(of=inner):
            return names_of(inner)
        case All(of=parts) | AnyOf(of=parts):
            return set().union(*map(names_of, parts))


def truth(
    tree: Tree, values: Mapping[str, float | None], remembered: Sequence[bool] = ()
) -> bool | None:
    """The definition: unknown when anything is missing, else what the words say.

    `remembered` is what each crossing and move says, in the order they are written.
    """
    known = {name: values.get(name) for name in names_of(tree)}
    numbers = {name: value for name, value in known.items() if value is not None}
    return _truth(tree, numbers, iter(remembered)) if len(numbers) == len(known) else None


def _truth(tree: Tree, values: Mapping[str, float], remembered: Iterator[bool]) -> bool:
    match tree:
        case Comparison(field=field, op=op, operand=operand):
            right = values[operand] if isinstance(operand, str) else operand
            return COMPARE[op](values[field], right)
        case Crossing() | Move():
            return next(remembered)
        case Not(of=inner):
            return not _truth(inner, values, remembered)
        case All(of=parts):
            told = [_truth(part, values, remembered) for part in parts]  # each takes its own
            return all(told)
        case AnyOf(of=parts):
            told = [_truth(part, values, remembered) for part in parts]
            return any(told)
