import re
from pathlib import Path

import msgspec
import pytest

from cli.main import main
from filters.load import load_specs
from flows.configuration import load
from flows.settings import Settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_files_can_be_used_as_they_are() -> None:
    assert main(["init"]) == 0
    configuration = load(None, {})
    assert configuration.file == Path("candlewax.toml").absolute()
    assert configuration.settings.feeds == Settings().feeds
    assert len(load_specs(configuration.specs_folder)) == 1
    assert main(["filters", "check"]) == 0


def test_every_default_that_is_shown_is_the_default() -> None:
    assert main(["init", "there"]) == 0
    file = Path("there/candlewax.toml")
    shown = re.sub(r"^# (?=\[?[a-z_.]+\]?( =|$))", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(shown)
    settings = load(file, {}).settings
    plain = msgspec.to_builtins(settings)
    assert plain["telegram"].pop("chats") == {"main": 123456789}
    assert plain["log"].pop("levels") == {"connectors": "debug"}
    assert plain["filters"].pop("folder") == "filters/specs"
    expected = msgspec.to_builtins(Settings())
    del expected["telegram"]["chats"], expected["log"]["levels"], expected["filters"]["folder"]
    assert plain == expected
    for section, table in expected.items():
        for key in table if section != "feeds" else expected["feeds"]["binance"]:
            assert key in shown, f"{section}.{key} is not in the template"


@pytest.mark.parametrize("there", ["candlewax.toml", "filters/specs/example.yaml"])
def test_nothing_is_overwritten(there: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(there)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    assert main(["init"]) == 2
    assert "already there; nothing was written" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert len([file for file in Path().rglob("*") if file.is_file()]) == 1


def test_a_folder_that_cannot_be_written_to_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert main(["init", "file"]) == 2
    assert "file: cannot be written to" in capsys.readouterr().err
