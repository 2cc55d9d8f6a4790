"""The ledger as it is read."""

import psycopg

from market.events import GapInterval
from sinks.gap_ledger import open_gaps, read_gaps
from sinks.insertion import insert
from sinks.rows import gap_row, pack, unpack
from sinks.tables import TABLES

START = 1_700_000_000_123_456_789
NAME = "binance:BTC-USDT"


def store(database: str, *gaps: GapInterval) -> None:
    rows = unpack(pack("gaps", [gap_row(gap) for gap in gaps]))
    with psycopg.connect(database) as connection, connection.transaction():
        insert(connection, TABLES["gaps"], rows)


def gap(
    channel: str, started: int = START, ended: int | None = None, *, instrument: str = NAME
) -> GapInterval:
    return GapInterval(
        instrument=instrument, channel=channel, reason="cut", started=started, ended=ended
    )


def test_what_is_open_is_found_and_closes_the_row_it_came_from(database: str) -> None:
    other = "binance:ETH-USDT"
    store(
        database,
        gap("all"),
        gap("book", START + 10**9),
        gap("trade", START, START + 10**9),
        gap("all", instrument=other),
    )
    with psycopg.connect(database) as connection:
        found = open_gaps(connection, [NAME, "binance:NO-SUCH"])
    assert [(one.channel, one.reason) for one in found] == [("all", "cut"), ("book", "cut")]
    assert [one.started // 1000 for one in found] == [START // 1000, START // 1000 + 10**6]
    store(database, *(gap(one.channel, one.started, START + 5 * 10**9) for one in found))
    with psycopg.connect(database) as connection:
        assert open_gaps(connection, [NAME]) == []
        rows = read_gaps(connection, instruments=[NAME])
    assert len(rows) == 3
    assert all(row.ended is not None for row in rows)


def test_what_had_ended_before_is_left_out(database: str) -> None:
    store(database, gap("book", START, START + 10**9), gap("all", START + 10**9))
    with psycopg.connect(database) as connection:
        assert len(read_gaps(connection, since=START + 5 * 10**8)) == 2
        assert [row.channel for row in read_gaps(connection, since=START + 2 * 10**9)] == ["all"]
        assert read_gaps(connection, venues=["bybit"]) == []
