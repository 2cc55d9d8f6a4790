"""What live flows left behind: rows, alerts, recordings, and nothing that runs."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psycopg
import pytest

from cli.main import main
from connectors.recording import Recording
from market.events import History
from migrations.schema_version import newest
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.tables import TABLES
from tests.end_to_end.conftest import LiveFlows
from tests.end_to_end.flow_runs import content, counts, digest_at, replay_run
from tests.end_to_end.live_scenario import CLUSTER_SYMBOLS, FAST, SILENT, Both, Ended
from tests.fixtures_database import EMBEDDED, TIMESCALEDB, Servers

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def both(live_flows: LiveFlows) -> Iterator[Both]:
    ended = live_flows.end()
    with ExitStack() as stack:
        if not ended.alone.dsn:
            own = EmbeddedPostgres(ended.alone.run.home / "pg")
            ended.alone.dsn = stack.enter_context(own)
        yield ended


@pytest.fixture
def alone(both: Both) -> Ended:
    return both.alone


@pytest.fixture
def cluster(both: Both) -> Ended:
    return both.cluster


def test_sigterm_under_load_ends_both_cleanly_within_five_seconds(both: Both) -> None:
    assert both.alone.codes == [0]
    assert both.cluster.codes == [0, 0, 0, 0]  # it was started again in between
    assert both.alone.stop_s < 5
    assert both.cluster.stop_s < 5
    assert both.left == []
    for ended in (both.alone, both.cluster):
        assert not (ended.run.home / "run.json").exists()
        assert "Traceback" not in ended.words


def test_a_second_flow_on_the_same_state_folder_is_refused(both: Both) -> None:
    words = both.second.words
    assert both.second.codes == [2], words
    assert "in use by" in words
    assert str(both.alone.run.processes[0].pid) in words
    assert "CANDLEWAX_HOME" in words
    assert "Traceback" not in words


@pytest.mark.parametrize("which", ["alone", "cluster"])
def test_rows_handed_over_are_rows_in_the_database(which: str, both: Both) -> None:
    ended: Ended = getattr(both, which)
    stored = counts(ended.dsn)
    del stored["instruments"]
    handed = ended.told("rows")
    written = ended.told("rows_written")
    assert stored["trades"] > 300
    # What a process had under way when it ended is on the disk too, and known to the next one.
    assert written.keys() == {name for name, count in stored.items() if count}
    assert all(count <= stored[name] for name, count in written.items())
    assert handed["trades"] == stored["trades"] == sum(one.trades for one in ended.statuses)
    assert handed["bars"] >= stored["bars"]
    assert handed["features"] >= stored["features"]
    assert stored["bars"] > 3 * 12


@pytest.mark.parametrize("which", ["alone", "cluster"])
def test_the_status_names_the_server_and_counts_its_rows(
    which: str,
    both: Both,
    server_kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended: Ended = getattr(both, which)
    monkeypatch.chdir(ended.run.home)
    monkeypatch.setenv("CANDLEWAX_HOME", str(ended.run.home))
    monkeypatch.setenv("DATABASE_URL", ended.dsn)
    assert main(["db", "status"]) == 0
    shown = capsys.readouterr().out
    with capsys.disabled():
        print(f"\nthe database of {which}, on the {server_kind} server:\n{shown}")
    servers = {EMBEDDED: "PostgreSQL 1", TIMESCALEDB: "TimescaleDB Apache 17."}
    assert f"server          {servers.get(server_kind, '')}" in shown
    assert f"schema version  {newest()}\n" in shown
    hypertable = "on   hypertable trades: there"
    assert (hypertable in shown) == ("TimescaleDB     2." in shown)
    for table, count in counts(ended.dsn).items():
        assert f"{count:>13,}  {table} " in shown


def test_a_flow_removes_what_is_older_than_it_is_kept(cluster: Ended) -> None:
    with psycopg.connect(cluster.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM trades WHERE venue = 'old'").fetchone()
    assert row == (0,)


def test_exactly_the_scripted_dips_alert(both: Both) -> None:
    for ended, since in ((both.alone, 0), (both.cluster, both.cluster_from)):
        with psycopg.connect(ended.dsn) as connection:
            rows = connection.execute(
                "SELECT symbol FROM alerts WHERE spec = 'dip' AND fired_at >= to_timestamp(%s)"
                " ORDER BY fired_at",
                [since / 1e9],
            ).fetchall()
        assert rows == [("BTC-USDT",), ("ETH-USDT",)]


def test_an_alert_is_in_the_outbox_within_half_a_second(both: Both) -> None:
    with psycopg.connect(both.alone.dsn) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM created_at - fired_at)::float8,"
            " extract(epoch FROM fired_at) > %s FROM outbox ORDER BY 1",
            [both.quiet_from / 1e9],
        ).fetchall()
        alerts = connection.execute("SELECT count(*) FROM alerts").fetchone()
    assert alerts == (len(rows),)
    late = [seconds for seconds, _ in rows]
    quiet = [seconds for seconds, was_quiet in rows if was_quiet]
    told = (
        f"{len(late)} alerts: p50 {late[len(late) // 2]:.4f} s, most {late[-1]:.4f} s;"
        f" {len(quiet)} of them with nothing beside: p50 {quiet[len(quiet) // 2]:.4f} s,"
        f" p99 {quiet[len(quiet) * 99 // 100]:.4f} s, most {quiet[-1]:.4f} s"
    )
    print(told)
    assert len(quiet) > 100, told
    # How late the latest are is the benchmark's to say: here other tests have the disk too.
    assert late[len(late) // 2] < 0.5, told
    assert quiet[len(quiet) // 2] < 0.5, told


def test_every_alert_has_an_end_or_waits(alone: Ended) -> None:
    with psycopg.connect(alone.dsn) as connection:
        rows = connection.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall()
        fired = connection.execute("SELECT count(*) FROM alerts").fetchone()
    assert fired is not None
    assert sum(count for _, count in rows) == fired[0]
    assert {state for state, _ in rows} <= {"sent", "pending", "digested", "suppressed", "expired"}


def test_the_alerts_book_is_stored_with_it(alone: Ended) -> None:
    with psycopg.connect(alone.dsn) as connection:
        lost = connection.execute(
            "SELECT count(*) FROM alerts LEFT JOIN book_tops USING (venue, symbol, time)"
            " WHERE alerts.spec NOT IN ('dip', 'paper') AND book_tops.time IS NULL"
        ).fetchone()
    assert lost == (0,)


def test_a_strategy_enters_and_leaves(alone: Ended) -> None:
    with psycopg.connect(alone.dsn) as connection:
        rows = connection.execute(
            "SELECT signal, count(*), min(size) > 0, count(DISTINCT size) > 1 FROM signals"
            " WHERE spec = 'paper' GROUP BY 1"
        ).fetchall()
    told = {signal: more for signal, *more in rows}
    assert {"entry", "exit"} <= told.keys(), told
    entries, leaves = told["entry"][0], sum(told[each][0] for each in told if each != "entry")
    assert 0 <= entries - leaves <= len(FAST) + 1
    assert told["entry"][1:] == [True, True]


def test_a_silent_symbol_holds_nobody_up(both: Both) -> None:
    lags = both.lags.of
    seconds = min(len(lags[f"binance:{symbol} 1s"]) for symbol in FAST)
    for symbol in FAST:
        late = sorted(lags[f"binance:{symbol} 1s"])
        assert len(late) > 12
        assert late[len(late) // 2] < 1.0  # closed by the next second's first trade
        assert late[len(late) * 9 // 10] < 3.5  # or by the heartbeat after the grace period
    assert len(lags.get(f"binance:{SILENT} 1s", [])) <= max(2, seconds // 10)
    book = both.alone.statuses[0].books[f"binance:{SILENT}"]
    assert book.state in ("live", "stale")
    with psycopg.connect(both.alone.dsn) as connection:
        tops = connection.execute(
            "SELECT count(*) FROM book_tops WHERE symbol = %s", [SILENT]
        ).fetchone()
    assert tops is not None
    assert tops[0] > 12  # one a second all the while


def test_a_fast_symbol_has_a_bar_for_every_second(alone: Ended) -> None:
    with psycopg.connect(alone.dsn) as connection:
        rows = connection.execute(
            "SELECT symbol, count(*), extract(epoch FROM max(start) - min(start)) + 1 FROM bars"
            " WHERE \"interval\" = '1s' AND symbol <> %s GROUP BY symbol",
            [SILENT],
        ).fetchall()
        flags = connection.execute("SELECT count(*) FROM bars WHERE gap").fetchone()
    assert len(rows) == len(FAST)
    for _, bars, seconds in rows:
        assert bars >= 0.9 * float(seconds)  # a second without any trade has no bar
    assert flags == (0,)


def test_every_trade_of_every_symbol_arrived(alone: Ended) -> None:
    with psycopg.connect(alone.dsn) as connection:
        rows = connection.execute(
            "SELECT symbol, count(*), max(trade_id::bigint) - min(trade_id::bigint) + 1"
            " FROM trades GROUP BY symbol"
        ).fetchall()
    assert {symbol for symbol, _, _ in rows} >= set(FAST)
    assert [(symbol, count) for symbol, count, _ in rows] == [
        (symbol, span) for symbol, _, span in rows
    ]


def test_the_time_between_two_runs_is_a_gap(cluster: Ended) -> None:
    with psycopg.connect(cluster.dsn) as connection:
        gaps = connection.execute(
            "SELECT symbol, count(*), min(extract(epoch FROM ended_at - started_at)) FROM gaps"
            " GROUP BY symbol"
        ).fetchall()
        touched = connection.execute(
            "SELECT DISTINCT symbol FROM bars WHERE gap OR partial OR revision > 0"
        ).fetchall()
        healed = connection.execute(
            "SELECT DISTINCT symbol FROM bars WHERE revision > 0 AND NOT gap AND NOT partial"
        ).fetchall()
    assert {(symbol, count) for symbol, count, _ in gaps} == {
        (symbol, 1) for symbol in CLUSTER_SYMBOLS
    }
    assert all(seconds > 1 for _, _, seconds in gaps)
    assert {symbol for (symbol,) in touched} >= set(FAST)
    assert {symbol for (symbol,) in healed} >= set(FAST), "the venue's candles put bars right"


def test_both_processes_did_their_part(cluster: Ended) -> None:
    assert len(cluster.statuses) == 4
    assert all(status.trades > 20 for status in cluster.statuses)
    books = [set(status.books) for status in cluster.statuses]
    assert books[:2] == books[2:]
    assert not books[0] & books[1]
    assert books[0] | books[1] == {f"binance:{symbol}" for symbol in CLUSTER_SYMBOLS}
    assert len(cluster.run.recordings) == 4
    assert [status.crossed for status in cluster.statuses] == [0] * 4  # each reads what it owns


def test_the_past_was_loaded_and_is_in_the_recordings(both: Both) -> None:
    for ended in (both.alone, both.cluster):
        told = [
            msgspec.json.decode(record.body, type=History)
            for path in ended.run.recordings
            for record in Recording(path)
            if record.kind == "history"
        ]
        assert {one.interval for one in told if one.bars} == {"1s", "1m"}
        with psycopg.connect(ended.dsn) as connection:
            live = connection.execute(
                "SELECT count(*) FROM features WHERE \"interval\" = '1m' AND state = 'live'"
            ).fetchone()
        assert live is not None
        assert live[0] > 0, "a minute's indicator is warm in a run of seconds"


def test_a_replay_says_and_stores_what_the_live_flow_did(
    both: Both, tmp_path: Path, servers: Servers, server_kind: str
) -> None:
    stores = {"alone": server_kind, "cluster": EMBEDDED}
    stores = {name: servers.make_whole(kind) for name, kind in stores.items()}
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(
                replay_run(
                    tmp_path / name,
                    getattr(both, name).run.recordings,
                    batch=batch,
                    store=stores[name],
                )
            )
            for name, batch in (("alone", 7), ("cluster", 500))
        }
        for run in runs.values():
            assert run.wait() == [0]
    for name in runs:
        live: Ended = getattr(both, name)
        assert digest_at(tmp_path / name) == digest_at(live.run.home)
        expected, found = content(live.dsn), content(stores[name])
        for table in ("trades", "book_tops", "bars", "features", "gaps"):
            assert found[table] == expected[table], table
        # The targets differ: a replay sends nothing and leaves them as the specs name them.
        assert list(map(_untargeted, found["alerts"])) == list(map(_untargeted, expected["alerts"]))


def _untargeted(alert: Sequence[object]) -> list[object]:
    place = [name for name, _ in TABLES["alerts"].columns].index("targets")
    return [*alert[:place], *alert[place + 1 :]]


def test_a_recording_holds_what_came_and_when_the_flow_took_it(alone: Ended) -> None:
    (path,) = alone.run.recordings
    recording = Recording(path)
    kinds: dict[str, int] = {}
    last = 0
    for record in recording:
        kinds[record.kind] = kinds.get(record.kind, 0) + 1
        assert record.ts >= last
        last = record.ts
    assert not recording.truncated
    assert kinds["open"] == 1
    assert kinds["http"] == len(FAST) + 1
    assert kinds["control"] == 2
    assert kinds["heartbeat"] > 12
