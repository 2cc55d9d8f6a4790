"""The store's bars: as they are read back, where they are missing, how a venue's fill them in.

What our own trades made is never replaced by a venue's candle, unless it says of itself that it
may lack trades (`partial`, `gap`).
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import msgspec
import psycopg

from market.events import Bar
from market.instruments import Instrument, instrument_id
from sinks.insertion import Written, insert, moment
from sinks.rows import bar_row, instrument_row, pack, unpack
from sinks.tables import TABLES

_BEGINS = "(extract(epoch FROM start) * 1000000)::bigint * 1000"
_ENDS = '(extract(epoch FROM "end") * 1000000)::bigint * 1000'
_REPLACED = ", ".join(
    f'"{name}" = excluded."{name}"'
    for name, _ in TABLES["bars"].columns[TABLES["bars"].key :]
    if name != "revision"
)
_COLUMNS = (
    f"{_BEGINS}, {_ENDS}, open, high, low, close, volume, buy_volume, notional, count, revision,"
    " partial, gap"
)
_AT_ONCE = 2000
_cursors = count(1)
_CANDLES = msgspec.structs.replace(
    TABLES["bars"],
    # The revision stays: a late trade of our own still counts up from it.
    update=f"SET {_REPLACED} WHERE stored.partial OR stored.gap",
    wins=lambda _new, _old: False,
)


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
    rows = connection.execute(
        f'SELECT {_COLUMNS} FROM bars WHERE venue = %s AND symbol = %s AND "interval" = %s '
        'AND start >= %s AND start < %s AND "end" <= %s ORDER BY start',
        (venue, symbol, interval, moment(start), moment(end), moment(end)),
    )
    name = instrument_id(venue, symbol)
    return [_bar(name, interval, row) for row in rows]


def stream_bars(
    connection: psycopg.Connection, instrument: str, interval: str, *, start: int, end: int
) -> Iterator[Bar]:
    """Return the bars that `read_bars` returns, a few thousand in memory at a time.

    Several may be read at once over one connection, which commits by itself.

    Raises:
        psycopg.OperationalError: the database is away.
    """
    venue, _, symbol = instrument.partition(":")
    name = instrument_id(venue, symbol)
    with connection.cursor(name=f"bars_{next(_cursors)}", withhold=True) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(
            f'SELECT {_COLUMNS} FROM bars WHERE venue = %s AND symbol = %s AND "interval" = %s '
            'AND start >= %s AND start < %s AND "end" <= %s ORDER BY start',
            (venue, symbol, interval, moment(start), moment(end), moment(end)),
            binary=True,
        )
        for row in cursor:
            yield _bar(name, interval, row)


def _bar(instrument: str, interval: str, row: tuple[Any, ...]) -> Bar:
    return Bar(
        instrument=instrument,
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


def missing_ranges(
    connection: psycopg.Connection, instrument: str, interval: str, start: int, end: int
) -> list[tuple[int, int]]:
    """Return where no whole bar is stored, oldest first, ns UTC.

    Args:
        connection: to a database with the schema.
        instrument: id.
        interval: of the bars.
        start: start of a bar.
        end: end of a bar.
    """
    venue, _, symbol = instrument.partition(":")
    rows = connection.execute(
        f"WITH whole AS (SELECT {_BEGINS} AS begins, {_ENDS} AS ends"
        ' FROM bars WHERE venue = %s AND symbol = %s AND "interval" = %s'
        " AND start >= %s AND start < %s AND NOT partial AND NOT gap"
        " UNION ALL SELECT %s::bigint, %s::bigint UNION ALL SELECT %s::bigint, %s::bigint),"
        " pairs AS (SELECT ends, lead(begins) OVER (ORDER BY begins, ends) AS following FROM whole)"
        " SELECT ends, following FROM pairs WHERE following > ends ORDER BY ends",
        (venue, symbol, interval, moment(start), moment(end), start, start, end, end),
    )
    return [(begins, ends) for begins, ends in rows]


def fill_in(connection: psycopg.Connection, instrument: Instrument, bars: Sequence[Bar]) -> Written:
    """Store a venue's bars where none of ours is whole, in one transaction.

    Args:
        connection: to a database with the schema.
        instrument: whose bars they are; it is stored too.
        bars: closed.

    Raises:
        psycopg.Error: whatever the database says; nothing is stored then.
    """
    if not bars:
        return Written(0, 0, 0)
    with connection.transaction():
        insert(
            connection,
            TABLES["instruments"],
            unpack(pack("instruments", [instrument_row(instrument)])),
        )
        return insert(connection, _CANDLES, unpack(pack("bars", [bar_row(bar) for bar in bars])))
