"""A recording says the same whatever batches, speed and workers are, and after a kill."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.recording import Recording
from filters.load import load_specs
from filters.spec_reader import read_specs
from flows.emission import KINDS, alert_lines, digest, market_lines
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from tests.end_to_end.flow_runs import (
    ROOT,
    FlowRun,
    content,
    digest_at,
    poll,
    recovery_flags,
    replay_run,
)
from tests.end_to_end.wire_recording import WireRun, record_wire
from tests.fixtures_database import EMBEDDED, Servers

ALL = frozenset(KINDS)
OTHERS = """
version: 1
filters:
  - id: with-bitcoin
    source: {stream: bar, symbols: [ETH-USDT, ETH-BTC], interval: 1s}
    when: change_bps > 0 and change_bps@BTC-USDT > 0 and close@5s > 0
    trigger: every
    cooldown: 5s
  - id: large
    source: {stream: trade, symbols: ["*"]}
    when: side == buy
    trigger: every
    cooldown: 20s
  - id: follower
    source: {stream: bar, symbols: [ETH-USDT, ETH-BTC], interval: 1s}
    strategy:
      entry: change_bps > 0 and change_bps@BTC-USDT > 0
      exit:
        any: [close crosses_below ema(3), change_bps@5s < -1]
      risk: {stop: atr(3)*0.5, target: 0.05%, equity: 5000}
  - id: leaning
    source: {stream: book, symbols: ["*"]}
    strategy:
      side: short
      entry: imbalance(5) < -0.1
      exit: imbalance(5) > 0.1
      risk: {stop: 0.02%, target: 0.02%}
    for: 1s
    cooldown: 3s
"""
"""They look at another symbol, at longer bars, and at trades; two are strategies."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    """Dips that alert, a lost connection and one that is replaced in time."""
    return record_wire(
        tmp_path_factory.mktemp("recorded") / "wire.jsonl.gz",
        seconds=80,
        specs=(*load_specs(ROOT / "filters" / "specs"), *read_specs([("others.yaml", OTHERS)])),
        faults="cut",
        max_age_s=40,
        market=MarketSettings(merged_intervals=("1s",)),
    )


@pytest.fixture(scope="module")
def lines(recorded: WireRun) -> list[bytes]:
    """What the flow's objects said while the recording was made."""
    filters: dict[str, SymbolFilters] = {}
    lines: list[bytes] = []
    for symbol, output in recorded.outputs:
        lines += market_lines(output, ALL)
        for asker, routed in output.for_filters(symbol):
            one = filters.setdefault(asker, SymbolFilters())
            lines += alert_lines(one.advance([routed]), ALL)
    return lines


@pytest.fixture(scope="module")
def told(lines: list[bytes]) -> str:
    """Digest of it."""
    return digest(lines)


def test_the_recording_has_everything_that_can_differ(
    recorded: WireRun, lines: list[bytes]
) -> None:
    assert recorded.records > 3500
    decoded = map(msgspec.json.decode, lines)
    alerts = [line["value"]["spec"] for line in decoded if line["kind"] == "alerts"]
    fired = Counter(alerts)
    assert fired["dip"] == 2
    assert fired["with-bitcoin"] > 2
    assert fired["large"] > 6
    signals = Counter((line["spec"], line.get("signal")) for line in _signals(lines))
    assert {(spec, signal) for spec, signal in signals if signal} >= {
        ("follower", "entry"), ("follower", "exit"), ("follower", "stop"),
        ("follower", "target"), ("leaning", "entry"), ("leaning", "exit"), ("leaning", "stop"),
    }, signals  # fmt: skip
    sizes = {line["values"]["position.size"] for line in _signals(lines)}
    assert len(sizes) > 5
    gaps = {gap.reason for _, output in recorded.outputs for gap in output.gaps}
    assert gaps == {"connection lost"}
    bars = [bar for _, output in recorded.outputs for bar in output.bars]
    assert any(bar.gap for bar in bars)
    healed = {bar.instrument for bar in bars if bar.revision and not bar.gap and not bar.partial}
    assert healed >= {"binance:BTC-USDT", "merged:BTC-USDT"}
    kinds = [record.kind for record in Recording(recorded.path)]
    assert kinds.count("history") >= 12  # of three symbols and two intervals, twice each
    assert {record.conn for record in Recording(recorded.path) if record.kind == "open"} == {
        "binance-0-0.1",
        "binance-0-0.2",  # after the fault
        "binance-0-0.3",  # took over before the second was too old
    }


def _signals(lines: list[bytes]) -> list[dict[str, Any]]:
    decoded = map(msgspec.json.decode, lines)
    alerts = [line["value"] for line in decoded if line["kind"] == "alerts"]
    return [alert for alert in alerts if alert["spec"] in ("follower", "leaning")]


def test_batches_workers_and_processes_change_nothing(
    recorded: WireRun, told: str, tmp_path: Path
) -> None:
    ways: dict[str, dict[str, object]] = {
        "batch=1": {"batch": 1},
        "batch=7": {"batch": 7},
        "batch=500": {"batch": 500},
        "workers=2": {"arguments": ("-w2",)},
        "processes=2": {"processes": 2},
    }
    codes: dict[str, list[int]] = {}
    crossed: dict[str, int] = {}
    for name, way in ways.items():  # one after the other: live flows run meanwhile
        with replay_run(tmp_path / name, [recorded.path], **way) as run:  # type: ignore[arg-type]
            codes[name] = run.wait()
        crossed[name] = sum(status.crossed for status in run.statuses)
    assert [name for name, count in crossed.items() if count] == ["processes=2"]
    assert codes == {name: [0, 0] if name == "processes=2" else [0] for name in ways}
    assert {name: digest_at(tmp_path / name) for name in ways} == dict.fromkeys(ways, told)


@pytest.fixture
def stores(servers: Servers, server_kind: str) -> tuple[str, str]:
    """Two databases to compare, the second on the server that the tests run on."""
    return servers.make_whole(EMBEDDED), servers.make_whole(server_kind)


def has_got_on(run: FlowRun) -> Callable[[], bool]:
    """Whether a replay has taken a good part and has been snapshotted at least once."""
    out = run.home / "out.jsonl"

    def got_on() -> bool:
        assert run.is_alive(), run.words
        return out.exists() and out.stat().st_size > 1_500_000

    return got_on


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_replay_resumes_and_nothing_is_lost_or_twice(
    processes: int,
    recorded: WireRun,
    told: str,
    tmp_path: Path,
    stores: tuple[str, str],
) -> None:
    undisturbed, disturbed = stores
    recovery = recovery_flags(tmp_path / "recovery")
    with (
        replay_run(
            tmp_path / "killed",
            [recorded.path],
            speed=25,
            batch=50,
            store=disturbed,
            arguments=recovery,
            processes=processes,
        ) as killed,
        replay_run(tmp_path / "whole", [recorded.path], store=undisturbed) as whole,
    ):
        poll(has_got_on(killed), within_s=60, said="half of the replay")
        killed.kill(1 if processes == 2 else 0)
        assert whole.wait() == [0]
    before = (tmp_path / "killed" / "out.jsonl").stat().st_size
    with replay_run(
        tmp_path / "killed", [recorded.path], store=disturbed, arguments=recovery
    ) as resumed:
        assert resumed.wait() == [0]
    assert (tmp_path / "killed" / "out.jsonl").stat().st_size > before
    assert digest_at(tmp_path / "killed") == digest_at(tmp_path / "whole") == told
    assert content(disturbed) == content(undisturbed)
    assert resumed.statuses[0].rows["trades"] < whole.statuses[0].rows["trades"]
