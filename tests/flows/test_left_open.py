"""A gap that was open when the process was killed is closed by the next run's first data."""

import psycopg

from connectors import VENUES
from connectors.drain import Drain
from connectors.recording import Record
from connectors.venue_feeds import VenueFeeds
from flows.crypto import _left_open
from market.events import MarketEvent
from market.instruments import Instrument
from sinks.gap_ledger import open_gaps, read_gaps
from sinks.insertion import insert
from sinks.rows import Row, gap_row, pack, unpack
from sinks.secret import Secret
from sinks.tables import TABLES
from tests.flows.market_events import BTC, beat, gap, make_market, snapshot, trade

FOLLOWED = Instrument(
    venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT"
)


def run(database: str, *events: MarketEvent) -> None:
    """A run of the program that remembers nothing of the one before but the database."""
    market = make_market()
    drain = Drain()
    for body in _left_open(Secret(database), [VenueFeeds(VENUES["binance"], [FOLLOWED])]):
        drain.add(Record(1, "", "control", body), [])
    drain.add(Record(2, "binance-0-0.1", "text"), list(events))
    for symbol, group in drain.take():
        assert symbol == "BTC-USDT"
        rows: list[Row] = [gap_row(one) for one in market.advance(group).gaps]
        if rows:
            with psycopg.connect(database) as connection, connection.transaction():
                insert(connection, TABLES["gaps"], unpack(pack("gaps", rows)))


def test_the_next_run_closes_it(database: str) -> None:
    begins = (gap(0, reason="connecting"), snapshot(0.5), trade(0.6))
    run(database, *begins, gap(1, reason="cut"), gap(1.2, "trade", reason="1 is missing"))
    with psycopg.connect(database) as connection:
        assert [one.channel for one in open_gaps(connection, [BTC])] == ["all", "trade"]
    run(database, gap(50, reason="connecting"), beat(51))
    with psycopg.connect(database) as connection:
        assert len(open_gaps(connection, [BTC])) == 2, "nothing has come yet"
    run(database, gap(60, reason="connecting"), snapshot(61), trade(62))
    with psycopg.connect(database) as connection:
        assert open_gaps(connection, [BTC]) == []
        rows = read_gaps(connection)
    assert [(row.channel, row.reason) for row in rows] == [
        ("all", "cut"),
        ("trade", "1 is missing"),
    ]
    assert [row.ended for row in rows] == [
        event.ts_recv // 1000 * 1000 for event in (snapshot(61), trade(62))
    ]


def test_a_new_database_has_nothing_to_close(database: str) -> None:
    assert _left_open(Secret(database), []) == []
    run(database, gap(0, reason="connecting"), snapshot(1))
    with psycopg.connect(database) as connection:
        assert read_gaps(connection) == []
