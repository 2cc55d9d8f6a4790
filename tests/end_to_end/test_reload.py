"""Specs that change in the middle of a run: in the recording, and the same when it is replayed.

The live run is of two venues with the same symbols, and has bars of both together.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
import pytest
from psycopg.rows import args_row

from connectors.recording import Recording
from filters.load import load_files
from filters.specs import Spec, SpecsChanged
from flows.emission import KINDS, alert_lines, digest, market_lines
from flows.symbol_filters import SymbolFilters
from tests.end_to_end.flow_runs import FlowRun, digest_at, poll, replay_run
from tests.end_to_end.wire_recording import SECOND, START, WireRun, record_wire
from tests.fixtures_database import Servers

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
TOGETHER = """\
  - id: together
    source: {stream: bar, symbols: ["BTC-USDT"], interval: 2s, venues: [merged]}
    when: count > 0
    trigger: every
"""
"""Over the bars of both venues, of a time that the configuration does not ask for."""
VENUES_OF = {
    "BTC-USDT": {"binance", "bybit"},
    "ETH-USDT": {"binance", "bybit"},
    "ETH-BTC": {"binance"},
    "BNB-USDT": {"binance"},
}
"""Who is asked for each symbol in the live run."""
BEFORE = HEAD + KEPT + EDITED.format(level=0.2)
AFTER = HEAD + KEPT + EDITED.format(level=-0.2) + ADDED


class AlertValue(msgspec.Struct):
    """What of an alert says which spec of which set fired when."""

    spec: str
    series: str
    ts_event: int
    ts_fired: int


class AlertLine(msgspec.Struct):
    """An emitted alert."""

    kind: str
    value: AlertValue


class BarValue(msgspec.Struct):
    """What of a bar says which one it is, and whether all its trades are in it."""

    end: int
    revision: int
    partial: bool
    gap: bool


class BarLine(msgspec.Struct):
    """An emitted bar."""

    value: BarValue


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
        "CANDLEWAX__FEEDS__BYBIT__SYMBOLS": "BTC-USDT,ETH-USDT",
        "CANDLEWAX__FEEDS__BYBIT__SIMULATED": "true",
        "CANDLEWAX__FEEDS__BYBIT__RECORD": "true",
        "CANDLEWAX__MARKET__MERGED_INTERVALS": "1s",
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


class Lived(NamedTuple):
    """What a live run of two processes left behind."""

    home: Path
    recordings: list[Path]
    codes: list[int]
    database: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, servers: Servers, server_kind: str) -> Lived:
    """A run on two venues that ended when the specs of the second set had fired."""
    folder = tmp_path_factory.mktemp("specs")
    home = tmp_path_factory.mktemp("lived") / "home"
    file = folder / "some.yaml"
    file.write_text(BEFORE)
    (folder / "together.yaml").write_text(HEAD + TOGETHER)
    database = servers.make_whole(server_kind)
    with FlowRun(
        "flows.crypto", home, environ=live_environ(folder, home, database), processes=2
    ) as live:
        poll(have(live, 1), within_s=60, said="bars of both processes")
        file.write_text(BEFORE.replace("close > 0", "closed > 0"))
        poll(have(live, 1, "some.yaml:5"), within_s=20, said="the mistake")
        file.write_text(AFTER)
        poll(have(live, 2), within_s=20, said="the second set")

        def all_fire() -> bool:
            assert live.is_alive(), live.words
            fired = Counter(alert.spec for alert in alerts_of(told_in(home)))
            return fired["added"] >= 4 and fired["together"] >= 2

        poll(all_fire, within_s=30, said="alerts of the spec that was added, and of both venues")
        live.end()
    return Lived(home, live.recordings, live.codes, database)


def told_in(home: Path) -> list[bytes]:
    return (home / "out.jsonl").read_bytes().splitlines()


def test_a_live_run_of_two_processes_reloads_and_its_recordings_say_the_same(
    lived: Lived, tmp_path: Path
) -> None:
    assert lived.codes == [0, 0]
    assert len(lived.recordings) == 2
    sets = [
        [record for record in Recording(path) if b'"SpecsChanged"' in record.body]
        for path in lived.recordings
    ]
    assert [len(each) for each in sets] == [2, 2], "the first set and the reload, in each recording"
    for processes in (1, 2):
        home = tmp_path / str(processes)
        with replay_run(home, lived.recordings, processes=processes) as replayed:
            assert set(replayed.wait()) == {0}
        assert digest_at(home) == digest_at(lived.home)


class StoredTrade(NamedTuple):
    """What of a trade's row is in bars; its time is in microseconds."""

    symbol: str
    venue: str
    time: int
    size: float


class StoredBar(NamedTuple):
    """A row of a bar; its times are in microseconds."""

    symbol: str
    interval: str
    start: int
    end: int
    trades: int
    volume: float
    is_whole: bool


def test_a_bar_of_both_venues_holds_the_stored_trades_of_both(lived: Lived) -> None:
    with psycopg.connect(lived.database) as connection:
        with connection.cursor(row_factory=args_row(StoredTrade)) as cursor:
            trades = cursor.execute(
                "SELECT symbol, venue, (extract(epoch FROM time) * 1000000)::int8, size FROM trades"
            ).fetchall()
        with connection.cursor(row_factory=args_row(StoredBar)) as cursor:
            bars = cursor.execute(
                'SELECT symbol, "interval", (extract(epoch FROM start) * 1000000)::int8,'
                ' (extract(epoch FROM "end") * 1000000)::int8, count, volume, NOT (gap OR partial)'
                " FROM bars WHERE venue = 'merged' ORDER BY start"
            ).fetchall()
    series = {(bar.symbol, bar.interval) for bar in bars}
    configured = {(symbol, "1s") for symbol in {trade.symbol for trade in trades}}
    assert series == {*configured, ("BTC-USDT", "2s")}, "by configuration, and by a spec"
    for symbol, interval in series:
        of_it = [bar for bar in bars if (bar.symbol, bar.interval) == (symbol, interval)]
        length = of_it[0].end - of_it[0].start
        firsts: dict[str, int] = {}
        sizes: dict[int, list[float]] = {}
        for trade in trades:
            if trade.symbol == symbol:
                firsts[trade.venue] = min(trade.time, firsts.get(trade.venue, trade.time))
                sizes.setdefault(trade.time // length * length, []).append(trade.size)
        assert firsts.keys() == VENUES_OF[symbol]
        whole = [bar for bar in of_it if bar.start >= max(firsts.values())]
        assert len(whole) >= 2
        assert all(bar.is_whole for bar in whole)
        expected = {
            at: sizes[at] for at in sorted(sizes) if whole[0].start <= at <= whole[-1].start
        }
        assert [(bar.start, bar.trades) for bar in whole] == [
            (at, len(each)) for at, each in expected.items()
        ]
        volumes = [math.fsum(each) for each in expected.values()]
        assert [bar.volume for bar in whole] == pytest.approx(volumes, rel=1e-12)


def test_each_whole_bar_of_both_venues_alerts_once(lived: Lived) -> None:
    lines = told_in(lived.home)
    fired = [alert for alert in alerts_of(lines) if alert.spec == "together"]
    assert {alert.series for alert in fired} == {"merged:BTC-USDT"}
    start = b'{"kind":"bars","key":"merged:BTC-USDT 2s"'
    bars = [
        msgspec.json.decode(line, type=BarLine).value for line in lines if line.startswith(start)
    ]
    whole = [bar.end for bar in bars if not (bar.gap or bar.partial or bar.revision)]
    assert [alert.ts_event for alert in fired] == whole
