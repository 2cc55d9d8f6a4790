"""The `strategy:` of a spec: when it enters, when it leaves, and what it risks."""

import re

import msgspec

from filters.condition_reader import ConditionReader
from filters.fields import Stream
from filters.node_reader import NodeReader, WrongError
from filters.risk import DIRECTIONS, Direction, PriceRule, Risk, RiskError, Strategy, parse_rule
from filters.trees import Tree
from filters.yaml_nodes import Mapping, Node, Scalar

STRATEGY_KEYS = ("side", "entry", "exit", "risk")
RISK_KEYS = ("stop", "target", "budget", "equity")
LARGEST_BUDGET = 100.0
LARGEST_EQUITY = 1e12
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")


class StrategyRead(msgspec.Struct, frozen=True):
    """What was read.

    Attributes:
        strategy: its side and risk.
        entry: the condition of the entry.
        exit: that of the exit; None where it has none.
        nodes: where they stand: `when` for the entry, `until` for the exit, and the
            keys of the risk.
    """

    strategy: Strategy
    entry: Tree
    exit: Tree | None
    nodes: dict[str, Node]


class StrategyReader:
    """Reads the strategies of one document.

    Args:
        nodes: reads its nodes and collects errors.
        conditions: reads its conditions.
    """

    def __init__(self, nodes: NodeReader, conditions: ConditionReader) -> None:
        self._nodes = nodes
        self._conditions = conditions

    def strategy(self, node: Node, stream: Stream) -> StrategyRead:
        """Return the strategy that a node says."""
        nodes, read = self._nodes, self._conditions.when
        before = nodes.error_count
        keys = nodes.mapping(node, STRATEGY_KEYS, "a strategy")
        side = nodes.optional(keys, "side", self._side)
        entry = nodes.required(
            keys,
            "entry",
            lambda part: read(part, stream, "entry"),
            parent=node,
            why="say when it enters, as in 'rsi(14) < 30'",
        )
        leaves = nodes.optional(keys, "exit", lambda part: read(part, stream, "exit"))
        risk = nodes.required(
            keys,
            "risk",
            lambda part: self._risk(part, stream),
            parent=node,
            why="say where it stops, as in 'risk: {stop: 2%}'",
        )
        if entry is None or risk is None or nodes.error_count > before:
            raise WrongError
        if leaves is None and risk.target is None:
            raise nodes.wrong("it is never left with a gain: write 'exit' or 'risk.target'", node)
        where = {"when": keys["entry"]}
        if leaves is not None:
            where["until"] = keys["exit"]
        if isinstance(keys["risk"], Mapping):
            where |= {key.text: value for key, value in keys["risk"].items}
        return StrategyRead(Strategy(side=side or "long", risk=risk), entry, leaves, where)

    def _side(self, node: Node) -> Direction:
        return self._nodes.one_of(node, "side", DIRECTIONS)

    def _risk(self, node: Node, stream: Stream) -> Risk:
        nodes = self._nodes
        before = nodes.error_count
        if not isinstance(node, Mapping):
            raise nodes.wrong("risk: expected keys and values, as in '{stop: 2%}'", node)
        keys = nodes.mapping(node, RISK_KEYS, "a risk")
        why = "where it is wrong, as in 'stop: support - 0.1%', 'stop: atr(14)*2' or 'stop: 2%'"
        stop = nodes.required(
            keys, "stop", lambda part: self._rule(part, "stop", stream), parent=node, why=why
        )
        target = nodes.optional(keys, "target", lambda part: self._rule(part, "target", stream))
        budget = nodes.optional(keys, "budget", self._budget)
        equity = nodes.optional(keys, "equity", self._equity)
        if stop is None or nodes.error_count > before:
            raise WrongError
        risk = Risk(stop=stop, target=target)
        if budget is not None:
            risk = msgspec.structs.replace(risk, budget=budget)
        return risk if equity is None else msgspec.structs.replace(risk, equity=equity)

    def _rule(self, node: Node, key: str, stream: Stream) -> PriceRule:
        if isinstance(node, Scalar) and isinstance(node.value, int | float):
            raise self._nodes.wrong(
                f"{key}: a price that stays the same is soon wrong: write a distance such as '2%'",
                node,
            )
        try:
            return parse_rule(self._nodes.text(node, key), stream)
        except RiskError as error:
            raise self._nodes.wrong(f"{key}: {error}", node, offset=error.offset) from None

    def _budget(self, node: Node) -> float:
        text = node.text.strip() if isinstance(node, Scalar) else ""
        found = _SHARE.fullmatch(text)
        if found is None or not 0 < float(found[1]) <= LARGEST_BUDGET:
            is_bare = found is None and _SHARE.fullmatch(f"{text}%") is not None
            hint = f"; did you mean '{text}%'?" if is_bare else ", as in '1%'"
            raise self._nodes.wrong(
                f"budget: expected a share of the equity above 0% and at most 100%{hint}", node
            )
        return float(found[1])

    def _equity(self, node: Node) -> float:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._nodes.wrong("equity: expected a number, as in '10000'", node)
        if not 0 < value <= LARGEST_EQUITY:
            raise self._nodes.wrong(
                f"equity: expected above 0 and at most {LARGEST_EQUITY:,.0f}", node
            )
        return float(value)
