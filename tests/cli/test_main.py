import subprocess
import sys
from pathlib import Path

import pytest

from cli import main as module
from cli.main import COMMANDS, main
from market.errors import ConfigError, RecordingError, SinkError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "DATABASE_URL", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dmo"], 'Unknown command "dmo". Did you mean "demo"?'),
        (["demo", "--fro", "3s"], "Unknown option: --fro. Did you mean --for?"),
        (["demo", "--for", "3x"], "'3x' is no length of time: expected one such as 30s"),
        (["demo", "--processes", "0"], "--processes 0: expected 1 to 64"),
        (["demo", "--processes", "two"], "--processes"),
        (["demo", "--emit", "bar"], "--emit bar: expected some of"),
        (["demo", "--out", "no/such/folder/x"], "there is no folder"),
        (["demo", "--out", "."], "is a folder, expected a file"),
        (["run", "--emit", "bars"], "--emit needs --out FILE"),
        (["run", "--emit", "bars", "--out", "full"], "--out full: holds something; remove it or"),
        (["demo", "--out", "full"], "--out full: holds something; remove it or choose another"),
        (
            ["replay", "full", "--out", "full"],
            "--out full: is one of the recordings; choose another",
        ),
        (["replay", "full", "--out", "./link"], "--out link: is one of the recordings"),
        (["run", "--venue", "binanse"], "--venue binanse: unknown; did you mean 'binance'?"),
        (["run", "--config", "no.toml"], "no.toml: no such file, named by --config"),
        (["record", "--venue", "x"], "--venue x: unknown; known: binance"),
        (["replay"], "requires an argument"),
        (["replay", "no.jsonl"], "no.jsonl: no such recording; `candlewax record` makes one"),
        (["filters", "check", "no"], "no: cannot read the folder of filter specs"),
        (["filters", "checks"], "checks"),
        (["telegram", "setup"], "no bot token: talk to @BotFather"),
        (["telegram", "setup", "--name", "a/b"], "--name a/b: letters, digits"),
        (["simulate", "--script", "no.yaml"], "no.yaml"),
        (["simulate", "--symbol", "NO-SUCH"], "unknown symbol 'NO-SUCH'"),
        (["simulate", "--port", "70000"], "--port 70000: expected 0 to 65535"),
        (["simulate", "--telegram-port", "-1"], "--telegram-port -1: expected 0 to 65535"),
        (["simulate", "--rate", "0"], "--rate 0: expected a number above 0"),
        (["simulate", "--rate", "nan"], "--rate nan: expected a number above 0"),
    ],
)
def test_a_mistake_is_told_in_words_with_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("full").write_text("kept\n")
    Path("link").symlink_to("full")
    assert main(arguments) == 2
    assert Path("full").read_text() == "kept\n"
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert expected in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"replay_file": "x"}, "--speed -1.0: expected 0 or more"),
        ({"replay_file": "x"}, "--batch 0: expected 1 to 100000"),
        ({"replay_file": "x"}, "--workers 0: expected 1 to 64"),
        ({"replay_file": "x"}, "--notify needs --store"),
    ],
)
def test_options_of_a_replay_are_checked(
    text: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.jsonl").write_text("")
    option = expected.partition(":")[0].partition(" needs")[0].split()
    assert main(["replay", "a.jsonl", *option]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (ConfigError("this is wrong"), 2, "error: this is wrong"),
        (RecordingError("cut in half", path="x.jsonl", line=3), 2, "error: x.jsonl:3: cut in half"),
        (SinkError("refused", retriable=False), 1, "error: refused"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_command_raises_becomes_an_exit_code(
    error: BaseException,
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "app", failing)
    assert main([]) == code
    assert capsys.readouterr().err.strip() == expected


def test_every_command_has_a_line_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert name in shown
        assert text[:40] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage: candlewax" in capsys.readouterr().out


def test_the_program_runs_as_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(module.__file__).parent.parent,
    )
    assert done.returncode == 0
    assert done.stdout.strip()[0].isdigit()
