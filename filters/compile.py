"""A condition as one function of the values it looks at.

The function is a lambda whose syntax tree we build ourselves, node by node, from what
`filters.grammar` has read; the text of a spec is never compiled. `check_nodes` looks the tree over
once more before Python sees it.
"""

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

import msgspec

from filters.fields import Stream
from filters.grammar import LONGEST_CANONICAL, parse
from filters.memory import Step, steps_of
from filters.trees import (
    All,
    AnyOf,
    Comparison,
    Crossing,
    Leaf,
    Move,
    Not,
    Operator,
    Remembering,
    Tree,
    fields_of,
    leaves,
    number_text,
    print_tree,
    window_text,
)

Values: TypeAlias = Mapping[str, float | None]
Evaluate: TypeAlias = Callable[..., bool | None]
"""Takes values, and whether each remembering part is true now."""

_ALLOWED = (
    ast.Expression,
    ast.Lambda,
    ast.arguments,
    ast.arg,
    ast.IfExp,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.Compare,
    ast.Is,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Eq,
    ast.NotEq,
    ast.NamedExpr,
    ast.Name,
    ast.Load,
    ast.Store,
    ast.Constant,
    ast.Call,
    ast.Attribute,
)
_OPERATORS: dict[Operator, type[ast.cmpop]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
}
_REMEMBERED = 4096


class Clause(msgspec.Struct, frozen=True):
    """One comparison, crossing or move of a condition, for messages.

    Attributes:
        text: as printed, `"rsi(14) < 30"`.
        field: canonical name of what is compared.
        op: the comparison, `"<"`, `"crosses_above"`, `"changes_by_pct >="`.
        threshold: the number, or the canonical name of the other field.
        remembering: its place in `Condition.remembering`; None where the values alone decide.
        window: of a move, `"5m"`.
    """

    text: str
    field: str
    op: str
    threshold: float | str
    remembering: int | None = None
    window: str = ""


class Condition(msgspec.Struct, frozen=True):
    """A condition that can be asked.

    Attributes:
        text: canonical text.
        fields: canonical names of all fields it needs, each once.
        clauses: its comparisons, crossings and moves, in the order they are written.
        evaluate: takes the values by canonical name, and then what `filters.memory.step` says of
            each of `remembering`, in their order; returns whether the condition holds, or None
            when one of `fields` is missing or None.
        remembering: its crossings and moves, in the order they are written.
        steps: what takes a moment for each of them.
    """

    text: str
    fields: tuple[str, ...]
    clauses: tuple[Clause, ...]
    evaluate: Evaluate
    remembering: tuple[Remembering, ...] = ()
    steps: tuple[Step, ...] = ()


@lru_cache(maxsize=_REMEMBERED)
def compile_condition(text: str, stream: Stream) -> Condition:
    """Compile the text of a condition.

    Raises:
        GrammarError: the text is no condition.

    Example:
        >>> condition = compile_condition("rsi < 30 and close > ema(20)", "bar")
        >>> condition.fields
        ('rsi(14)', 'close', 'ema(20)')
        >>> condition.evaluate({"rsi(14)": 25.0, "close": 10.0, "ema(20)": 9.0})
        True
        >>> condition.evaluate({"rsi(14)": None, "close": 10.0, "ema(20)": 9.0}) is None
        True
    """
    return compile_tree(parse(text, stream, longest=LONGEST_CANONICAL))


def compile_tree(tree: Tree) -> Condition:
    """Compile a condition that has been read."""
    found = leaves(tree)
    fields = tuple(dict.fromkeys(name for leaf in found for name in fields_of(leaf)))
    remembering = tuple(leaf for leaf in found if not isinstance(leaf, Comparison))
    clauses: list[Clause] = []
    count = 0
    for leaf in found:
        clauses.append(_clause(leaf, count))
        count += not isinstance(leaf, Comparison)
    evaluate = _function(tree, fields, len(remembering))
    return Condition(
        print_tree(tree), fields, tuple(clauses), evaluate, remembering, steps_of(remembering)
    )


def _clause(leaf: Leaf, place: int) -> Clause:
    text = print_tree(leaf)
    match leaf:
        case Comparison(field=field, op=op, operand=operand):
            return Clause(text, field, op, operand)
        case Crossing(field=field, direction=direction, operand=operand):
            return Clause(text, field, direction, operand, place)
        case Move(field=field, percent=percent):
            said = text[len(field) :].rpartition(f" {number_text(percent)} within")[0].strip()
            return Clause(text, field, said, percent, place, window_text(leaf))


def threshold_text(clause: Clause) -> str:
    """Return a clause's threshold for people."""
    threshold = clause.threshold
    return threshold if isinstance(threshold, str) else number_text(threshold)


def check_nodes(tree: ast.AST) -> None:
    """Check that a syntax tree holds nothing but what conditions are made of.

    Raises:
        ValueError: it does; that is a fault of this file, no user can cause it.
    """
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"a condition may not hold {type(node).__name__}")  # noqa: TRY004
        if isinstance(node, ast.Attribute) and node.attr != "get":
            raise ValueError(f"a condition may not read .{node.attr}")
        if isinstance(node, ast.Name) and not _is_own(node.id):
            raise ValueError(f"a condition may not name {node.id}")
        if isinstance(node, ast.Constant) and not (
            node.value is None or isinstance(node.value, float | str)
        ):
            raise ValueError(f"a condition may not hold {node.value!r}")


def _is_own(name: str) -> bool:
    return name in ("values", "get") or (name[:1] in ("v", "r") and name[1:].isdigit())


def _function(tree: Tree, fields: tuple[str, ...], remembering: int) -> Evaluate:
    # lambda values, r0: None if (v0 := (get := values.get)("a")) is None
    #                    or (v1 := get("b")) is None else v0 < 30.0 and v1 > v0 and r0
    variables = {name: f"v{index}" for index, name in enumerate(fields)}
    getter: ast.expr = ast.NamedExpr(
        target=ast.Name("get", ast.Store()),
        value=ast.Attribute(ast.Name("values", ast.Load()), "get", ast.Load()),
    )
    missing: list[ast.expr] = []
    for name, variable in variables.items():
        read = ast.Call(getter, [ast.Constant(name)], [])
        kept = ast.NamedExpr(target=ast.Name(variable, ast.Store()), value=read)
        missing.append(ast.Compare(kept, [ast.Is()], [ast.Constant(None)]))
        getter = ast.Name("get", ast.Load())
    body = ast.IfExp(
        test=missing[0] if len(missing) == 1 else ast.BoolOp(ast.Or(), missing),
        body=ast.Constant(None),
        orelse=_Expressions(variables).of(tree),
    )
    given = ["values", *(f"r{index}" for index in range(remembering))]
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in given],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    whole = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    check_nodes(whole)
    code = compile(whole, "<condition>", "eval")
    function: Evaluate = eval(code, {"__builtins__": {}})  # noqa: S307 (our own nodes, checked)
    return function


class _Expressions:
    """Makes Python's expression of a tree; remembering parts are numbered as they come."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._remembering = 0

    def of(self, tree: Tree) -> ast.expr:
        match tree:
            case Comparison(field=field, op=op, operand=operand):
                right: ast.expr
                if isinstance(operand, str):
                    right = ast.Name(self._variables[operand], ast.Load())
                elif operand < 0:
                    right = ast.UnaryOp(ast.USub(), ast.Constant(-operand))
                else:
                    right = ast.Constant(operand)
                left = ast.Name(self._variables[field], ast.Load())
                return ast.Compare(left, [_OPERATORS[op]()], [right])
            case Crossing() | Move():
                name = f"r{self._remembering}"
                self._remembering += 1
                return ast.Name(name, ast.Load())
            case Not(of=inner):
                return ast.UnaryOp(ast.Not(), self.of(inner))
            case All(of=parts):
                return ast.BoolOp(ast.And(), [self.of(part) for part in parts])
            case AnyOf(of=parts):
                return ast.BoolOp(ast.Or(), [self.of(part) for part in parts])
