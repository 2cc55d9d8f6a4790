"""A person's mistakes end a flow with exit code 2 and a message, before anything is subscribed."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.flow_runs import FlowRun, free_ports, replay_run
from tests.end_to_end.wire_recording import WireRun, record_wire

BAD_SPEC = """\
version: 1
filters:
  - id: typo
    source: {stream: bar, interval: 1s, symbols: ["*"]}
    when: rsy(14) < 30
"""

MISTAKES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "unknown symbol": (
        {"CANDLEWAX__FEEDS__BINANCE__SYMBOLS": "BTC-USDX"},
        ("unknown symbol 'BTC-USDX'", "did you mean", "BTC-USDT"),
    ),
    "unknown key": (
        {"CANDLEWAX__MARKET__BAR_INTERVALL": "1s"},
        ("market.bar_intervall", "did you mean 'bar_intervals'"),
    ),
    "bad spec": (
        {"CANDLEWAX__FILTERS__FOLDER": "{folder}"},
        ("typo.yaml:5:11:", "rsy", "did you mean 'rsi'"),
    ),
    "database not there": (
        {"DATABASE_URL": "postgresql://candle:sesame@127.0.0.1:{port}/candlewax"},
        ("127.0.0.1", "DATABASE_URL"),
    ),
}


REPLAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "missing file": ('{"files":["{folder}/lost.jsonl.gz"]}', ("lost.jsonl.gz: cannot read",)),
    "no recording": ('{"files":["{folder}/poem.txt"]}', ("poem.txt:1: not a record",)),
    "database of a replay": (
        '{"files":["{recording}"],"store":"postgresql://me:sesame@127.0.0.1:{port}/x"}',
        ("127.0.0.1",),
    ),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    folder = tmp_path_factory.mktemp("recorded")
    return record_wire(folder / "wire.jsonl.gz", seconds=10, symbols=("BTC-USDT",))


@pytest.fixture(scope="module")
def ended(recorded: WireRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlowRun]:
    """All flows with a mistake, run a few at a time."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "typo.yaml").write_text(BAD_SPEC)
    (folder / "poem.txt").write_text("roses are red\n")
    places = {
        "{folder}": str(folder),
        "{recording}": str(recorded.path),
        "{port}": str(free_ports(1)[0]),
    }

    def run(name: str) -> FlowRun:
        if name in MISTAKES:
            flow, environ = "flows.crypto", dict(MISTAKES[name][0])
        else:
            flow, environ = "flows.replay", {"CANDLEWAX_REPLAY": REPLAYS[name][0]}
        for variable, text in environ.items():
            for place, meant in places.items():
                text = text.replace(place, meant)  # noqa: PLW2901
            environ[variable] = text
        if "SYMBOLS" in "".join(environ):
            environ["CANDLEWAX__FEEDS__BINANCE__SIMULATED"] = "true"
        with FlowRun(
            flow, folder / name.replace(" ", "-"), environ=environ, is_urgent=False
        ) as started:
            started.wait()
        return started

    names = [*MISTAKES, *REPLAYS]
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(names, pool.map(run, names), strict=True))


@pytest.mark.parametrize("name", [*MISTAKES, *REPLAYS])
def test_a_mistake_is_told_and_nothing_starts(name: str, ended: dict[str, FlowRun]) -> None:
    run = ended[name]
    words = run.words
    assert run.codes == [2], words
    assert "error: " in words
    assert "Traceback" not in words
    assert "panicked" not in words
    assert "sesame" not in words
    for word in {**MISTAKES, **REPLAYS}[name][1]:
        assert word in words
    assert not (run.home / "run.json").exists()


def problems(run: FlowRun) -> list[str]:
    (status,) = run.statuses
    return status.problems


def lines(run: FlowRun) -> list[bytes]:
    return (run.home / "out.jsonl").read_bytes().splitlines()


def test_a_recording_that_was_cut_is_replayed_up_to_there(
    recorded: WireRun, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(recorded.path.read_bytes()[:-5000])
    with replay_run(tmp_path / "whole", [recorded.path], emit=["events"]) as whole:
        assert whole.wait() == [0]
    with replay_run(tmp_path / "cut", [cut], emit=["events"]) as run:
        assert run.wait() == [0]
    assert "recording is cut" in run.words
    assert "Traceback" not in run.words
    assert [str(cut) in problem for problem in problems(run)] == [True]
    assert lines(run) == lines(whole)[: len(lines(run))]
    assert len(lines(whole)) > len(lines(run)) > len(lines(whole)) / 4
    assert problems(whole) == []


def test_a_recording_with_a_bad_line_is_replayed_up_to_there(
    recorded: WireRun, tmp_path: Path
) -> None:
    text = gzip.decompress(recorded.path.read_bytes()).splitlines(keepends=True)
    at = len(text) // 2
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"".join([*text[:at], b'{"ts":"noon"}\n', *text[at:]]))
    with replay_run(tmp_path / "bad", [bad], emit=["events"]) as run:
        assert run.wait() == [0]
    assert "Traceback" not in run.words
    (problem,) = problems(run)
    assert f"{bad}:{at + 1}: not a record" in problem
    assert problem in json.loads(run.words.splitlines()[-1])["reason"]
    assert lines(run)
