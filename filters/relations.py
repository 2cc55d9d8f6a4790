"""What conditions say of their operands, however written; what makes no sense is refused."""

import re
from collections.abc import Sequence

import msgspec

from filters.fields import Stream
from filters.thresholds import impossible, never_crossed
from filters.trees import (
    MIRRORED,
    UNITS,
    Comparison,
    Crossing,
    Direction,
    Move,
    Operator,
    Tree,
    all_of,
    any_of,
)

LONGEST_WINDOW_DAYS = 30
MOST_BARS = 10_000
CROSSINGS = ("crosses_above", "crosses_below", "crosses")
MOVES = ("changes_by_pct", "moves_by_pct")
WINDOW = re.compile(r"([0-9]{1,9})[ \t]*(bars?|[smhd])(?!\w)", re.ASCII)


class GrammarError(ValueError):
    """A condition that cannot be read.

    Args:
        message: what is wrong and what to write, lower case, no full stop.
        offset: where in the text, in characters from 0.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Operand(msgspec.Struct, frozen=True):
    """A number or a field's canonical name, where it begins, and what was written."""

    value: float | str
    start: int = 0
    shown: str = ""


def compare(left: Operand, op: Operator, right: Operand) -> Comparison:
    """Make a comparison.

    Raises:
        GrammarError: it compares what cannot be compared, or has only one answer.
    """
    if not isinstance(left.value, str):
        if not isinstance(right.value, str):
            raise GrammarError(
                "two numbers are compared: name a field, as in 'rsi(14) < 30'",
                offset=left.start,
            )
        left, right, op = right, left, MIRRORED[op]
    field = str(left.value)
    if field == right.value:
        raise GrammarError(f"{field!r} is compared with itself", offset=right.start)
    if not isinstance(right.value, str):
        wrong = impossible(field, op, right.value)
        if wrong:
            raise GrammarError(wrong, offset=right.start)
    return Comparison(field, op, right.value)


def between(middle: Operand, low: Operand, high: Operand) -> Tree:
    """Say that something lies between two others, or on one of them.

    Raises:
        GrammarError: nothing lies there, or they cannot be compared.
    """
    if isinstance(low.value, float) and isinstance(high.value, float) and low.value > high.value:
        raise GrammarError(
            f"nothing lies between {low.shown} and {high.shown}: write the smaller one first",
            offset=low.start,
        )
    return all_of([compare(middle, ">=", low), compare(middle, "<=", high)])


def among(left: Operand, choices: Sequence[Operand]) -> Tree:
    """Say that something equals one of several others.

    Raises:
        GrammarError: they cannot be compared.
    """
    return any_of([compare(left, "==", choice) for choice in choices])


def crossing(left: Operand, word: str, right: Operand) -> Tree:
    """Say that something comes out on the other side of something.

    Args:
        left: what crosses.
        word: one of `CROSSINGS`.
        right: what is crossed.

    Raises:
        GrammarError: one cannot cross the other.
    """
    directions: list[Direction]
    directions = ["crosses_above"] if word == "crosses_above" else ["crosses_below"]
    if word == "crosses":
        directions = ["crosses_above", "crosses_below"]
    if not isinstance(left.value, str):
        if not isinstance(right.value, str):
            raise GrammarError(
                "two numbers do not cross: name a field, as in 'rsi(14) crosses_above 30'",
                offset=left.start,
            )
        left, right = right, left
        other: dict[Direction, Direction] = {
            "crosses_above": "crosses_below",
            "crosses_below": "crosses_above",
        }
        directions = [other[each] for each in directions]
    field = str(left.value)
    if field == right.value:
        raise GrammarError(f"{field!r} does not cross itself", offset=right.start)
    if not isinstance(right.value, str):
        wrong = never_crossed(field, right.value)
        if wrong:
            raise GrammarError(wrong, offset=right.start)
    return any_of([Crossing(field, direction, right.value) for direction in directions])


def move(left: Operand, word: str, op: Operator, percent: Operand, window: tuple[int, int]) -> Tree:
    """Say that something has changed by so many per cent.

    Args:
        left: what changes.
        word: one of `MOVES`.
        op: how it compares with `percent`.
        percent: a number; below 0 for a fall.
        window: in which time (ns), or in how many bars; the other is 0.

    Raises:
        GrammarError: it has only one answer.
    """
    if not isinstance(left.value, str):
        raise GrammarError(
            f"a number does not change: name a field, as in 'close {word} >= 2'", offset=left.start
        )
    if isinstance(percent.value, str):
        raise GrammarError(f"{word}: expected a number of per cent", offset=percent.start)
    by, (time, bars) = percent.value, window
    is_rise, is_fall = op in (">", ">="), op in ("<", "<=")
    if (word == "moves_by_pct" and not (is_rise and by > 0)) or op in ("==", "!="):
        expected = "'>= 2'" if word == "moves_by_pct" else "'>= 2' for a rise, '<= -2' for a fall"
        raise GrammarError(f"{word}: write {expected}", offset=percent.start)
    if by == 0 or is_rise != (by > 0) or is_fall != (by < 0):
        raise GrammarError(
            f"{word}: nearly always true: write '>= 2' for a rise, '<= -2' for a fall",
            offset=percent.start,
        )
    if by <= -100:
        raise GrammarError(f"{word}: nothing falls by 100 per cent", offset=percent.start)
    is_strict = op in (">", "<")
    one = Move(left.value, by, is_strict, time, bars)
    return (
        one
        if word != "moves_by_pct"
        else any_of([one, Move(left.value, -by, is_strict, time, bars)])
    )


def parse_window(text: str, stream: Stream) -> tuple[int, int]:
    """Read a window: return its length in ns, or in bars, and 0 for the other.

    Raises:
        GrammarError: it is none.
    """
    found = WINDOW.fullmatch(text.strip())
    if found is None:
        raise GrammarError("within: expected a time such as '5m', or '3 bars'")
    count, unit = int(found[1]), found[2]
    if unit not in UNITS:
        if stream != "bar":
            raise GrammarError(f"within: a {stream} has no bars: write a time such as '5m'")
        if not 1 <= count <= MOST_BARS:
            raise GrammarError(f"within: expected 1 to {MOST_BARS} bars")
        return 0, count
    length = count * UNITS[unit]
    if not 0 < length <= LONGEST_WINDOW_DAYS * UNITS["d"]:
        raise GrammarError(f"within: expected a time up to {LONGEST_WINDOW_DAYS}d")
    return length, 0
