"""Candles into the store: what is missing, and nothing over what our own trades made."""

import itertools

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import VENUES
from connectors.history import CandleHistory
from connectors.limiter import HostLimiter
from flows.backfill import Backfilled, backfill
from market.errors import ConfigError, HistoryError
from market.events import Bar
from market.instruments import Instrument
from simulator.dialects import DIALECTS
from simulator.dialects.contract import DialectOptions
from simulator.listings import choose
from simulator.market_model import MarketModel
from sinks.insertion import insert
from sinks.rows import bar_row, pack, unpack
from sinks.stored_bars import fill_in, missing_ranges
from sinks.tables import TABLES
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOW = 1_700_000_115 * SECOND
"""A quarter of a minute after a full one."""
UNTIL = NOW - NOW % MINUTE
INSTRUMENT = Instrument(
    venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT"
)
QUIET = Instrument(venue="binance", symbol="LTC-BTC", native="LTCBTC", base="LTC", quote="BTC")


class Host:
    """A simulated venue without a socket; `fails_from` is the first request that it refuses."""

    def __init__(self, *, page: int = 0, fails_from: int = 10**9, venue: str = "binance") -> None:
        self._venue = VENUES[venue]
        model = MarketModel(choose(["BTC-USDT", "LTC-BTC"]), seed=5, start=NOW)
        self._dialect = DIALECTS[venue](model, DialectOptions(weight_per_minute=10**6))
        self._fails_from = fails_from
        self.requests = 0
        self.reports: list[Backfilled] = []
        limiter = HostLimiter(self._venue.limits, lambda: 0)
        self.history = CandleHistory(
            client=lambda: httpx.Client(transport=httpx.MockTransport(self._answer)),
            wait=lambda _: None,
            page=page,
            limiter=lambda _venue, _url: limiter,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests >= self._fails_from:
            return httpx.Response(400, content=b'{"code":-1,"msg":"no"}')
        answer = self._dialect.requested(request.url.raw_path.decode(), NOW)
        return httpx.Response(answer.status, content=answer.body)

    def backfill(
        self, database: str, minutes: int, *, instrument: Instrument = INSTRUMENT, ago: int = 0
    ) -> Backfilled:
        return backfill(
            self._venue, instrument, "1m", UNTIL - (minutes + ago) * MINUTE,
            UNTIL - ago * MINUTE, now=NOW, database_url=database, rest_url="http://simulated",
            history=self.history, report=self._report,
        )  # fmt: skip

    def _report(self, done: Backfilled) -> None:
        self.reports.append(Backfilled(done.wanted, done.done, done.new))


def ours(minutes_ago: int, **changed: object) -> Bar:
    values: dict[str, object] = {
        "instrument": INSTRUMENT.id,
        "interval": "1m",
        "start": UNTIL - minutes_ago * MINUTE,
        "end": UNTIL - (minutes_ago - 1) * MINUTE,
        "open": 1.0,
        "high": 1.0,
        "low": 1.0,
        "close": 1.0,
        "volume": 1.0,
        "buy_volume": 1.0,
        "notional": 1.0,
        "count": 1,
        **changed,
    }
    return Bar(**values)  # type: ignore[arg-type]


def store(database: str, *bars: Bar) -> None:
    rows = unpack(pack("bars", [bar_row(bar) for bar in bars]))
    with psycopg.connect(database) as connection, connection.transaction():
        insert(connection, TABLES["bars"], rows)


def stored(database: str, symbol: str = "BTC-USDT") -> list[tuple[int, float, int, bool, int]]:
    """Minutes ago, close, revision, partial or gap, count; oldest first."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM start)::bigint, close, revision, partial OR gap, count"
            " FROM bars WHERE symbol = %s ORDER BY start",
            (symbol,),
        ).fetchall()
    return [((UNTIL // SECOND - start) // 60, *rest) for start, *rest in rows]


def test_what_is_missing_is_stored_once(database: str) -> None:
    host = Host()
    done = host.backfill(database, 30)
    assert (done.wanted, done.done, done.new, done.replaced) == (30, 30, 30, 0)
    assert done.first == UNTIL - 30 * MINUTE
    rows = stored(database)
    assert [row[0] for row in rows] == list(range(30, 0, -1))
    assert all(63_000 < row[1] < 65_000 and row[4] > 0 for row in rows)
    again = host.backfill(database, 30)
    assert (again.wanted, again.new, host.requests) == (0, 0, 1)
    assert stored(database) == rows
    with psycopg.connect(database) as connection:
        listed = connection.execute("SELECT venue, symbol, native FROM instruments").fetchall()
    assert listed == [("binance", "BTC-USDT", "BTCUSDT")]


def test_our_own_bars_stay_unless_they_may_lack_trades(database: str) -> None:
    store(
        database,
        ours(5),
        ours(4, partial=True),
        ours(3, gap=True, revision=2),
        ours(2, revision=1),
    )
    done = Host().backfill(database, 6)
    assert (done.wanted, done.new, done.replaced) == (4, 2, 2)
    rows = stored(database)
    assert [row[0] for row in rows] == [6, 5, 4, 3, 2, 1]
    assert [row[1] == 1.0 for row in rows] == [False, True, False, False, True, False]
    assert [row[2] for row in rows] == [0, 0, 0, 2, 1, 0]
    assert not any(row[3] for row in rows)
    assert Host().backfill(database, 6).wanted == 0


def test_a_late_trade_of_our_own_still_corrects_a_bar_that_was_filled_in(database: str) -> None:
    store(database, ours(3, gap=True, revision=2))
    Host().backfill(database, 5)
    store(database, ours(3, revision=3, close=7.0, high=7.0))
    assert [row[1] for row in stored(database) if row[0] == 3] == [7.0]
    store(database, ours(2, revision=0, close=9.0, high=9.0))
    assert [row[1] == 9.0 for row in stored(database) if row[0] == 2] == [False]


def test_it_goes_on_where_it_stopped(database: str) -> None:
    broken = Host(page=10, fails_from=3)
    with pytest.raises(HistoryError):
        broken.backfill(database, 50)
    assert len(stored(database)) == 20
    assert [(one.wanted, one.done) for one in broken.reports] == [(50, 0), (50, 10), (50, 20)]
    whole = Host(page=10)
    done = whole.backfill(database, 50)
    assert (done.wanted, done.new, whole.requests) == (30, 30, 3)
    assert len(stored(database)) == 50


def test_only_the_holes_are_asked_for(database: str) -> None:
    Host().backfill(database, 10, ago=20)
    Host().backfill(database, 10, ago=40)
    host = Host(page=10)
    done = host.backfill(database, 60)
    assert (done.wanted, done.new, done.done) == (40, 40, 40)
    assert [row[0] for row in stored(database)] == list(range(60, 0, -1))


def test_a_quiet_market_does_not_cost_a_request_for_every_hole(database: str) -> None:
    host = Host()
    first = host.backfill(database, 300, instrument=QUIET)
    assert 0 < first.new < 300
    again = host.backfill(database, 300, instrument=QUIET)
    assert again.wanted == 300 - first.new
    assert (again.new, again.done) == (0, again.wanted)
    assert host.requests == 2


@settings(
    examples(15),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(whole=st.sets(st.integers(1, 20)), broken=st.sets(st.integers(1, 20)))
def test_missing_is_what_no_whole_bar_covers(
    database: str, whole: set[int], broken: set[int]
) -> None:
    with psycopg.connect(database) as connection:
        bars = [ours(ago) for ago in whole] + [ours(ago, gap=True) for ago in broken - whole]
        rows = unpack(pack("bars", [bar_row(bar) for bar in bars]))
        if rows:
            insert(connection, TABLES["bars"], rows)
        ranges = missing_ranges(
            connection, INSTRUMENT.id, "1m", UNTIL - 15 * MINUTE, UNTIL - 5 * MINUTE
        )
        connection.rollback()
    assert all(begins < ends for begins, ends in ranges)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges))
    missing = {
        (UNTIL - start) // MINUTE
        for begins, ends in ranges
        for start in range(begins, ends, MINUTE)
    }
    assert missing == {ago for ago in range(6, 16) if ago not in whole}


def test_nothing_is_stored_of_nothing(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert fill_in(connection, INSTRUMENT, []).new == 0
    assert Host().backfill(database, 0).wanted == 0


def test_a_database_that_is_away_is_told_in_words() -> None:
    with pytest.raises(ConfigError, match="does not let us in"):
        Host().backfill("postgresql://u:secret@127.0.0.1:1/no", 5)


HTX = Instrument(venue="htx", symbol="BTC-USDT", native="btcusdt", base="BTC", quote="USDT")


def test_what_a_venue_cannot_tell_any_more_is_refused_in_plain_words(database: str) -> None:
    host = Host(venue="htx")
    with pytest.raises(HistoryError, match=r"htx tells only its newest 2,000 bars of 1m, which go"):
        host.backfill(database, 10, ago=2000, instrument=HTX)
    assert host.requests == 0


def test_what_it_can_still_tell_of_a_range_is_stored_and_the_rest_is_named(database: str) -> None:
    host = Host(venue="htx")
    done = host.backfill(database, 2500, instrument=HTX)
    assert done.cut == UNTIL - 1999 * MINUTE
    assert done.first is not None
    assert done.first >= done.cut
    assert 0 < done.new <= done.wanted == 1999
    assert Host().backfill(database, 30).cut is None
