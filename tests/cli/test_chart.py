"""`candlewax chart`: a picture of a file or of the store, and what a person may get wrong."""

import csv
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from PIL import Image

from cli.main import USER_MISTAKE, main
from market.events import Bar
from market.instruments import Instrument
from sinks.charts import drawing
from sinks.insertion import insert
from sinks.rows import bar_row, instrument_row, pack, unpack
from sinks.tables import TABLES
from tests.sinks.charts.chart_bars import walk

SECOND = 1_000_000_000
BARS = walk(120)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bars_file(tmp_path: Path) -> str:
    path = tmp_path / "btc.csv"
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["time", "open", "high", "low", "close", "volume"])
        for bar in BARS:
            time = bar.start // SECOND
            writer.writerow([time, bar.open, bar.high, bar.low, bar.close, bar.volume])
    return str(path)


def put(connection: psycopg.Connection, venue: str, bars: list[Bar]) -> None:
    instrument = Instrument(
        venue=venue, symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT"
    )
    rows = [(venue, *bar_row(bar)[1:]) for bar in bars]
    with connection.transaction():
        insert(
            connection,
            TABLES["instruments"],
            unpack(pack("instruments", [instrument_row(instrument)])),
        )
        insert(connection, TABLES["bars"], unpack(pack("bars", rows)))


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        put(connection, "binance", BARS)
    return database


def size(path: str) -> tuple[int, int]:
    with Image.open(BytesIO(Path(path).read_bytes())) as image:
        assert image.format == "PNG"
        return image.size


def test_a_file_of_bars_is_drawn(bars_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["chart", "--bars", bars_file, "--out", "a.png", "--timezone", "Europe/Berlin"]
    assert main([*command, "--indicators", "rsi(14)", "macd", "sma(500)"]) == 0
    assert size("a.png") == (1080, 1350)
    said = capsys.readouterr()
    assert said.out == "a.png: btc 1m, 90 bars\n"
    assert said.err == "note: no value: sma(500)\n"
    assert main(["chart", "--bars", bars_file, "--out", "b.png", "--last", "30m"]) == 0
    assert "30 bars" in capsys.readouterr().out


def test_stored_bars_are_drawn(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chart", "btcusdt", "--out", "a.png"]) == 0
    assert size("a.png") == (1080, 1350)
    assert capsys.readouterr().out == "a.png: BTC-USDT 1m, 90 bars\n"
    span = ["--from", "2026-09-21T15:00", "--to", "2026-09-21T17:00+01:00"]
    assert main(["chart", "BTC/USDT", "--out", "b.png", *span, "--venue", "binance"]) == 0
    assert capsys.readouterr().out == "b.png: BTC-USDT 1m, 60 bars\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "a.png"], "name a symbol, or a file with --bars"),
        (["BTC-USDT", "--bars", "FILE", "--out", "a.png"], "say one of them"),
        (["--bars", "FILE", "--out", "a.jpg"], "--out a.jpg: expected the name of a PNG file"),
        (["--bars", "FILE", "--out", "no/such/a.png"], "--out no/such/a.png: no such file"),
        (["--bars", "none.csv", "--out", "a.png"], "none.csv: no such file"),
        (["--bars", "FILE", "--out", "a.png", "--indicators", "rsii"], "did you mean 'rsi'"),
        (["--bars", "FILE", "--out", "a.png", "--indicators", "support"], "order book"),
        (["--bars", "FILE", "--out", "a.png", "--timezone", "Mars/X"], "--timezone Mars/X"),
        (["--bars", "FILE", "--out", "a.png", "--last", "soon"], "no length of time"),
        (["--bars", "FILE", "--out", "a.png", "--from", "2040-01-01"], "is not before now"),
        (["--bars", "FILE", "--out", "a.png", "--to", "2020-01-01"], "no bars of that time"),
        (["--bars", "FILE", "--out", "a.png", "--last", "1h", "--to", "1h"], "say one of them"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    bars_file: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [bars_file if each == "FILE" else each for each in arguments]
    assert main(["chart", *given]) == USER_MISTAKE
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert words in said
    assert not list(Path().glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BTC-USDT", "--interval", "5m"], "no 5m bars are stored; there are 1m"),
        (["BTC-USDT", "--last", "1m"], "no 1m bars of that time are stored"),
        (["ETH-USDT"], "ETH-USDT"),
        (["BTC-USDT", "--venue", "bybit"], "bybit"),
    ],
)
def test_what_is_not_stored_is_told(
    store: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chart", *arguments, "--out", "a.png"]) == USER_MISTAKE
    assert words in capsys.readouterr().err


def test_of_several_venues_one_is_asked_for(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(store, autocommit=True) as connection:
        put(connection, "bybit", BARS[:30])
    assert main(["chart", "BTC-USDT", "--out", "a.png"]) == USER_MISTAKE
    assert "is stored of binance, bybit: say which with --venue" in capsys.readouterr().err
    assert main(["chart", "BTC-USDT", "--out", "a.png", "--venue", "bybit"]) == 0
    assert "30 bars" in capsys.readouterr().out


def test_more_bars_than_can_be_seen_are_cut(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    many = walk(450)
    with psycopg.connect(database, autocommit=True) as connection:
        put(connection, "binance", many)
    span = ["--from", "2026-09-21", "--to", "2026-09-22"]
    assert main(["chart", "BTC-USDT", "--out", "a.png", *span]) == 0
    said = capsys.readouterr()
    assert said.out == "a.png: BTC-USDT 1m, 400 bars\n"
    assert "of 450 bars the last 400 are drawn" in said.err


def test_without_the_library_the_extra_is_named(
    bars_file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    assert main(["chart", "--bars", bars_file, "--out", "a.png"]) == USER_MISTAKE
    assert "pip install 'candlewax[charts]'" in capsys.readouterr().err
