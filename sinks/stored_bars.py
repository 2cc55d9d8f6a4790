"""Bars as they are read back from the store."""

import psycopg

from market.events import Bar
from market.instruments import instrument_id
from sinks.insertion import moment

_NS = "(extract(epoch FROM {}) * 1000000)::bigint * 1000"


def read_bars(
    connection: psycopg.Connection, instrument: str, interval: str, *, start: int, end: int
) -> list[Bar]:
    """Return the stored bars that lie in `[start, end)`, oldest first.

    Args:
        connection: to a database with our tables.
        instrument: id, `"binance:BTC-USDT"`.
        interval: of the bars, `"1m"`.
        start: ns UTC.
        end: ns UTC.

    Raises:
        psycopg.OperationalError: the database is away.
    """
    venue, _, symbol = instrument.partition(":")
    began, ended = _NS.format("start"), _NS.format('"end"')
    rows = connection.execute(
        f"SELECT {began}, {ended}, open, high, low, close, volume, buy_volume, notional, count, "
        'revision, partial, gap FROM bars WHERE venue = %s AND symbol = %s AND "interval" = %s '
        'AND start >= %s AND start < %s AND "end" <= %s ORDER BY start',
        (venue, symbol, interval, moment(start), moment(end), moment(end)),
    )
    return [
        Bar(
            instrument=instrument_id(venue, symbol),
            interval=interval,
            start=row[0],
            end=row[1],
            open=row[2],
            high=row[3],
            low=row[4],
            close=row[5],
            volume=row[6],
            buy_volume=row[7],
            notional=row[8],
            count=row[9],
            revision=row[10],
            partial=row[11],
            gap=row[12],
        )
        for row in rows
    ]
