from pathlib import Path

import pytest

from cli.emitted import Emitted
from flows.output import Output
from market.errors import ConfigError

LINE = '{"kind":"bars","key":"a","value":1}\n'


def written(lines: Emitted) -> Path:
    """Do what flow processes do: read the variable, write the file."""
    output = Output.of(lines.environ)
    Path(output.out).write_text(LINE)
    return Path(output.out)


def test_nothing_asked_for_is_nothing_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Emitted((), None, digest=False) as lines:
        assert lines.environ == {}
        assert lines.tell() == ""
    assert capsys.readouterr().out == ""


def test_lines_without_a_file_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with Emitted(("bars", "alerts"), None, digest=False) as lines:
        file = written(lines)
        assert Output.of(lines.environ).kinds == {"bars", "alerts"}
        lines.tell()
    assert capsys.readouterr().out == LINE
    assert not file.exists()


def test_a_digest_alone_is_over_all_kinds_and_leaves_no_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Emitted((), None, digest=True) as lines:
        file = written(lines)
        assert len(Output.of(lines.environ).kinds) == 6
        told = lines.tell()
    assert told.endswith("records=1 bars=1")
    assert capsys.readouterr().out == f"{told}\n"
    assert not file.exists()


def test_a_file_that_was_asked_for_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Emitted(("bars",), tmp_path / "lines.jsonl", digest=False) as lines:
        written(lines)
        lines.tell()
    assert (tmp_path / "lines.jsonl").read_text() == LINE
    assert capsys.readouterr().out == ""


def test_a_run_that_can_be_resumed_keeps_its_lines(tmp_path: Path) -> None:
    with Emitted((), None, digest=True, keep_in=tmp_path) as lines:
        file = written(lines)
    assert file.parent == tmp_path
    assert file.exists()


def test_lines_of_a_run_that_goes_on_may_stand_in_the_file(tmp_path: Path) -> None:
    out, recovery = tmp_path / "lines.jsonl", tmp_path / "recovery"
    out.write_text(LINE)
    recovery.mkdir()
    with pytest.raises(ConfigError, match="holds something; remove it or choose another file"):
        Emitted(("bars",), out, digest=False, keep_in=recovery)
    (recovery / "part-0.sqlite3").touch()
    Emitted(("bars",), out, digest=False, keep_in=recovery)
    assert out.read_text() == LINE
