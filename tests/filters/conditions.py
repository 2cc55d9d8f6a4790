"""Random conditions and values, and a plain evaluator to hold ours against."""

import operator
from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from filters.grammar import All, AnyOf, Comparison, Not, Operator, Tree, all_of, any_of, not_of

UNBOUNDED = ["ema(20)", "ema(5)", "change_bps", "divergence(rsi(14),3,60).price_1"]
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


TREES: st.SearchStrategy[Tree] = st.recursive(
    comparisons(),
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
        case Comparison(field=field, operand=operand):
            return {field, operand} if isinstance(operand, str) else {field}
        case Not(of=inner):
            return names_of(inner)
        case All(of=parts) | AnyOf(of=parts):
            return set().union(*map(names_of, parts))


def truth(tree: Tree, values: Mapping[str, float | None]) -> bool | None:
    """The definition: unknown when anything is missing, else what the words say."""
    known = {name: values.get(name) for name in names_of(tree)}
    numbers = {name: value for name, value in known.items() if value is not None}
    return _truth(tree, numbers) if len(numbers) == len(known) else None


def _truth(tree: Tree, values: Mapping[str, float]) -> bool:
    match tree:
        case Comparison(field=field, op=op, operand=operand):
            right = values[operand] if isinstance(operand, str) else operand
            return COMPARE[op](values[field], right)
        case Not(of=inner):
            return not _truth(inner, values)
        case All(of=parts):
            return all(_truth(part, values) for part in parts)
        case AnyOf(of=parts):
            return any(_truth(part, values) for part in parts)
