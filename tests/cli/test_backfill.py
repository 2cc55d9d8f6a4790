"""`candlewax backfill`: what a person sees and may get wrong."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cli.main import USER_MISTAKE, main
from cli.options import INTERRUPTED
from connectors import VENUES
from connectors.history import CandleHistory
from simulator.server import simulator_in_thread
from simulator.settings import SimulatorSettings

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
THREE_HOURS = [
    *("--from", (HOUR - timedelta(hours=5)).isoformat()),
    *("--to", (HOUR - timedelta(hours=2)).isoformat()),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "MASSIVE_API_KEY", "POLYGON_API_KEY")
    for name in ("DATABASE_URL", *names):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A configuration whose feeds are simulated, and a database."""
    monkeypatch.setenv("DATABASE_URL", database)
    (tmp_path / "candlewax.toml").write_text(
        "".join(f'[feeds.{name}]\nsymbols = ["BTC-USD"]\nsimulated = true\n' for name in VENUES)
    )
    return database


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "btcusdt", "--from", "2h"], "unknown venue; known: binance"),
        (["binance", "btcusdt", "--from", "tomorrow"], "--from tomorrow: expected a date"),
        (["binance", "btcusdt", "--from", "2h", "--to", "soon"], "--to soon: expected a date"),
        (["binance", "btcusdt", "--from", "1h", "--to", "2h"], "is not before --to 2h"),
        (["binance", "btcusdt", "--from", "2999-01-01"], "is not before now"),
        (["binance", "btcusdt", "--from", "1066-10-14"], "no venue is that old"),
        (["binance", "btcusdt", "--from", "2h", "--interval", "7x"], "--interval 7x: interval"),
        (["htx", "btcusdt", "--from", "2h", "--interval", "30s"], "no candles that make up 30s"),
        (["massive", "btcusd", "--from", "2h"], "massive needs a key"),
        (["binance", "btcusdt"], "--from"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", *arguments]) == USER_MISTAKE
    assert words in capsys.readouterr().err


def test_a_venue_without_candles_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(VENUES["binance"]), "candles", None)
    assert main(["backfill", "binance", "btcusdt", "--from", "2h"]) == USER_MISTAKE
    assert "binance has no candles of the past" in capsys.readouterr().err


def test_a_database_that_is_away_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/no")
    assert main(["backfill", "binance", "btcusdt", "--from", "2h"]) == USER_MISTAKE
    said = capsys.readouterr().err
    assert "does not let us in" in said
    assert "hidden" not in said


def test_what_is_invented_does_not_reach_a_database_of_ones_own(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "htx", "btcusdt", "--from", "2h", "--simulated"]) == USER_MISTAKE
    assert "embedded database only" in capsys.readouterr().err


@pytest.mark.parametrize("venue", ["htx", "massive"])
def test_bars_of_a_simulated_venue_are_stored_and_a_second_run_has_little_to_do(
    venue: str, configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backfill", venue, "btc/usd", *THREE_HOURS, "--interval", "5m"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f"{venue}:BTC-USD 5m: 36 were missing; 36 stored" in said
    assert main(arguments) == 0
    assert "nothing was missing" in capsys.readouterr().out
    with psycopg.connect(configured) as connection:
        rows = connection.execute(
            "SELECT count(*), min(close), max(close) FROM bars"
            " WHERE venue = %s AND interval = '5m'",
            (venue,),
        ).fetchone()
    assert rows is not None
    assert rows[0] == 36
    assert 62_000 < rows[1] <= rows[2] < 66_000


def test_an_unknown_symbol_ends_with_2(configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "htx", "btcusx", "--from", "2h"]) == USER_MISTAKE
    assert "unknown symbol 'btcusx' at htx" in capsys.readouterr().err


def test_ctrl_c_says_what_was_kept(
    configured: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true_read = CandleHistory.pages

    def pages(self: CandleHistory, *args: object, **named: object) -> object:
        yield next(true_read(self, *args, **named))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(CandleHistory, "pages", pages)
    assert main(["backfill", "bybit", "btcusd", *THREE_HOURS, "--interval", "1h"]) == INTERRUPTED
    said = capsys.readouterr().err
    assert "stopped: " in said
    assert "3 were missing; 3 stored" in said
    with psycopg.connect(configured) as connection:
        row = connection.execute("SELECT count(*) FROM bars").fetchone()
    assert row is not None
    assert row[0] == 3


@pytest.mark.parametrize("venue", ["binance", "bitstamp", "bybit", "htx", "massive"])
def test_trades_of_a_simulated_venue_are_stored_and_bars_agree(
    venue: str,
    configured: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One market for both commands: what a market was before it opened depends on when it did.
    waiting = SimulatorSettings(venues=(venue,), wait_for_client=True)
    hour = [*("--from", (datetime.now(UTC) - timedelta(minutes=12)).isoformat())]
    candles = ["backfill", venue, "btc/usd", *hour]
    trades = [*candles, "--trades"]
    with simulator_in_thread(waiting) as addresses:
        feed = {
            "symbols": ["BTC-USD"],
            "websocket_url": addresses.websocket_of(venue),
            "rest_url": addresses.rest_of(venue),
            "simulated": True,
        }
        monkeypatch.setenv("CANDLEWAX__FEEDS", json.dumps({venue: feed}))
        assert main(candles) == 0
        assert main(trades) == 0
        assert main([*trades, "--again"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"{venue}:BTC-USD trades: [1-9][0-9,]* stored, 0 were there", said)
    assert re.search(rf"{venue}:BTC-USD trades: [0-9]+ stored, [0-9,]+ were there", said)
    if venue == "bybit":
        assert "bybit keeps the newest 60 trades: from " in said
    else:
        found = re.search(r"bars of 1m: ([0-9]+) of ([0-9]+) agree with the trades", said)
        assert found is not None
        assert int(found[1]) == int(found[2]) >= (1 if venue == "htx" else 8)  # it keeps 2000
    with psycopg.connect(configured) as connection:
        before = connection.execute("SELECT count(*) FROM trades").fetchone()
        assert connection.execute("SELECT count(*) FROM alerts").fetchone() == (0,)
    assert before is not None
    assert before[0] > 30


def test_again_is_for_trades(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "binance", "btcusdt", "--from", "2h", "--again"]) == USER_MISTAKE
    assert "--again is for --trades" in capsys.readouterr().err


def test_a_venue_without_trades_of_the_past_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(VENUES["binance"]), "past_trades", None)
    arguments = ["backfill", "binance", "btcusdt", "--from", "2h", "--trades"]
    assert main(arguments) == USER_MISTAKE
    assert "binance has no trades of the past" in capsys.readouterr().err
