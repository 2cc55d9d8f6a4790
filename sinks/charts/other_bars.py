"""Values of other bars on a picture: `rsi(14)@15m`, `close@BTC-USDT`, as steps along its own."""

from collections.abc import Iterable, Mapping, Sequence

from filters.places import Place, PlaceError, split
from market.events import Bar

OtherBars = Mapping[Place, Sequence[Bar]]
"""Bars of other series or intervals, oldest first, by where they are."""


def by_place(names: Iterable[str]) -> tuple[list[str], dict[Place, list[str]]]:
    """Return the names that are of a picture's own bars, and those of others by where these are.

    Example:
        >>> own, others = by_place(["close", "rsi(14)@15m"])
        >>> own, [(place.text, names) for place, names in others.items()]
        (['close'], [('@15m', ['rsi(14)'])])
    """
    own: list[str] = []
    others: dict[Place, list[str]] = {}
    for name in names:
        try:
            field, place = split(name)
        except PlaceError:
            own.append(name)  # told there as not known
            continue
        if place is None:
            own.append(name)
        else:
            others.setdefault(place, []).append(field)
    return own, others


def stepped(
    shown: Sequence[Bar], others: Sequence[Bar], values: Sequence[float | None]
) -> tuple[float | None, ...]:
    """Return for each bar shown what the last other bar that ended no later said, as for filters.

    Args:
        shown: bars of the picture, oldest first.
        others: the other bars, oldest first.
        values: one for each of the others.
    """
    told: list[float | None] = []
    count = 0
    for bar in shown:
        while count < len(others) and others[count].end <= bar.end:
            count += 1
        told.append(values[count - 1] if count else None)
    return tuple(told)
