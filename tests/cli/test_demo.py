"""The shipped command as a person runs it: processes, sockets, database and all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Candlewax:
    """Runs the command in a folder of its own, with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "state"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CANDLEWAX", "DATABASE_URL", "TELEGRAM", "BYTEWAX"))
        }
        self.environ = {**kept, "CANDLEWAX_HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, within_s: float = 90) -> tuple[int, str, str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate(timeout=20)
            pytest.fail(f"{arguments} did not end in {within_s} s:\n{out}\n{err}")
        return process.returncode, out, err

    def parts(self) -> dict[str, int]:
        running = json.loads((self.home / "run.json").read_text())
        return {str(name): int(pid) for name, pid in running["pids"].items()}

    def processes(self) -> list[int]:
        """Return every process whose environment names our state folder."""
        mine = f"CANDLEWAX_HOME={self.home}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@pytest.fixture
def candlewax(tmp_path: Path) -> Candlewax:
    return Candlewax(tmp_path)


class Finished(NamedTuple):
    """A demo that has ended, and what the database held afterwards."""

    candlewax: Candlewax
    told: dict[str, object]
    err: str
    left: list[int]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    candlewax = Candlewax(tmp_path_factory.mktemp("demo"))
    candlewax.environ["DATABASE_URL"] = "postgresql://u:hidden@127.0.0.1:1/x"
    candlewax.environ["TELEGRAM_BOT_TOKEN_FILE"] = str(candlewax.folder / "no-such-file")
    code, out, err = candlewax.run("demo", "--for", "4s", "--json", "--record", "--digest")
    assert code == 0, err
    left = candlewax.processes()
    told = json.loads(out.splitlines()[-1])
    del candlewax.environ["DATABASE_URL"], candlewax.environ["TELEGRAM_BOT_TOKEN_FILE"]
    code, out, _ = candlewax.run("db", "status", "--json")
    assert code == 0
    return Finished(candlewax, told, err, left, json.loads(out)["rows"])


def until(condition: object, within_s: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_demo_ends_by_itself_and_the_database_has_every_row(finished: Finished) -> None:
    told = finished.told
    by_table = told["rows_by_table"]
    assert isinstance(by_table, dict)
    assert set(by_table) >= {"trades", "book_tops", "bars", "features"}
    new, replaced, known = told["rows_written"], told["rows_replaced"], told["rows_known"]
    assert isinstance(new, int)
    assert isinstance(replaced, int)
    assert isinstance(known, int)
    assert told["rows"] == new + replaced + known == sum(by_table.values())
    assert sum(finished.rows[name] for name in by_table) == new
    assert (told["alerts"], told["gaps"], told["dead_letters"]) == (0, 0, 0)
    assert "binance:BTC-USDT" in finished.err
    assert finished.left == []


def test_a_demo_uses_no_real_database_and_no_bot(finished: Finished) -> None:
    # They were set, and nothing is there: whatever used them would have failed.
    assert "not used by a demo: DATABASE_URL, TELEGRAM_BOT_TOKEN_FILE\n" in finished.err
    assert "hidden" not in finished.err


@pytest.mark.slow
def test_its_recording_replays_to_the_same_digest(finished: Finished) -> None:
    recording = next((finished.candlewax.home / "recordings").iterdir())
    code, out, err = finished.candlewax.run("replay", str(recording), "--digest", "--batch", "7")
    assert code == 0, err
    assert out.splitlines()[-1] == finished.told["digest"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_ends_everything_within_five_seconds(finished: Finished) -> None:
    candlewax = finished.candlewax
    status = candlewax.home / "status"
    for file in status.iterdir():
        file.unlink()
    demo = candlewax.start("demo", "--processes", "2")
    try:
        until(lambda: len(list(status.glob("flow-*.json"))) == 2 or demo.poll() is not None)
        assert demo.poll() is None
        parts = candlewax.parts()
        code, _, err = candlewax.run("demo")
        assert code == 2
        assert f"in use by `candlewax demo` (process {parts['owner']})" in err
        began = time.monotonic()
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=20)
        assert time.monotonic() - began < 5
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, err
    assert "all ended; rows are kept in" in out
    assert candlewax.processes() == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in parts.values())
    assert not (candlewax.home / "run.json").exists()


def test_a_database_that_is_not_there_ends_the_start(candlewax: Candlewax) -> None:
    candlewax.environ["DATABASE_URL"] = "postgresql://u:hidden@127.0.0.1:1/x"
    code, out, err = candlewax.run("run")
    assert code == 2
    assert err.startswith("error: ")
    assert "127.0.0.1:1/x" in err
    assert "hidden" not in out + err
    assert "Traceback" not in err


def test_an_unknown_symbol_ends_the_start_with_near_names(candlewax: Candlewax) -> None:
    code, _, err = candlewax.run("run", "--simulated", "--symbol", "BTC-USDTT")
    assert code == 2
    assert "BTC-USDTT" in err
    assert "did you mean BTC-USDT" in err
    assert "Traceback" not in err
    assert candlewax.processes() == []
