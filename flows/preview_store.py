"""The store's bars for a preview: as they are stored, or made of smaller ones."""

from collections.abc import Iterable, Iterator, Sequence

import psycopg

from flows.past_bars import roll_up
from market.activity import parse_bar_length
from market.events import Bar
from market.intervals import Interval
from sinks.stored_bars import missing_ranges, stream_bars


class PreviewStore:
    """Reads bars; of an interval that is not stored, or less whole, from the best smaller one.

    Args:
        connection: to a database with the schema, which commits by itself.
        smaller: intervals that may be stored.
        start: ns UTC: between here and `end` it must be stored.
        end: ns UTC.
    """

    def __init__(
        self, connection: psycopg.Connection, smaller: Iterable[str], start: int, end: int
    ) -> None:
        self._connection = connection
        lengths = (parse_bar_length(name) for name in smaller)
        self._smaller = [length for length in lengths if isinstance(length, Interval)]
        self._smaller.sort(key=lambda each: -each.length)
        self._start = start
        self._end = end
        self._chosen: dict[tuple[str, str], tuple[str, list[tuple[int, int]]]] = {}

    def read(self, instrument: str, interval: str, start: int, end: int) -> Iterator[Bar]:
        """Return the bars that lie in `[start, end)` ns, oldest first."""
        source, _ = self._choose(instrument, interval)
        if source == interval:
            return stream_bars(self._connection, instrument, interval, start=start, end=end)
        larger, smaller = Interval.parse(interval), Interval.parse(source)
        first = larger.start_of(start + larger.length - 1)
        last = larger.start_of(end)
        bars = stream_bars(self._connection, instrument, source, start=first, end=last)
        return roll_up(bars, instrument, larger, smaller)

    def missing(self, instrument: str, interval: str) -> list[tuple[int, int]]:
        """Return where no whole bar is to be had, oldest first, ns UTC; of time bars only."""
        return self._choose(instrument, interval)[1]

    def source_of(self, instrument: str, interval: str) -> str:
        """Return the interval of the stored bars that are read."""
        return self._choose(instrument, interval)[0]

    def forget(self) -> None:
        """Look again what is stored."""
        self._chosen.clear()

    def _choose(self, instrument: str, interval: str) -> tuple[str, list[tuple[int, int]]]:
        known = self._chosen.get((instrument, interval))
        if known is not None:
            return known
        wanted = parse_bar_length(interval)
        best: tuple[str, list[tuple[int, int]]] = (interval, [])
        if isinstance(wanted, Interval):
            candidates = [wanted, *(each for each in self._smaller if wanted.is_made_of(each))]
            found = [(each.name, self._holes(instrument, each)) for each in candidates]
            best = min(found, key=lambda each: _length(each[1]))  # the first of equals: the largest
        self._chosen[instrument, interval] = best
        return best

    def _holes(self, instrument: str, interval: Interval) -> list[tuple[int, int]]:
        start = interval.start_of(self._start + interval.length - 1)
        end = interval.start_of(self._end)
        if start >= end:
            return []
        return missing_ranges(self._connection, instrument, interval.name, start, end)


def _length(holes: Sequence[tuple[int, int]]) -> int:
    # Tiny holes of a smaller interval are times without a trade, and no reason against it.
    return sum(end - begins for begins, end in holes)
