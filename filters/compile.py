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
from filters.grammar import (
    All,
    AnyOf,
    Comparison,
    Not,
    Operator,
    Tree,
    comparisons,
    number_text,
    parse,
    print_tree,
)

Values: TypeAlias = Mapping[str, float | None]
Evaluate: TypeAlias = Callable[[Values], bool | None]

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
    """One comparison of a condition, for messages.

    Attributes:
        text: as printed, `"rsi(14) < 30"`.
        field: canonical name of what is compared.
        op: the comparison.
        threshold: the number, or the canonical name of the other field.
    """

    text: str
    field: str
    op: Operator
    threshold: float | str


class Condition(msgspec.Struct, frozen=True):
    """A condition that can be asked.

    Attributes:
        text: canonical text.
        fields: canonical names of all fields it needs, each once.
        clauses: its comparisons, in the order they are written.
        evaluate: takes the values by canonical name; returns whether the condition holds, or None
            when one of `fields` is missing or None.
    """

    text: str
    fields: tuple[str, ...]
    clauses: tuple[Clause, ...]
    evaluate: Evaluate


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
    return compile_tree(parse(text, stream))


def compile_tree(tree: Tree) -> Condition:
    """Compile a condition that has been read."""
    found = comparisons(tree)
    names: dict[str, None] = {}
    for comparison in found:
        names[comparison.field] = None
        if isinstance(comparison.operand, str):
            names[comparison.operand] = None
    fields = tuple(names)
    clauses = tuple(Clause(print_tree(each), each.field, each.op, each.operand) for each in found)
    return Condition(print_tree(tree), fields, clauses, _function(tree, fields))


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
    return name in ("values", "get") or (name[:1] == "v" and name[1:].isdigit())


def _function(tree: Tree, fields: tuple[str, ...]) -> Evaluate:
    # lambda values: None if (v0 := (get := values.get)("a")) is None or (v1 := get("b")) is None
    #                else v0 < 30.0 and v1 > v0
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
        orelse=_expression(tree, variables),
    )
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg("values")], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    whole = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    check_nodes(whole)
    code = compile(whole, "<condition>", "eval")
    function: Evaluate = eval(code, {"__builtins__": {}})  # noqa: S307 (our own nodes, checked)
    return function


def _expression(tree: Tree, variables: dict[str, str]) -> ast.expr:
    match tree:
        case Comparison(field=field, op=op, operand=operand):
            right: ast.expr
            if isinstance(operand, str):
                right = ast.Name(variables[operand], ast.Load())
            elif operand < 0:
                right = ast.UnaryOp(ast.USub(), ast.Constant(-operand))
            else:
                right = ast.Constant(operand)
            left = ast.Name(variables[field], ast.Load())
            return ast.Compare(left, [_OPERATORS[op]()], [right])
        case Not(of=inner):
            return ast.UnaryOp(ast.Not(), _expression(inner, variables))
        case All(of=parts):
            return ast.BoolOp(ast.And(), [_expression(part, variables) for part in parts])
        case AnyOf(of=parts):
            return ast.BoolOp(ast.Or(), [_expression(part, variables) for part in parts])
