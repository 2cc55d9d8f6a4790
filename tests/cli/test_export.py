"""`candlewax export`: what is in a file is what is in the database, to the last digit."""

import io
import json
import random
import struct
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import USER_MISTAKE, main
from market.events import BookUpdate, Side, Trade
from sinks.insertion import insert
from sinks.rows import Row, book_update_row, pack, trade_rows, unpack
from sinks.selection import KINDS
from sinks.tables import TABLES
from tests.sinks.test_rows import ROWS

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def trades(count: int = 400) -> list[Row]:
    chance = random.Random(3)
    return trade_rows(
        Trade(
            instrument=("binance:BTC-USDT", "bybit:BTC-USDT", "binance:ETH-BTC")[number % 3],
            ts_event=START + number * SECOND + number * 1000,
            ts_recv=START + number * SECOND + 5_000_000,
            price=struct.unpack("<d", struct.pack("<d", 60_000 * (1 + chance.random())))[0],
            size=chance.random() * 10.0 ** chance.randint(-8, 3),
            side=chance.choice(tuple(Side)),
            trade_id=('7"x,\n€' if number == 5 else str(number)),
        )
        for number in range(count)
    )


def updates() -> list[Row]:
    return [
        book_update_row(
            BookUpdate(
                instrument="binance:BTC-USDT",
                ts_event=START + number * SECOND,
                ts_recv=START + number * SECOND,
                sequence=number,
                prev_sequence=number - 1 if number % 5 else None,
                is_whole=not number % 5,
                bids=[(100.1 - level, 0.1 * level) for level in range(number)],
                asks=[],
            )
        )
        for number in range(12)
    ]


def bars() -> list[Row]:
    row = list(ROWS["bars"])
    made: list[Row] = []
    for number, interval in enumerate(("1m", "1m", "1s")):
        start = START + number * 60 * SECOND
        made.append([*row[:2], interval, start, start + SECOND, *row[5:16], number == 1])
    return made


@pytest.fixture
def filled(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], list[tuple[object, ...]]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANDLEWAX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CANDLEWAX_CONFIG", raising=False)
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database) as connection, connection.transaction():
        for table, rows in (
            ("trades", trades()),
            ("book_updates", updates()),
            ("bars", bars()),
            ("features", [ROWS["features"]]),
            ("book_tops", [ROWS["book_tops"]]),
        ):
            insert(connection, TABLES[table], unpack(pack(table, rows)))

    def read(kind: str) -> list[tuple[object, ...]]:
        table = TABLES[KINDS[kind]]
        with psycopg.connect(database) as connection:
            connection.execute("SET timezone = 'UTC'")
            return connection.execute(
                f"SELECT {table.column_list} FROM {table.name} ORDER BY {table.key_list}"
            ).fetchall()

    return read


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_and_arrow_hold_the_rows_of_the_database(
    kind: str, filled: Callable[[str], list[tuple[object, ...]]], tmp_path: Path
) -> None:
    expected = filled(kind)
    assert expected
    for form in ("parquet", "arrow"):
        path = tmp_path / f"rows.{form}"
        assert main(["export", kind, "--format", form, "--out", str(path)]) == 0
        read = pq.read_table if form == "parquet" else pa.ipc.open_file
        table = read(path) if form == "parquet" else read(path).read_all()
        columns = TABLES[KINDS[kind]].columns
        assert table.column_names == [name for name, _ in columns]
        assert [tuple(row.values()) for row in table.to_pylist()] == expected
        for name, spelled in columns:
            if spelled == "timestamptz":
                assert table.schema.field(name).type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize("kind", KINDS)
def test_pandas_reads_the_rows_of_the_database_from_csv(
    kind: str, filled: Callable[[str], list[tuple[object, ...]]], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    assert main(["export", kind, "--out", str(path)]) == 0
    columns = TABLES[KINDS[kind]].columns
    times = [name for name, spelled in columns if spelled == "timestamptz"]
    lists = {name: json.loads for name, spelled in columns if spelled == "float8[]"}
    texts = {name: "string" for name, spelled in columns if spelled == "text"}
    frame = pd.read_csv(path, parse_dates=times, converters=lists, dtype=texts)
    assert path.read_text().count("Z,") + path.read_text().count("Z\n") >= len(frame)
    expected = filled(kind)
    for row, wanted in zip(frame.itertuples(index=False), expected, strict=True):
        found = tuple(
            None if not isinstance(cell, list) and pd.isna(cell) else cell for cell in row
        )
        assert found == wanted


def test_what_was_asked_for_and_nothing_else_is_there(
    filled: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.csv"
    at = datetime.fromtimestamp(START // SECOND, UTC)
    asked = ["export", "trades", "--symbol", "btc/usdt", "--venue", "Binance"]
    times = ["--from", (at + timedelta(seconds=30)).isoformat()]
    times += ["--to", (at + timedelta(seconds=60)).isoformat()]
    assert main([*asked, *times, "--out", str(path)]) == 0
    frame = pd.read_csv(path)
    assert set(zip(frame.venue, frame.symbol, strict=True)) == {("binance", "BTC-USDT")}
    assert list(frame.trade_id) == list(range(30, 60, 3))
    assert f"10 rows of trades to {path}" in capsys.readouterr().err
    assert main(["export", "bars", "--interval", "1s", "--out", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_pipe_gets_a_stream(filled: object, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    assert main(["export", "trades", "--format", "arrow", "--out", "-"]) == 0
    assert pa.ipc.open_stream(raw.getvalue()).read_all().num_rows == 400
    raw.seek(0)
    raw.truncate()
    assert main(["export", "trades", "--format", "parquet", "--out", "-"]) == 0
    assert pq.read_table(io.BytesIO(raw.getvalue())).num_rows == 400


def test_a_file_that_is_there_is_kept_unless_it_may_go(
    filled: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("mine")
    assert main(["export", "trades", "--out", str(path)]) == USER_MISTAKE
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["export", "trades", "--out", str(path), "--force"]) == 0
    assert path.read_text().startswith("venue,symbol,time,trade_id,")


def test_what_ends_half_way_leaves_nothing(
    filled: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        yield b"venue\n"
        raise KeyboardInterrupt

    monkeypatch.setattr("sinks.selection.csv_rows", broken)
    folder = tmp_path / "out"
    folder.mkdir()
    assert main(["export", "trades", "--out", str(folder / "rows.csv")]) == 130
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trades", "--symbol", "btcusx"], "did you mean BTC-USDT?"),
        (["trades", "--symbol", "doge-sol"], "no trades of it are stored; there is BTC-USDT"),
        (["trades", "--venue", "nowhere"], "no trades of it are stored; there is binance, bybit"),
        (["trades", "--venue", "bybit", "--symbol", "ethbtc"], "of ethbtc at bybit are stored"),
        (["trades", "--from", "soon"], "--from soon: expected a date"),
        (["trades", "--from", "1h", "--to", "2h"], "--from 1h is not before --to 2h"),
        (["trades", "--interval", "1m"], "trades have none"),
        (["bars", "--interval", "7x"], "--interval 7x"),
        (["quotes"], "quotes"),
        (["trades", "--format", "xls"], "xls"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(
    arguments: list[str], words: str, filled: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments, "--out", "rows.csv"]) == USER_MISTAKE
    assert words in capsys.readouterr().err
    assert not Path("rows.csv").exists()


@pytest.mark.parametrize(
    ("out", "words"), [("no/rows.csv", "there is no folder"), (".", "is a folder")]
)
def test_a_place_that_cannot_be_ends_with_2(
    out: str, words: str, filled: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "trades", "--out", out]) == USER_MISTAKE
    assert words in capsys.readouterr().err


def test_without_pyarrow_the_extra_is_named(
    filled: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["export", "trades", "--format", "parquet", "--out", "x"]) == USER_MISTAKE
    assert "candlewax[parquet]" in capsys.readouterr().err


def test_a_database_without_tables_says_so(
    empty_database: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["export", "bars", "--out", "x"]) == USER_MISTAKE
    assert "candlewax db upgrade" in capsys.readouterr().err
