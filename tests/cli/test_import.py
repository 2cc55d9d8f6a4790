"""`candlewax import`: recordings and CSV files become the rows that they were, once."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from cli.import_ import Shown
from cli.main import USER_MISTAKE, main
from cli.options import INTERRUPTED
from cli.replay import Work
from filters.load import load_specs
from flows.status import FlowStatus
from sinks.selection import KINDS
from tests.end_to_end.flow_runs import ROOT, content
from tests.end_to_end.wire_recording import WireRun, record_wire


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    """A dip that alerts, and a lost connection."""
    return record_wire(
        tmp_path_factory.mktemp("recorded") / "wire.jsonl.gz",
        seconds=45,
        symbols=("BTC-USDT",),
        specs=load_specs(ROOT / "filters" / "specs"),
        faults="cut",
    )


@pytest.fixture(autouse=True)
def _elsewhere(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "DATABASE_URL_FILE", "CANDLEWAX__STORE__DEPTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANDLEWAX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the flow processes


def counts(dsn: str) -> dict[str, int]:
    return {name: len(rows) for name, rows in content(dsn).items()}


def imports(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "home" / "import"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_a_recording_is_stored_once_and_never_alerts(
    recorded: WireRun,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CANDLEWAX__STORE__DEPTH", "all")
    assert main(["import", str(recorded.path)]) == 0
    said = capsys.readouterr()
    rows = counts(database)
    told = [output for _, output in recorded.outputs]
    assert rows["trades"] == sum(len(output.trades) for output in told)
    assert f"trades: {rows['trades']:,} new, 0 replaced, 0 known" in said.out
    assert rows["bars"] == len({(b.interval, b.start) for each in told for b in each.bars})
    assert rows["gaps"] == 1
    assert rows["features"] > 50
    assert rows["book_tops"] > 30
    assert rows["book_updates"] > 200
    assert rows["instruments"] == 1
    assert rows["alerts"] == 0
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    assert "% read" in said.err
    assert imports(tmp_path) == []
    before = content(database)
    assert main(["import", str(recorded.path)]) == 0
    assert f"trades: 0 new, 0 replaced, {rows['trades']:,} known" in capsys.readouterr().out
    assert content(database) == before


def test_what_was_stopped_goes_on(
    recorded: WireRun,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true_show, true_run = Shown.show, Work.run
    stopped_at: list[float] = []

    def show(self: Shown, found: FlowStatus) -> None:
        true_show(self, found)
        if found.rows and not stopped_at:
            stopped_at.append(found.share_read)
            os.kill(os.getpid(), signal.SIGINT)

    def run(
        self: Work,
        told: object,
        home: object,
        wanted: dict[str, object],
        *rest: object,
        **named: object,
    ) -> int:  # slow enough to be stopped in its middle
        return true_run(self, told, home, {**wanted, "speed": 12}, *rest, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Shown, "show", show)
        patched.setattr(Work, "run", run)
        assert main(["import", str(recorded.path)]) == INTERRUPTED
    assert "stopped: the same command goes on from here" in capsys.readouterr().err
    assert len(imports(tmp_path)) == 1
    assert stopped_at[0] < 1
    assert main(["import", str(recorded.path)]) == 0
    assert "it goes on from there" in capsys.readouterr().err
    assert counts(database)["trades"] == sum(len(out.trades) for _, out in recorded.outputs)
    assert imports(tmp_path) == []


def test_exported_files_give_the_same_rows_again(
    recorded: WireRun,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CANDLEWAX__STORE__DEPTH", "all")
    assert main(["import", str(recorded.path)]) == 0
    files = []
    for kind in KINDS:
        files.append(str(tmp_path / f"{kind}.csv"))
        assert main(["export", kind, "--out", files[-1]]) == 0
    before = {name: content(database)[name] for name in KINDS.values()}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(KINDS.values())}")
    capsys.readouterr()
    assert main(["import", *files]) == 0
    assert f"trades: {len(before['trades']):,} new, 0 replaced, 0 known" in capsys.readouterr().out
    assert {name: content(database)[name] for name in KINDS.values()} == before
    assert main(["import", files[0]]) == 0
    assert f"0 new, 0 replaced, {len(before['trades']):,} known" in capsys.readouterr().out


HEADER = "venue,symbol,time,trade_id,price,size,side,received_at"
GOOD = "binance,BTC-USDT,2026-11-20T08:00:00Z,1,1.5,2,buy,2026-11-20T08:00:00Z"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its first line is that of no table: nothing"),
        ("time,price\n", "that of no table: time,price"),
        (f"{HEADER}\n{GOOD}\nbinance,BTC-USDT\n", "x.csv:3: 2 cells, expected 8"),
        (f"{HEADER}\n{GOOD.replace('1.5', 'nan')}\n", "x.csv:2: price: 'nan' is no finite number"),
        (f"{HEADER}\n{GOOD.replace('1.5', '')}\n", "x.csv:2: price: could not convert"),
        (f"{HEADER}\n{GOOD.replace('2026-11-20T08:00:00Z', 'noon')}\n", "x.csv:2: time: Invalid"),
    ],
)
def test_a_file_that_is_none_ends_with_2(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert main(["import", "x.csv"]) == USER_MISTAKE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.jsonl", "no such file"), ("junk.jsonl", "not a record")],
)
def test_no_recording_ends_with_2(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "junk.jsonl").write_text("hello\n")
    assert main(["import", name]) == USER_MISTAKE
    assert words in capsys.readouterr().err


def test_columns_may_come_in_any_order(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names, cells = HEADER.split(","), GOOD.split(",")
    (tmp_path / "x.csv").write_text(f"{','.join(names[::-1])}\n{','.join(cells[::-1])}\n")
    assert main(["import", "x.csv"]) == 0
    assert content(database)["trades"][0][3:7] == ("1", 1.5, 2.0, "buy")
