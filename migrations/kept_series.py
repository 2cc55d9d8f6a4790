"""The series of stored bars that can be held to the stored trades, and the part of each."""

from collections.abc import Mapping

import msgspec
import psycopg

from market.intervals import DAY, Interval
from sinks.nanoseconds import ns_of

SETTLED_NS = 120_000_000_000
"""Bars that ended later than this before now may still be revised, or wait to be written."""
CLOCKS_NS = 5_000_000_000
"""How far the ledger's times, by our clock, may be from the venue's."""
_FOR_EVER = 2**62

_SERIES = """
WITH RECURSIVE series AS (
    (SELECT venue, symbol, "interval" FROM bars ORDER BY 1, 2, 3 LIMIT 1)
    UNION ALL
    SELECT following.* FROM series, LATERAL (
        SELECT venue, symbol, "interval" FROM bars
        WHERE (venue, symbol, "interval") > (series.venue, series.symbol, series."interval")
        ORDER BY 1, 2, 3 LIMIT 1
    ) AS following
)
SELECT venue, symbol, "interval", {first_bar}, {last_bar}, {first_trade}, {last_trade}
FROM series,
LATERAL (SELECT start FROM bars WHERE bars.venue = series.venue AND bars.symbol = series.symbol
    AND bars."interval" = series."interval" ORDER BY start LIMIT 1) AS first_bar,
LATERAL (SELECT start FROM bars WHERE bars.venue = series.venue AND bars.symbol = series.symbol
    AND bars."interval" = series."interval" ORDER BY start DESC LIMIT 1) AS last_bar
LEFT JOIN LATERAL (SELECT time FROM trades WHERE trades.venue = series.venue
    AND trades.symbol = series.symbol ORDER BY time LIMIT 1) AS first_trade ON true
LEFT JOIN LATERAL (SELECT time FROM trades WHERE trades.venue = series.venue
    AND trades.symbol = series.symbol ORDER BY time DESC LIMIT 1) AS last_trade ON true
"""
_HOLES = """
SELECT {begins}, {ends} FROM gaps
LEFT JOIN LATERAL (SELECT time FROM trades WHERE venue = %(venue)s AND symbol = %(symbol)s
    AND time <= gaps.started_at ORDER BY time DESC LIMIT 1) AS before ON true
WHERE (gaps.venue, gaps.symbol) IN ((%(venue)s, %(symbol)s), ('', ''))
    AND channel IN ('all', 'trade', 'store') ORDER BY 1
"""


class Kept(msgspec.Struct, frozen=True):
    """A series, and the part of it that can be held to trades.

    Attributes:
        venue: of its bars.
        symbol: of its bars.
        first: no bar starts before this, ns UTC.
        last: none starts then or later, ns UTC.
        holes: intervals in which data may be missing, ns UTC.
    """

    venue: str
    symbol: str
    first: int
    last: int
    holes: tuple[tuple[int, int], ...]

    def is_excused(self, start: int, end: int) -> bool:
        """Tell whether data of `[start, end)` may be missing."""
        return any(begins < end and ends > start for begins, ends in self.holes)


class KeptSeries(msgspec.Struct, frozen=True):
    """What can be checked.

    Attributes:
        by_interval: series of which some bars can.
        count: all series that have trades.
        without_trades: those that have none.
    """

    by_interval: dict[Interval, list[Kept]]
    count: int
    without_trades: int


def kept_series(
    connection: psycopg.Connection, since: int, keep_days: Mapping[str, float]
) -> KeptSeries:
    """Return the series that can be checked, by interval.

    Args:
        connection: in autocommit mode, to a database with the schema.
        since: bars that start before are left out, ns UTC.
        keep_days: how long rows stay, by table: what retention may have cut is left out.
    """
    query = _SERIES.format(
        first_bar=ns_of("first_bar.start"),
        last_bar=ns_of("last_bar.start"),
        first_trade=ns_of("first_trade.time"),
        last_trade=ns_of("last_trade.time"),
    )
    (now,) = connection.execute(f"SELECT {ns_of('now()')}".encode()).fetchone() or (0,)
    days = keep_days.get("trades", 0)
    floor = max(since, round(now - days * DAY) if days else 0)
    holes: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {}
    kept: dict[Interval, list[Kept]] = {}
    count = without_trades = 0
    for venue, symbol, name, first_bar, last_bar, first_trade, last_trade in connection.execute(
        query.encode()
    ).fetchall():
        try:
            interval = Interval.parse(name)
        except ValueError:
            without_trades += 1
            continue
        if first_trade is None:
            without_trades += 1
            continue
        if (venue, symbol) not in holes:
            holes[venue, symbol] = _holes(connection, venue, symbol)
        settled = interval.start_of(now - SETTLED_NS - interval.length) + interval.length
        part = Kept(
            venue,
            symbol,
            first=max(floor, first_bar, interval.start_of(first_trade) + interval.length),
            last=min(last_bar + interval.length, interval.start_of(last_trade), settled),
            holes=holes[venue, symbol],
        )
        count += 1
        if part.first < part.last:
            kept.setdefault(interval, []).append(part)
    return KeptSeries(kept, count, without_trades)


def _holes(connection: psycopg.Connection, venue: str, symbol: str) -> tuple[tuple[int, int], ...]:
    # A run that ended tells nothing of it; the next one has a gap from its start on. What was not
    # seen begins with the last trade before.
    query = _HOLES.format(
        begins=ns_of("coalesce(least(before.time, gaps.started_at), gaps.started_at)"),
        ends=ns_of("gaps.ended_at"),
    )
    rows = connection.execute(query.encode(), {"venue": venue, "symbol": symbol})
    return tuple(
        (begins - CLOCKS_NS, _FOR_EVER if ends is None else ends + CLOCKS_NS)
        for begins, ends in rows
    )
