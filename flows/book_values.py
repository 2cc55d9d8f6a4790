"""What is read from a book by name: for filters, and as features at a bar's close."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from filters.fields import BOOK_FIELDS
from indicators.contract import Depth
from indicators.liquidity import WARM_UP
from indicators.names import create_for_book, create_for_depth, parse
from market.events import Bar, BookTop, Feature, State
from market.intervals import SECOND

ReadBook: TypeAlias = Callable[[BookTop, Depth | None], float | None]
"""Reads a value from the best levels and the whole book; None stands for no whole book yet."""


def needs_depth(name: str) -> bool:
    """Tell whether a field is read from the whole book."""
    return name not in BOOK_FIELDS and parse(name).reads == "depth"


def book_reader(name: str) -> ReadBook:
    """Return what reads a field of books, or an indicator of them, by its canonical name."""
    field = BOOK_FIELDS.get(name)
    if field is None and needs_depth(name):
        of_depth = create_for_depth(name).measure
        return lambda _, depth: None if depth is None else of_depth(depth)
    read = create_for_book(name).measure if field is None else field.read
    return lambda top, _: read(top.bids, top.asks)


class BookFeatures:
    """Tells at each bar's close what indicators of the book say.

    Args:
        names: canonical names of indicators of a book.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._read = [(name, book_reader(name), needs_depth(name)) for name in names]

    def features(
        self, bar: Bar, top: BookTop | None, depth: Depth | None, *, state: State, live_ns: int
    ) -> list[Feature]:
        """Return a feature for each; one of a book that is not live has no value.

        Args:
            bar: that closed.
            top: the best levels now.
            depth: the whole book at the last heartbeat.
            state: the book's.
            live_ns: for how long the whole book was looked at, ns.
        """
        features = []
        for name, read, is_of_depth in self._read:
            is_live = state is State.LIVE and top is not None
            is_cold = is_of_depth and (depth is None or depth.supports is None)
            reason = ""
            if is_live and is_cold:
                reason = f"warming({live_ns // SECOND} of {WARM_UP // SECOND} s)"
            features.append(
                Feature(
                    instrument=bar.instrument,
                    interval=bar.interval,
                    name=name,
                    ts_event=bar.start,
                    value=read(top, depth) if is_live and top is not None else None,
                    state=State.WARMING if is_live and is_cold else state,
                    revision=bar.revision,
                    reason=reason,
                )
            )
        return features
