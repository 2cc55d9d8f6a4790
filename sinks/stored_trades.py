"""The store's trades: those of a venue's past put in where they are missing, and bars held to them.

A venue tells the time of the same trade with another precision in its past than in its stream, so
a trade is looked for by its id, near its time.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import psycopg

from market.events import Trade
from market.instruments import Instrument
from market.intervals import Interval
from sinks.insertion import Written, insert, moment
from sinks.rows import instrument_row, pack, trade_rows, unpack
from sinks.tables import TABLES

NEAR = "interval '2 s'"
"""Two times of one trade are never so far apart; Bitstamp's past has whole seconds."""
TOLERANCE = 1e-9
"""Sums of sizes in another order differ by less, as a share."""


class Agreement(msgspec.Struct, frozen=True):
    """Stored bars that were held to stored trades.

    Attributes:
        compared: closed bars of the range with a trade in them.
        agreed: those with the same open, high, low, close, volume and, where they tell it, count.
        without_bar: bars of time with trades, and no bar stored.
    """

    compared: int
    agreed: int
    without_bar: int


def insert_missing(
    connection: psycopg.Connection, instrument: Instrument, trades: Sequence[Trade]
) -> Written:
    """Store trades whose id is not there yet, in one transaction; nothing that is there changes.

    Args:
        connection: to a database with the schema, in autocommit mode.
        instrument: whose they are; it is stored too.
        trades: of the past.

    Raises:
        psycopg.Error: whatever the database says; nothing is stored then.
    """
    if not trades:
        return Written(0, 0, 0)
    table = TABLES["trades"]
    with connection.transaction():
        insert(
            connection,
            TABLES["instruments"],
            unpack(pack("instruments", [instrument_row(instrument)])),
        )
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS past_trades (LIKE trades) ON COMMIT DELETE ROWS"
        )
        kinds = [kind for _, kind in table.columns]
        with (
            connection.cursor() as cursor,
            cursor.copy(
                f"COPY pg_temp.past_trades ({table.column_list}) FROM STDIN (FORMAT BINARY)"
            ) as copy,
        ):
            copy.set_types(kinds)
            for trade, row in zip(trades, trade_rows(trades), strict=True):
                venue, symbol, _, number, price, size, side, _ = row
                times = moment(trade.ts_event), moment(trade.ts_recv)
                copy.write_row((venue, symbol, times[0], number, price, size, side, times[1]))
        done = connection.execute(
            f"INSERT INTO trades ({table.column_list}) SELECT {table.column_list} "
            "FROM pg_temp.past_trades AS past WHERE NOT EXISTS (SELECT FROM trades AS known "
            "WHERE known.venue = past.venue AND known.symbol = past.symbol "
            f"AND known.time BETWEEN past.time - {NEAR} AND past.time + {NEAR} "
            "AND known.trade_id = past.trade_id) ON CONFLICT DO NOTHING"
        )
        connection.execute("DELETE FROM pg_temp.past_trades")
        return Written(done.rowcount, 0, len(trades) - done.rowcount)


def agreement(
    connection: psycopg.Connection, instrument: str, interval: str, start: int, end: int
) -> Agreement:
    """Hold the stored bars that lie in `[start, end)` to the stored trades.

    Of trades of one moment any may be the first or the last: times are as precise as the venue is.

    Args:
        connection: to a database with the schema.
        instrument: id.
        interval: of the bars, of time: `"1m"`.
        start: of a bar, ns UTC.
        end: of a bar, ns UTC.
    """
    venue, _, symbol = instrument.partition(":")
    row = connection.execute(
        "WITH told AS MATERIALIZED ("
        "  SELECT date_bin(%(length)s, time, %(origin)s) AS start, time, price, size,"
        "    min(time) OVER bar AS first, max(time) OVER bar AS last FROM trades"
        "  WHERE venue = %(venue)s AND symbol = %(symbol)s"
        "    AND time >= %(start)s AND time < %(end)s"
        "  WINDOW bar AS (PARTITION BY date_bin(%(length)s, time, %(origin)s))),"
        " made AS (SELECT start, max(price) AS high, min(price) AS low, sum(size) AS volume,"
        "    count(*) AS count, array_agg(price) FILTER (WHERE time = first) AS opens,"
        "    array_agg(price) FILTER (WHERE time = last) AS closes FROM told GROUP BY start),"
        " stored AS (SELECT * FROM bars WHERE venue = %(venue)s AND symbol = %(symbol)s"
        '    AND "interval" = %(interval)s AND start >= %(start)s AND "end" <= %(end)s)'
        " SELECT count(stored.start),"
        "  count(*) FILTER (WHERE stored.high = made.high AND stored.low = made.low"
        "    AND abs(stored.volume - made.volume) <= %(tolerance)s * made.volume"
        "    AND stored.open = ANY(made.opens) AND stored.close = ANY(made.closes)"
        "    AND stored.count IN (0, made.count)),"
        "  count(*) FILTER (WHERE stored.start IS NULL)"
        " FROM made LEFT JOIN stored USING (start)",
        {
            "length": timedelta(microseconds=Interval.parse(interval).length // 1000),
            "origin": moment(start),
            "start": moment(start),
            "end": moment(end),
            "venue": venue,
            "symbol": symbol,
            "interval": interval,
            "tolerance": TOLERANCE,
        },
    ).fetchone()
    if row is None:
        raise RuntimeError("an aggregate gave no row")
    return Agreement(*row)
