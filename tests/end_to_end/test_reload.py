"""Specs that change in the middle of a run: in the recording, and the same when it is replayed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from connectors.recording import Recording
from filters.load import load_files
from filters.specs import Spec, SpecsChanged
from flows.emission import KINDS, alert_lines, digest, market_lines
from flows.symbol_filters import SymbolFilters
from tests.end_to_end.flow_runs import FlowRun, digest_at, poll, replay_run
from tests.end_to_end.wire_recording import SECOND, START, WireRun, record_wire
from tests.servers.schema import with_schema

ALL = frozenset(KINDS)
HEAD = "version: 1\nfilters:\n"
KEPT = """\
  - id: kept
    source: {stream: bar, symbols: ["*"], interval: 1s}
    when: close > 0
    for: 5 bars
    cooldown: 45s
    trigger: every
"""
EDITED = """\
  - id: edited
    source: {{stream: book, symbols: ["*"]}}
    when: imbalance(2) > {level}
"""
ADDED = """\
  - id: added
    source: {stream: bar, symbols: ["BTC-USDT", "ETH-USDT"], interval: 1s}
    when: count > 0 and ema(3)@BTC-USDT > 0
    trigger: every
"""
BEFORE = HEAD + KEPT + EDITED.format(level=0.2)
AFTER = HEAD + KEPT + EDITED.format(level=-0.2) + ADDED


class AlertValue(msgspec.Struct):
    """What of an alert says which spec of which set fired when."""

    spec: str
    series: str
    ts_fired: int


class AlertLine(msgspec.Struct):
    """An emitted alert."""

    kind: str
    value: AlertValue


def specs_of(folder: Path, text: str) -> tuple[Spec, ...]:
    path = folder / "some.yaml"
    path.write_text(text)
    return load_files([path])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    """A minute with a reload in its middle."""
    folder = tmp_path_factory.mktemp("recorded")
    return record_wire(
        folder / "wire.jsonl.gz",
        seconds=60,
        specs=specs_of(folder, BEFORE),
        reloads={
            30: SpecsChanged(
                generation=2,
                specs=specs_of(folder, AFTER),
                symbols=("BTC-USDT", "ETH-BTC", "ETH-USDT"),
            )
        },
    )


def alerts_of(lines: list[bytes]) -> list[AlertValue]:
    found = [line for line in lines if line.startswith(b'{"kind":"alerts"')]
    return [msgspec.json.decode(line, type=AlertLine).value for line in found]


@pytest.fixture(scope="module")
def told(recorded: WireRun) -> list[bytes]:
    """What the flow's objects said while the recording was made.

    Each batch of one symbol goes to its filters alone, so specs over other symbols need their
    copies, as the flow routes them.
    """
    filters: dict[str, SymbolFilters] = {}
    lines: list[bytes] = []
    for symbol, output in recorded.outputs:
        lines += market_lines(output, ALL)
        for name, routed in output.for_filters(symbol):
            one = filters.setdefault(name, SymbolFilters())
            lines += alert_lines(one.advance([routed]), ALL)
    return lines


def test_only_what_was_edited_begins_anew(told: list[bytes]) -> None:
    at = START + 30 * SECOND
    alerts = alerts_of(told)
    of = {
        name: [(alert.ts_fired - START) // SECOND for alert in alerts if alert.spec == name]
        for name in ("kept", "edited", "added")
    }
    firsts = sorted({second for second in of["kept"] if second < 30})
    assert firsts, "it fires soon after the start, and then waits for 45 s"
    assert all(second >= 45 for second in of["kept"] if second >= 30), of["kept"]
    assert [second for second in of["kept"] if second >= 45], "its cooldown ends in the second half"
    assert [second for second in of["edited"] if second < 30]
    assert [second for second in of["edited"] if second >= 30]
    assert of["added"]
    assert min(of["added"]) >= 30
    assert {alert.series for alert in alerts if alert.spec == "added"} == {
        "binance:BTC-USDT",
        "binance:ETH-USDT",
    }
    assert any(alert.ts_fired >= at for alert in alerts)


@pytest.mark.slow
def test_batches_workers_and_processes_change_nothing(
    recorded: WireRun, told: list[bytes], tmp_path: Path
) -> None:
    ways: dict[str, dict[str, object]] = {
        "batch=1": {"batch": 1},
        "batch=7": {"batch": 7},
        "batch=500": {"batch": 500},
        "workers=2": {"arguments": ("-w2",)},
        "processes=2": {"processes": 2},
    }
    for name, way in ways.items():
        with replay_run(tmp_path / name, [recorded.path], **way) as run:  # type: ignore[arg-type]
            assert set(run.wait()) == {0}, run.words
    expected = dict.fromkeys(ways, digest(told))
    assert {name: digest_at(tmp_path / name) for name in ways} == expected


def live_environ(folder: Path, home: Path, database: str) -> dict[str, str]:
    output = {"emit": [], "digest": True, "out": str(home / "out.jsonl")}
    return {
        "CANDLEWAX__FEEDS__BINANCE__SYMBOLS": "BTC-USDT,ETH-USDT,ETH-BTC,BNB-USDT",
        "CANDLEWAX__FEEDS__BINANCE__SIMULATED": "true",
        "CANDLEWAX__FEEDS__BINANCE__RECORD": "true",
        "CANDLEWAX__FILTERS__FOLDER": str(folder),
        "CANDLEWAX__LOG__FORMAT": "json",
        "CANDLEWAX_OUTPUT": msgspec.json.encode(output).decode(),
        "DATABASE_URL": database,
    }


def have(run: FlowRun, generation: int, problem: str = "") -> Callable[[], bool]:
    """Whether all processes of a run tell that they have a set of specs."""

    def told() -> bool:
        assert run.is_alive(), run.words
        found = run.statuses
        return len(found) == len(run.processes) and all(
            one.generation == generation
            and (problem in one.spec_problem)
            and bool(problem) == bool(one.spec_problem)
            and one.bars > 3
            for one in found
        )

    return told


@pytest.mark.slow
def test_a_live_run_of_two_processes_reloads_and_its_recordings_say_the_same(
    tmp_path: Path, make_database: Callable[[], str]
) -> None:
    folder, home = tmp_path / "specs", tmp_path / "live"
    folder.mkdir()
    file = folder / "some.yaml"
    file.write_text(BEFORE)
    database = with_schema(make_database())
    with FlowRun(
        "flows.crypto", home, environ=live_environ(folder, home, database), processes=2
    ) as live:
        poll(have(live, 1), within_s=60, said="bars of both processes")
        file.write_text(BEFORE.replace("close > 0", "closed > 0"))
        poll(have(live, 1, "some.yaml:5"), within_s=20, said="the mistake")
        file.write_text(AFTER)
        poll(have(live, 2), within_s=20, said="the second set")

        def added_fires() -> bool:
            assert live.is_alive(), live.words
            lines = (home / "out.jsonl").read_bytes().splitlines()
            return sum(alert.spec == "added" for alert in alerts_of(lines)) >= 4

        poll(added_fires, within_s=30, said="alerts of the spec that was added")
        live.end()
    assert live.codes == [0, 0]
    assert len(live.recordings) == 2
    sets = [
        [record for record in Recording(path) if b'"SpecsChanged"' in record.body]
        for path in live.recordings
    ]
    assert [len(each) for each in sets] == [2, 2], "the first set and the reload, in each recording"
    with replay_run(tmp_path / "replayed", live.recordings, processes=2) as replayed:
        assert replayed.wait() == [0, 0]
    assert digest_at(tmp_path / "replayed") == digest_at(home)
