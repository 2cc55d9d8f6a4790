"""The tests that a spec brings along: small inputs, and when it must fire on them."""

import re

from filters import grammar
from filters.fields import OWN, Stream
from filters.node_reader import NodeReader, WrongError, shown
from filters.relations import GrammarError
from filters.specs import Spec, SpecTest
from filters.trees import UNITS
from filters.yaml_nodes import Mapping, Node, Scalar, Sequence
from indicators.names import parse
from market.activity import parse_bar_length
from market.intervals import SECOND, Interval

MOST_MOMENTS = 5000
MOST_TESTS = 50
MOST_DAYS = 30
LARGEST = 1e15
"""Of a given value; larger than any price, and what is made of several stays a number."""
_KEYS = ("name", "given", "every", "fires")
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhd])")
_NUMBER = r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_RUN = re.compile(rf"({_NUMBER})(?:\s*\.\.\s*({_NUMBER}))?\s*x\s*([0-9]{{1,4}})")


class SpecTestReader:
    """Reads the tests of specs.

    Args:
        nodes: reads nodes and collects errors.
    """

    def __init__(self, nodes: NodeReader) -> None:
        self._nodes = nodes

    def tests(self, node: Node, spec: Spec) -> tuple[SpecTest, ...]:
        """Return the tests of a spec."""
        if not isinstance(node, Sequence) or not node.items:
            raise self._nodes.wrong("tests: expected a list ('- given: {…}')", node)
        if len(node.items) > MOST_TESTS:
            raise self._nodes.wrong(f"tests: expected at most {MOST_TESTS}", node)
        made = [
            self._nodes.attempt(lambda part: self._test(part, spec), item) for item in node.items
        ]
        return tuple(each for each in made if each is not None)

    def _test(self, node: Node, spec: Spec) -> SpecTest:
        nodes = self._nodes
        keys = nodes.mapping(node, _KEYS, "a test")
        stream = spec.source.stream
        name = nodes.optional(keys, "name", lambda part: nodes.text(part, "name"))
        why = "the values, as in 'given: {rsi(14): [40, 29]}'"
        given = nodes.required(
            keys, "given", lambda part: self._given(part, spec), parent=node, why=why
        )
        step = nodes.optional(keys, "every", self._every)
        why = "the numbers of the moments at which it speaks, from 1; [] for never"
        fires = nodes.required(keys, "fires", self._fires, parent=node, why=why)
        if given is None or fires is None:
            raise WrongError
        count = len(next(iter(given.values())))
        if fires and max(fires) > count:
            raise nodes.wrong(f"fires: there are {count} moments only", keys["fires"])
        return SpecTest(
            name=name or "",
            given=given,
            step=step or _step_of(spec.source.interval, stream),
            fires=fires,
        )

    def _given(self, node: Node, spec: Spec) -> dict[str, tuple[float | None, ...]]:
        nodes = self._nodes
        if not isinstance(node, Mapping) or not node.items:
            raise nodes.wrong("given: expected fields and their values", node)
        stream = spec.source.stream
        lists: dict[str, list[float | None]] = {}
        alone: dict[str, float | None] = {}
        where: dict[str, Node] = {}
        for key, value in node.items:
            field = self._field(key, stream)
            where[field] = key
            if isinstance(value, Sequence):
                lists[field] = [number for item in value.items for number in self._numbers(item)]
            else:
                found = self._numbers(value)
                if len(found) == 1:
                    alone[field] = found[0]
                else:
                    lists[field] = found
        count = max((len(numbers) for numbers in lists.values()), default=1)
        for field, numbers in lists.items():
            if len(numbers) != count:
                raise nodes.wrong(
                    f"given: {field!r} has {len(numbers)} values, others have {count}",
                    where[field],
                )
        if not 1 <= count <= MOST_MOMENTS:
            raise nodes.wrong(f"given: expected 1 to {MOST_MOMENTS} values", node)
        given = {field: tuple(numbers) for field, numbers in lists.items()}
        given |= {field: (number,) * count for field, number in alone.items()}
        lacking = [name for name in _asked(spec) if not _is_told(name, given)]
        if lacking:
            raise nodes.wrong(f"given: {lacking[0]!r} is not given", node)
        return given

    def _field(self, key: Scalar, stream: Stream) -> str:
        try:
            operand = grammar.parse_operand(key.text, stream)
        except GrammarError as error:
            raise self._nodes.wrong(error.message, key, offset=error.offset) from None
        if not isinstance(operand.value, str):
            raise self._nodes.wrong(f"given: {shown(key.text)} is no field", key)
        return operand.value

    def _numbers(self, node: Node) -> list[float | None]:
        """Read a number, `null`, or a run such as `"100 x 20"` or `"100..80 x 20"`."""
        if isinstance(node, Scalar):
            if node.value is None:
                return [None]
            if isinstance(node.value, int | float) and not isinstance(node.value, bool):
                if not -LARGEST <= node.value <= LARGEST:
                    raise self._nodes.wrong(f"given: expected at most {LARGEST:g} in size", node)
                return [float(node.value)]
            run = _RUN.fullmatch(node.text.strip())
            if run is not None:
                first, count = float(run[1]), int(run[3])
                last = first if run[2] is None else float(run[2])
                return [first + (last - first) * at / max(count - 1, 1) for at in range(count)]
        raise self._nodes.wrong(
            "given: expected a number, null, or a run such as '100 x 20' or '100..80 x 20'", node
        )

    def _fires(self, node: Node) -> tuple[int, ...]:
        items = node.items if isinstance(node, Sequence) else (node,)
        numbers: list[int] = []
        for item in items:
            value = item.value if isinstance(item, Scalar) else None
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise self._nodes.wrong(
                    "fires: expected the numbers of moments, from 1, as in [3]; [] for never", node
                )
            numbers.append(value)
        return tuple(sorted(set(numbers)))

    def _every(self, node: Node) -> int:
        match = _DURATION.fullmatch(node.text.strip() if isinstance(node, Scalar) else "")
        if match is None or not int(match[1]):
            raise self._nodes.wrong("every: expected a time such as '1m'", node)
        length = int(match[1]) * UNITS[match[2]]
        if length > MOST_DAYS * UNITS["d"]:
            raise self._nodes.wrong(f"every: expected at most {MOST_DAYS}d", node)
        return length


def _step_of(interval: str, stream: Stream) -> int:
    length = parse_bar_length(interval) if stream == "bar" else None
    return length.length if isinstance(length, Interval) else SECOND


def _asked(spec: Spec) -> tuple[str, ...]:
    until = spec.until_condition
    priced = () if spec.strategy is None else spec.strategy.fields(spec.source.stream)
    return (*spec.condition.fields, *(() if until is None else until.fields), *priced)


def _is_told(name: str, given: dict[str, tuple[float | None, ...]]) -> bool:
    """Whether a field is given, or can be computed of bars that are."""
    if name in given:
        return True
    if "close" not in given or "@" in name:
        return False
    return name in OWN["bar"] or parse(name).reads == "bar"
