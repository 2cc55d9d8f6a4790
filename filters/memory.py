"""What conditions remember of earlier moments: on which side a value was, how far it has come."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import msgspec

from filters.trees import Crossing, Move, Remembering
from indicators.crosses import crossing

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


def fresh(remembering: Sequence[Remembering]) -> list[Memory]:
    """Return a memory without anything in it for each of some parts of a condition."""
    return [Memory() for _ in remembering]


def step(
    remembering: Sequence[Remembering],
    memories: Sequence[Memory],
    values: Mapping[str, float | None],
    ts: int,
    number: int,
) -> list[bool | None]:
    """Take a moment; return whether each part is true at it, None where a value is missing.

    Args:
        remembering: parts of a condition.
        memories: one for each.
        values: by canonical field name.
        ts: the moment's time, ns.
        number: the moment's number.
    """
    told: list[bool | None] = []
    for part, memory in zip(remembering, memories, strict=True):
        if isinstance(part, Crossing):
            told.append(_crosses(part, memory, values))
        else:
            told.append(_moves(part, memory, values.get(part.field), ts, number))
    return told


def _crosses(part: Crossing, memory: Memory, values: Mapping[str, float | None]) -> bool | None:
    value = values.get(part.field)
    operand = part.operand
    level = values.get(operand) if isinstance(operand, str) else operand
    if value is None or level is None:
        return None
    event, memory.side = crossing(memory.side, value, level)
    return event == (1 if part.direction == "crosses_above" else -1)


def _moves(part: Move, memory: Memory, value: float | None, ts: int, number: int) -> bool | None:
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
