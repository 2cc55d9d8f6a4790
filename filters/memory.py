"""What conditions remember of earlier moments: on which side a value was, how far it has come."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from filters.trees import Crossing, Move, Remembering

STEPS = 1024
"""A window of time is as exact as its length over this: what it keeps is bounded."""


class Memory(msgspec.Struct):
    """What one crossing or move remembers; plain data.

    Attributes:
        side: +1 above, -1 below, 0 not known (crossings).
        at: times (ns) or numbers of the kept moments, rising (moves).
        kept: the values there: rising for a rise, falling for a fall, so that the first is the
            lowest or highest of the window.
    """

    side: int = 0
    at: list[int] = []
    kept: list[float] = []

    def copy(self) -> "Memory":
        """Return a copy that changes apart from this one."""
        return Memory(self.side, list(self.at), list(self.kept))


Step: TypeAlias = Callable[[Memory, Mapping[str, float | None], int, int], bool | None]
"""Takes a moment for one part: its memory, the values, the moment's time and number."""


def steps_of(remembering: Sequence[Remembering]) -> tuple[Step, ...]:
    """Make each of some parts of a condition ready to take moments."""
    return tuple(
        _crosses(part) if isinstance(part, Crossing) else partial(_moves, part)
        for part in remembering
    )


def fresh(remembering: Sequence[Remembering]) -> list[Memory]:
    """Return a memory without anything in it for each of some parts of a condition."""
    return [Memory() for _ in remembering]


def step(
    steps: Sequence[Step],
    memories: Sequence[Memory],
    values: Mapping[str, float | None],
    ts: int,
    number: int,
) -> tuple[bool | None, ...]:
    """Take a moment; return whether each part is true at it, None where a value is missing.

    Args:
        steps: of the parts of a condition, from `steps_of`.
        memories: one for each.
        values: by canonical field name.
        ts: the moment's time, ns.
        number: the moment's number.
    """
    if len(steps) == 1:  # nearly always, and a loop would cost as much as the crossing in it
        return (steps[0](memories[0], values, ts, number),)
    return tuple(
        [take(memory, values, ts, number) for take, memory in zip(steps, memories, strict=True)]
    )


def _crosses(part: Crossing) -> Step:
    field, operand = part.field, part.operand
    name, fixed = (operand, None) if isinstance(operand, str) else (None, operand)
    wanted = 1 if part.direction == "crosses_above" else -1

    def take(
        memory: Memory, values: Mapping[str, float | None], _ts: int, _number: int
    ) -> bool | None:
        value = values.get(field)
        level = fixed if name is None else values.get(name)
        if value is None or level is None:
            return None
        # The rule of `indicators.crosses.crossing`, in place: this runs at every moment.
        if value == level:
            return False
        before = memory.side
        memory.side = side = 1 if value > level else -1
        return side == wanted and before == -side

    return take


def _moves(
    part: Move, memory: Memory, values: Mapping[str, float | None], ts: int, number: int
) -> bool | None:
    value = values.get(part.field)
    if value is None:
        return None
    at, kept = memory.at, memory.kept
    now, begin, bucket = (
        (number, number - part.bars, 0) if part.bars else (ts, ts - part.time, part.time // STEPS)
    )
    gone = bisect_left(at, begin)
    if gone:
        del at[:gone], kept[:gone]
    is_rise = part.percent > 0
    by = (value - kept[0]) / kept[0] * 100 if kept else 0.0
    if value > 0:  # a per cent of nothing, or of less, is nothing
        while kept and (kept[-1] >= value if is_rise else kept[-1] <= value):
            del at[-1], kept[-1]
        if not at or now - at[-1] >= bucket:
            at.append(now)
            kept.append(value)
    if part.is_strict:
        return by > part.percent if is_rise else by < part.percent
    return by >= part.percent if is_rise else by <= part.percent
