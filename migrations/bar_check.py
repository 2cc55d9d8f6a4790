"""Hold the stored bars against what the database makes of the stored trades.

The database computes the bars of a day at a time and leaves those that are like ours: from the
continuous aggregates where it has them and they know that day, else from the trades. What is left
is settled trade by trade (`bar_of_trades`), since an aggregate does not know which of two trades of
one moment came first.

Not every bar can be held to trades. Left out are those that say of themselves that they may lack
some (`partial`, `gap`), a venue's own, bars at the ends of the stored trades (their time was cut:
by retention, by the first start, or because it is not over), and series without trades: bars over
all venues, of ticks or volume, of candles alone.

A bar that was put right from the venue's past knows trades that we never saw. So a difference is
counted apart where the gap ledger says that trades or rows may be missing, from the last trade
before on; and where the flow did not run, which the ledger does not always know. That is so of a
bar with more trades than are stored that was told again (`revision`), or beside a bar none of whose
trades is stored; and of a missing bar that a new run follows, whose first bar is marked or told
again: what was forming when the run before ended was never told.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import msgspec
import psycopg
from psycopg.rows import class_row

from market.intervals import DAY, Interval
from migrations.bar_of_trades import TOLERANCE, StoredTrade, Unlike, Values, unlike
from migrations.kept_series import Kept, kept_series
from migrations.storage.aggregate_windows import Pending, read_pending
from migrations.storage.aggregates import AGGREGATES
from migrations.storage.server import ServerKind, exists, read_server
from sinks.insertion import moment
from sinks.nanoseconds import ns_of

_OF_TRADES = """
SELECT venue, symbol, date_bin(%(length)s, time, %(origin)s) AS start,
    (array_agg(price ORDER BY time, received_at))[1] AS open, max(price) AS high,
    min(price) AS low, (array_agg(price ORDER BY time DESC, received_at DESC))[1] AS close,
    sum(size) AS volume,
    sum(CASE side WHEN 'buy' THEN size WHEN 'unknown' THEN size / 2 ELSE 0 END) AS buy_volume,
    sum(price * size) AS notional, count(*) AS count
FROM trades JOIN kept USING (venue, symbol)
WHERE time >= %(start)s AND time < %(end)s GROUP BY 1, 2, 3
"""
_OF_AGGREGATE = """
SELECT venue, symbol, start, open, high, low, close, volume, buy_volume, notional, count
FROM {name} WHERE start >= %(start)s AND start < %(end)s
"""
_CANDIDATES = """
WITH kept AS (
    SELECT * FROM unnest(%(venues)s::text[], %(symbols)s::text[], %(firsts)s::timestamptz[],
        %(lasts)s::timestamptz[]) AS kept (venue, symbol, first, last)
), made AS (
    SELECT made.* FROM ({made}) AS made JOIN kept USING (venue, symbol)
    WHERE made.start >= kept.first AND made.start < kept.last
), ours AS (
    SELECT bars.* FROM bars JOIN kept USING (venue, symbol)
    WHERE "interval" = %(interval)s AND bars.start >= %(start)s AND bars.start < %(end)s
        AND bars.start >= kept.first AND bars.start < kept.last
), pairs AS (
    SELECT venue, symbol, start, ours.open, ours.high, ours.low, ours.close, ours.volume,
        ours.buy_volume, ours.notional, ours.vwap, ours.count, ours.revision,
        ours.partial OR ours.gap OR (ours.count = 0 AND ours.volume > 0) AS is_apart,
        ours."interval" IS NOT NULL AS is_stored,
        coalesce(ours.open = made.open AND ours.high = made.high AND ours.low = made.low
            AND ours.close = made.close AND ours.count = made.count
            AND {volume} AND {buy_volume} AND {notional}
            AND abs(ours.vwap * ours.volume - ours.notional) <= %(tolerance)s * ours.notional,
            made.count IS NULL AND ours.count = 0 AND ours.volume = 0) AS is_like
    FROM ours FULL JOIN made USING (venue, symbol, start)
), told AS (
    SELECT *, count(*) FILTER (WHERE is_stored AND NOT is_apart) OVER () AS held,
        count(*) FILTER (WHERE is_apart) OVER () AS apart, row_number() OVER () AS number
    FROM pairs
)
SELECT held, apart, coalesce(is_apart, false) OR is_like AS is_well, is_stored, venue, symbol,
    {begins} AS start, revision, open, high, low, close, volume, buy_volume, notional, vwap, count
FROM told
WHERE number = 1 OR NOT (coalesce(is_apart, false) OR is_like)
"""
_IS_UNSEEN = """
SELECT EXISTS (SELECT FROM bars WHERE venue = %(venue)s AND symbol = %(symbol)s
    AND "interval" = %(interval)s AND start = %(start)s AND volume > 0)
AND NOT EXISTS (SELECT FROM trades WHERE venue = %(venue)s AND symbol = %(symbol)s
    AND time >= %(start)s AND time < %(end)s)
"""
_IS_FORGOTTEN = """
SELECT (partial OR gap OR revision > 0) AND NOT EXISTS (SELECT FROM trades
    WHERE venue = %(venue)s AND symbol = %(symbol)s AND time >= %(end)s AND time < following.start)
FROM bars AS following WHERE venue = %(venue)s AND symbol = %(symbol)s
    AND "interval" = %(interval)s AND start >= %(end)s ORDER BY start LIMIT 1
"""
_TRADES = """
SELECT time, received_at, price, size, side FROM trades
WHERE venue = %s AND symbol = %s AND time >= %s AND time < %s ORDER BY time, received_at
"""


class Difference(msgspec.Struct, frozen=True):
    """A bar that is not what its trades make, in one column.

    Attributes:
        venue: of the bar.
        symbol: of the bar.
        interval: of the bar, `"1m"`.
        start: ns UTC.
        unlike: the column and both values.
    """

    venue: str
    symbol: str
    interval: str
    start: int
    unlike: Unlike


class BarCheck(msgspec.Struct):
    """What came of it.

    Attributes:
        series: venue, symbol and interval that were looked at.
        without_trades: those that were not, for there are no trades.
        held: bars that were held to trades.
        apart: bars of these times that say that they may lack trades, or that a venue made.
        excused: bars that differ, or are not there, where the ledger says trades may lack.
        unseen: such bars where the flow seems not to have run, of which the ledger knows nothing.
        stale: bars that their trades make, and the continuous aggregates do not.
        bars: bars that are wrong or missing.
        differences: of those the first, one for each column.
    """

    series: int = 0
    without_trades: int = 0
    held: int = 0
    apart: int = 0
    excused: int = 0
    unseen: int = 0
    stale: int = 0
    bars: int = 0
    differences: list[Difference] = []


def check_bars(
    connection: psycopg.Connection,
    *,
    since: int = 0,
    keep_days: Mapping[str, float],
    most: int,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> BarCheck:
    """Hold every stored bar of time to the stored trades.

    Args:
        connection: in autocommit mode, to a database with the schema.
        since: bars that start before are left out, ns UTC.
        keep_days: how long rows stay, by table: what retention may have cut is left out.
        most: so many differences are returned; all are counted.
        report: told how many parts are done, of how many.

    Raises:
        psycopg.Error: whatever the database says.
    """
    kept = kept_series(connection, since, keep_days)
    check = BarCheck(series=kept.count, without_trades=kept.without_trades, differences=[])
    parts = list(_parts(kept.by_interval))
    sources = _Sources(connection)
    for done, part in enumerate(parts):
        report(done, len(parts))
        _check_part(connection, check, part, sources.of(part), most)
    report(len(parts), len(parts))
    return check


class _Part(msgspec.Struct, frozen=True):
    """The bars of one length that start in `[start, end)`, ns UTC."""

    interval: Interval
    series: list[Kept]
    start: int
    end: int


def _parts(kept: Mapping[Interval, list[Kept]]) -> Iterator[_Part]:
    for interval, series in kept.items():
        step = max(DAY, interval.length)
        first = min(part.first for part in series)
        last = max(part.last for part in series)
        start = first - (first - interval.offset) % step
        while start < last:
            yield _Part(interval, series, start, start + step)
            start += step


class _Sources:
    """Where the bars of a day are computed from."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._aggregates: dict[str, tuple[str, list[Pending]]] = {}
        pending: list[Pending] = []
        if read_server(connection).kind is ServerKind.COMMUNITY:
            for aggregate in AGGREGATES:
                if exists(connection, aggregate.name):
                    # It knows no more than what it is made of.
                    pending = [*pending, read_pending(connection, aggregate)]
                    self._aggregates[aggregate.interval] = aggregate.name, pending

    def of(self, part: _Part) -> str:
        """Return the name of the aggregate that knows all of a part; empty when none does."""
        name, pending = self._aggregates.get(part.interval.name, ("", []))
        start, end = part.start // 1000, part.end // 1000
        return "" if any(each.overlaps(start, end) for each in pending) else name


class _Candidate(msgspec.Struct, frozen=True):
    """A bar that the database does not find like its trades; `bar` is None when there is none."""

    venue: str
    symbol: str
    start: int
    revision: int
    bar: Values | None


def _check_part(
    connection: psycopg.Connection, check: BarCheck, part: _Part, aggregate: str, most: int
) -> None:
    kept = {(one.venue, one.symbol): one for one in part.series}
    name, length = part.interval.name, part.interval.length
    for one in _candidates(connection, check, part, aggregate):
        start, end = one.start, one.start + length
        trades = _read_trades(connection, one.venue, one.symbol, start, end)
        found = unlike(one.bar, trades)
        if not found:
            check.stale += bool(aggregate)
        elif kept[one.venue, one.symbol].is_excused(start, end):
            check.excused += 1
        elif _is_between_runs(connection, one, part.interval, len(trades)):
            check.unseen += 1
        else:
            check.bars += 1
            told = [Difference(one.venue, one.symbol, name, start, each) for each in found]
            check.differences += told[: max(0, most - len(check.differences))]


def _is_between_runs(
    connection: psycopg.Connection, one: _Candidate, interval: Interval, stored: int
) -> bool:
    """Tell whether the flow may not have run for a part of a bar, `stored` trades being there."""

    def tells(query: str, start: int) -> bool:
        values = {
            "venue": one.venue,
            "symbol": one.symbol,
            "interval": interval.name,
            "start": moment(start),
            "end": moment(start + interval.length),
        }
        row = connection.execute(query.encode(), values).fetchone()
        return row is not None and row[0] is True

    if one.bar is None:
        return tells(_IS_FORGOTTEN, one.start)
    if one.bar.count <= stored:
        return False
    if one.revision and stored:
        return True
    beside = (one.start - interval.length, one.start + interval.length)
    return any(tells(_IS_UNSEEN, start) for start in beside)


def _candidates(
    connection: psycopg.Connection, check: BarCheck, part: _Part, aggregate: str
) -> list[_Candidate]:
    """Return what the database does not find like; count the rest."""
    query = _CANDIDATES.format(
        made=_OF_AGGREGATE.format(name=aggregate) if aggregate else _OF_TRADES,
        begins=ns_of("start"),
        **{
            column: f"abs(ours.{column} - made.{column}) <= %(tolerance)s * made.{column}"
            for column in ("volume", "buy_volume", "notional")
        },
    )
    parameters = {
        "venues": [kept.venue for kept in part.series],
        "symbols": [kept.symbol for kept in part.series],
        "firsts": [moment(kept.first) for kept in part.series],
        "lasts": [moment(kept.last) for kept in part.series],
        "interval": part.interval.name,
        "length": timedelta(microseconds=part.interval.length // 1000),
        "origin": moment(part.interval.offset),
        "start": moment(part.start),
        "end": moment(part.end),
        "tolerance": TOLERANCE,
    }
    rows = connection.execute(query.encode(), parameters).fetchall()
    if rows:
        check.held += rows[0][0]
        check.apart += rows[0][1]
    return [
        _Candidate(venue, symbol, start, revision or 0, bar=Values(*values) if is_stored else None)
        for _, _, is_well, is_stored, venue, symbol, start, revision, *values in rows
        if not is_well
    ]


def _read_trades(
    connection: psycopg.Connection, venue: str, symbol: str, start: int, end: int
) -> list[StoredTrade]:
    with connection.cursor(row_factory=class_row(StoredTrade)) as cursor:
        return cursor.execute(_TRADES, (venue, symbol, moment(start), moment(end))).fetchall()
