"""Trades of the past into the store: what is missing, once, and bars are held to them."""

from pathlib import Path

import httpx
import psycopg
import pytest

from connectors import VENUES
from connectors.limiter import HostLimiter
from connectors.trade_history import TradeHistory
from flows.backfill_ledger import BackfillLedger, identity
from flows.trade_backfill import TradesBackfilled, backfill_trades
from market.bars import BarBuilder
from market.errors import ConfigError, HistoryError
from market.events import Bar, Side, Trade
from market.intervals import Interval
from simulator.dialects import DIALECTS
from simulator.dialects.contract import DialectOptions
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import Print
from sinks.insertion import insert
from sinks.rows import bar_row, pack, trade_rows, unpack
from sinks.stored_trades import Agreement, agreement, insert_missing
from sinks.tables import TABLES
from tests.connectors.candle_samples import listed

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOW = 1_700_000_115 * SECOND
UNTIL = NOW - NOW % MINUTE


class Host:
    """A simulated venue without a socket; `fails_from` is the first request that it refuses."""

    def __init__(self, folder: Path, venue: str = "binance", *, fails_from: int = 10**9) -> None:
        symbol = "BTC-USD" if venue in {"bitstamp", "massive"} else "BTC-USDT"
        self.venue = VENUES[venue]
        self.instrument = listed(venue, symbol)
        self.model = MarketModel(choose([symbol]), seed=5, start=NOW)
        self.fails_from = fails_from
        self.requests = 0
        self.reports: list[tuple[int, int]] = []
        self._folder = folder
        self._dialect = DIALECTS[venue](self.model, DialectOptions(weight_per_minute=10**6))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests >= self.fails_from:
            return httpx.Response(400, content=b'{"code":-1,"msg":"no"}')
        answer = self._dialect.requested(request.url.raw_path.decode(), NOW)
        return httpx.Response(answer.status, content=answer.body)

    def backfill(self, database: str, minutes: int, *, ago: int = 0) -> TradesBackfilled:
        limiter = HostLimiter(self.venue.limits, lambda: self.requests * 10**12)
        return backfill_trades(
            self.venue, self.instrument, UNTIL - (minutes + ago) * MINUTE, UNTIL - ago * MINUTE,
            now=lambda: NOW, database_url=database, rest_url="http://simulated",
            ledger=lambda connection: BackfillLedger(
                self._folder, identity(connection), self.instrument.id
            ),
            report=lambda done: self.reports.append((done.done, done.wanted)),
            history=TradeHistory(
                client=lambda: httpx.Client(transport=httpx.MockTransport(self._answer)),
                wait=lambda _: None,
                limiter=lambda _venue, _url: limiter,
            ),
        )  # fmt: skip

    def true(self, minutes: int, *, ago: int = 0) -> list[Print]:
        log = self.model.trades(self.instrument.symbol)
        return list(log.between(UNTIL - (minutes + ago) * MINUTE, UNTIL - ago * MINUTE))


def stored(database: str) -> list[tuple[str, float, float, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT trade_id, price, size, side FROM trades ORDER BY time, trade_id::bigint"
        ).fetchall()


def streamed(host: Host, prints: list[Print], *, late: int = 0) -> list[Trade]:
    """The trades as the venue's stream would have told them."""
    listing = next(iter(host.model.listings))
    return [
        Trade(
            instrument=host.instrument.id,
            ts_event=one.ts + late,
            ts_recv=one.ts + SECOND,
            price=float(listing.price_text(one.price)),
            size=float(listing.size_text(one.size)),
            side=Side.BUY if one.buyer_took else Side.SELL,
            trade_id=str(one.trade_id),
        )
        for one in prints
    ]


def store(database: str, table: str, rows: list[object]) -> None:
    with psycopg.connect(database) as connection, connection.transaction():
        insert(connection, TABLES[table], unpack(pack(table, rows)))  # type: ignore[arg-type]


def test_every_trade_of_a_range_is_stored_once(database: str, tmp_path: Path) -> None:
    host = Host(tmp_path)
    true = host.true(30)
    done = host.backfill(database, 30)
    assert (done.new, done.known) == (len(true), 0)
    assert done.covered == [(UNTIL - 30 * MINUTE, UNTIL)]
    assert [row[0] for row in stored(database)] == [str(one.trade_id) for one in true]
    asked = host.requests
    again = host.backfill(database, 30)
    assert (again.wanted, again.new, host.requests) == (0, 0, asked)
    wider = host.backfill(database, 40)
    assert wider.new == len(host.true(10, ago=30))
    assert len(stored(database)) == len(host.true(40))
    assert host.reports[-1][0] == host.reports[-1][1] == 10 * MINUTE


def test_trades_of_the_stream_stay_though_their_times_are_others(
    database: str, tmp_path: Path
) -> None:
    host = Host(tmp_path, "bitstamp")
    true = host.true(10)
    kept = streamed(host, true[::2])
    store(database, "trades", list(trade_rows(kept)))
    before = stored(database)[:3]
    done = host.backfill(database, 10)
    # Whole seconds: one that began before the range may be in it for us, and not for the venue.
    assert done.known == pytest.approx(len(kept), abs=4)
    rows = stored(database)
    assert len(rows) == len({row[0] for row in rows}) == pytest.approx(len(true), abs=4)
    assert set(before) <= set(rows)


def test_what_ends_early_goes_on_from_there(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.binance_trades.MOST", 150)
    host = Host(tmp_path, fails_from=4)
    with pytest.raises(HistoryError, match="HTTP 400"):
        host.backfill(database, 30)
    assert len(stored(database)) == 300
    asked, host.fails_from = host.requests, 10**9
    done = host.backfill(database, 30)
    assert done.wanted < 30 * MINUTE
    assert len(stored(database)) == len(host.true(30))
    assert done.new == len(host.true(30)) - 300
    assert done.known < 20
    assert host.requests > asked


def test_a_venue_that_keeps_little_says_what_is_whole(database: str, tmp_path: Path) -> None:
    host = Host(tmp_path, "bybit")
    done = host.backfill(database, 60, ago=-2)
    assert 0 < done.new <= 60
    assert len(done.covered) == 1
    assert done.covered[0][0] > NOW - MINUTE
    again = host.backfill(database, 60, ago=-2)
    assert again.new == 0
    assert again.wanted > 0


def test_stored_bars_are_held_to_the_trades(database: str, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.backfill(database, 20)
    builder = BarBuilder(host.instrument.id, Interval.parse("1m"))
    bars: list[Bar] = []
    for trade in streamed(host, host.true(21)):
        bars += builder.add(trade.ts_event, trade.price, trade.size, is_buy=trade.side is Side.BUY)
    bars = [bar for bar in bars if bar.start >= UNTIL - 20 * MINUTE]
    assert len(bars) == 19
    wrong = bars.pop(3)
    bars.insert(3, Bar(**{**{f: getattr(wrong, f) for f in wrong.__struct_fields__},
                          "high": wrong.high + 1}))  # fmt: skip
    store(database, "bars", [bar_row(bar) for bar in bars[:-2]])
    with psycopg.connect(database) as connection:
        found = agreement(connection, host.instrument.id, "1m", UNTIL - 20 * MINUTE, UNTIL)
    assert found == Agreement(compared=17, agreed=16, without_bar=3)


def test_nothing_is_stored_of_nothing(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert insert_missing(connection, listed("htx", "BTC-USDT"), []).new == 0


def test_a_database_that_went_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not let us in"):
        Host(tmp_path).backfill("postgresql://127.0.0.1:1/no", 5)
