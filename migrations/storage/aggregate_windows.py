"""Which trades are not in the continuous aggregates yet, in windows of a day at most.

TimescaleDB keeps account of it: all time is invalid when an aggregate is made, a refresh takes its
window out, and rows that change below what was refreshed put theirs in again. Only chunks that are
there make windows: a refresh over times whose trades are gone would take their bars away.

References:
    tigerdata.com/docs, refresh_continuous_aggregate: only what is invalid in the window is computed
    again, unless `force`; buckets that lie in it only in part are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg

from market.intervals import Interval
from migrations.storage.aggregates import Aggregate, start_s

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CATALOG = "_timescaledb_catalog"
_NOW = "(extract(epoch FROM now()) * 1000000)::bigint"
_CHUNKS = (
    "SELECT (extract(epoch FROM range_start) * 1000000)::bigint,"
    " (extract(epoch FROM range_end) * 1000000)::bigint FROM timescaledb_information.chunks"
    " WHERE hypertable_schema = current_schema() AND hypertable_name = 'trades' ORDER BY 1"
)
_LOGS = (
    ("continuous_aggs_materialization_invalidation_log", "materialization_id", "mat_hypertable_id"),
    ("continuous_aggs_hypertable_invalidation_log", "hypertable_id", "raw_hypertable_id"),
)
_HALF_DONE = ("continuous_aggs_materialization_ranges", "materialization_id", "mat_hypertable_id")
"""What a refresh that was ended half way had begun; since TimescaleDB 2.22."""

Range = tuple[int, int]
"""From, until; microseconds since 1970 UTC, as TimescaleDB's catalogue has them."""


class Pending(msgspec.Struct, frozen=True):
    """What an aggregate does not know.

    Attributes:
        invalid: the trades of these times are not in it, or not as they are now.
        half_done: a refresh of these was ended half way: only `force` is sure to do them again.
    """

    invalid: tuple[Range, ...]
    half_done: tuple[Range, ...] = ()

    def overlaps(self, start: int, end: int) -> bool:
        """Tell whether anything of `[start, end)` is not known."""
        return _overlap((*self.invalid, *self.half_done), start, end)


ALL_TIME = Pending(((-(2**63), 2**63 - 1),))


class Window(msgspec.Struct, frozen=True):
    """One refresh.

    Attributes:
        start: microseconds since 1970 UTC.
        end: likewise.
        is_forced: compute again what counts as known.
    """

    start: int
    end: int
    is_forced: bool = False

    def statement(self, aggregate: Aggregate) -> str:
        """Return the SQL that does it; it cannot run inside a transaction block."""
        force = ", force => true" if self.is_forced else ""
        return (
            f"CALL refresh_continuous_aggregate('{aggregate.name}', "
            f"'{moment_of(self.start).isoformat()}'::timestamptz, "
            f"'{moment_of(self.end).isoformat()}'::timestamptz{force})"
        )


def moment_of(us: int) -> datetime:
    """Return microseconds since 1970 as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def missing_windows(
    connection: psycopg.Connection, aggregate: Aggregate, keep_days: Mapping[str, float]
) -> list[Window]:
    """Return what its policy never looks at and it does not know, oldest first.

    Args:
        connection: in autocommit mode, to a TimescaleDB with the aggregate.
        aggregate: which.
        keep_days: how long rows stay, by table.
    """
    (now,) = connection.execute(f"SELECT {_NOW}".encode()).fetchone() or (0,)
    days = keep_days.get("trades", 0)
    # A bucket that is cut by the policy's start would be in neither, so it is ours.
    end = _round_up(now - start_s(aggregate, days) * 1_000_000, length_us(aggregate))
    # A chunk goes when its last trade is due. None that begins after this goes within its length.
    floor = _round_up(now - round(days * DAY_US), HOUR_US) if days else -(2**63)
    chunks = connection.execute(_CHUNKS.encode()).fetchall()
    pending = read_pending(connection, aggregate)
    return list(windows(chunks, pending, floor, end, length_us(aggregate)))


def length_us(aggregate: Aggregate) -> int:
    """Return the length of its buckets, microseconds."""
    return Interval.parse(aggregate.interval).length // 1000


def windows(
    chunks: Iterable[Range], pending: Pending, floor: int, end: int, bucket: int
) -> Iterator[Window]:
    """Cut what is pending into refreshes of whole buckets.

    Args:
        chunks: where there are trades, oldest first.
        pending: what is not known.
        floor: of no earlier time, µs.
        end: of no later time, µs.
        bucket: length of a bucket, µs; it divides a day.
    """
    for begins, ends in _joined(chunks):
        start = _round_up(max(begins, floor), bucket)
        last = min(ends, end) // bucket * bucket
        while start < last:
            stop = min(last, start - start % DAY_US + DAY_US)
            if pending.overlaps(start, stop):
                yield Window(start, stop, is_forced=_overlap(pending.half_done, start, stop))
            start = stop


def _joined(chunks: Iterable[Range]) -> Iterator[Range]:
    """Join what follows without a hole: a bucket may begin in one chunk and end in the next."""
    joined: Range | None = None
    for begins, ends in chunks:
        if joined is not None and begins <= joined[1]:
            joined = joined[0], max(joined[1], ends)
        else:
            if joined is not None:
                yield joined
            joined = begins, ends
    if joined is not None:
        yield joined


def read_pending(connection: psycopg.Connection, aggregate: Aggregate) -> Pending:
    """Return what TimescaleDB says that an aggregate does not know.

    Its catalogue is its own affair: where it cannot be read, everything counts as pending. That
    costs time and nothing else: a refresh of what is known does nothing.
    """
    try:
        invalid = [row for log in _LOGS for row in _ranges(connection, aggregate, log)]
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        return ALL_TIME
    except psycopg.errors.InsufficientPrivilege:
        return ALL_TIME
    try:
        half_done = _ranges(connection, aggregate, _HALF_DONE)
    except psycopg.errors.UndefinedTable:
        half_done = []
    return Pending(tuple(invalid), tuple(half_done))


def _ranges(
    connection: psycopg.Connection, aggregate: Aggregate, log: tuple[str, str, str]
) -> list[Range]:
    table, column, made = log
    rows = connection.execute(
        (
            f"SELECT log.lowest_modified_value, log.greatest_modified_value FROM {_CATALOG}.{table}"
            f" AS log JOIN {_CATALOG}.continuous_agg AS made ON made.{made} = log.{column}"
            " WHERE made.user_view_schema = current_schema()"
            f" AND made.user_view_name = '{aggregate.name}'"
        ).encode()
    )
    return [(int(lowest), int(greatest)) for lowest, greatest in rows]


def _overlap(ranges: Iterable[Range], start: int, end: int) -> bool:
    return any(lowest < end and greatest >= start for lowest, greatest in ranges)


def _round_up(us: int, step: int) -> int:
    return -(-us // step) * step
