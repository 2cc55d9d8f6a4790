"""What only TimescaleDB Community does, on a Community server that CANDLEWAX_TEST_DSN names."""

import psycopg
import pytest

from migrations.bar_check import check_bars
from migrations.storage import ServerKind, aggregates, fill, prepare
from migrations.storage.aggregate_windows import read_pending
from migrations.upgrade import downgrade, upgrade
from tests.migrations.traded_bars import BEGIN, END, NAMES, bars_of, some_trades, store

pytestmark = pytest.mark.timescaledb
TRADES = """
INSERT INTO trades SELECT 'binance', 'BTC-USDT', {end} - n * interval '0.1 second', n::text,
    100 + (n * 37) % 101, 1 + n % 5, CASE WHEN n % 3 = 0 THEN 'buy' ELSE 'sell' END, now()
FROM generate_series(1, {count}) AS n
ON CONFLICT DO NOTHING
"""
OURS = """
SELECT date_bin('{length}', time, '2000-01-01') AS start, (array_agg(price ORDER BY time))[1],
    max(price), min(price), (array_agg(price ORDER BY time DESC))[1], sum(size),
    coalesce(sum(size) FILTER (WHERE side = 'buy'), 0), sum(price * size), count(*)
FROM trades GROUP BY 1 ORDER BY 1
"""
THEIRS = """
SELECT start, open, high, low, close, volume, buy_volume, notional, count FROM {name} ORDER BY start
"""

REFRESH_JOB = """
SELECT job_id FROM timescaledb_information.jobs AS job
JOIN timescaledb_information.continuous_aggregates AS made
    ON job.hypertable_name IN (made.materialization_hypertable_name, made.view_name)
WHERE job.proc_name = 'policy_refresh_continuous_aggregate' AND made.view_name = '{name}'
"""
START_OFFSET = REFRESH_JOB.replace(
    "job_id", "extract(epoch FROM (config->>'start_offset')::interval)::int"
)


@pytest.fixture
def community(timescale_database: str) -> str:
    """Address of a database with the schema on a Community server."""
    upgrade(timescale_database)
    kind = prepare(timescale_database, keep_days={"trades": 30}).kind
    if kind is not ServerKind.COMMUNITY:
        pytest.skip(f"{kind} has neither columnstore nor aggregates: name a Community server")
    return timescale_database


def rows_of(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_chunks_by_column_are_smaller_and_still_know_their_rows(community: str) -> None:
    fill = TRADES.format(end="date_trunc('day', now()) - interval '9 days'", count=200_000)
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute(fill.encode())
        before = rows_of(connection, "SELECT hypertable_size('trades')")[0][0]
        for (chunk,) in rows_of(connection, "SELECT show_chunks('trades')::text"):
            connection.execute(f"CALL convert_to_columnstore('{chunk}')".encode())
        after = rows_of(connection, "SELECT hypertable_size('trades')")[0][0]
        print(f"columnstore: {before} bytes before, {after} after")
        assert int(str(before)) > 2 * int(str(after))
        connection.execute(fill.encode())  # once more: every row is known
        assert rows_of(connection, "SELECT count(*) FROM trades") == [(200_000,)]


def test_the_aggregates_are_our_bars(community: str) -> None:
    fill = TRADES.format(end="date_trunc('hour', now()) - interval '1 hour'", count=100_000)
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute(fill.encode())
        for name, length in {
            "trades_1m": "1 minute",
            "trades_5m": "5 minutes",
            "trades_1h": "1 hour",
        }.items():
            connection.execute(
                f"CALL refresh_continuous_aggregate('{name}', now() - interval '1 day', "
                "date_trunc('hour', now()))".encode()
            )
            theirs = rows_of(connection, THEIRS.format(name=name))
            ours = rows_of(connection, OURS.format(length=length))
            assert len(theirs) == len(ours)
            for their, our in zip(theirs, ours, strict=True):
                assert their[0] == our[0]
                assert [float(str(cell)) for cell in their[1:]] == pytest.approx(
                    [float(str(cell)) for cell in our[1:]]
                )


def test_the_schema_goes_down_and_comes_back_with_its_aggregates(community: str) -> None:
    downgrade(community, "base")
    upgrade(community)
    steps = prepare(community, keep_days={"trades": 30}).steps
    assert all(step.is_done for step in steps), steps


def test_other_days_replace_the_policy(community: str) -> None:
    for days, reason in ((10, "10 days"), (0, "for ever")):
        steps = {step.what: step for step in prepare(community, keep_days={"trades": days}).steps}
        assert reason in steps["retention trades"].reason
    with psycopg.connect(community) as connection:
        assert rows_of(
            connection,
            "SELECT count(*) FROM timescaledb_information.jobs "
            "WHERE proc_name = 'policy_retention' AND hypertable_name = 'trades'",
        ) == [(0,)]


def test_other_days_of_trades_replace_the_refresh_and_take_no_old_bar(community: str) -> None:
    fill = TRADES.format(end="date_trunc('hour', now()) - interval '30 hours'", count=10_000)
    name = aggregates.AGGREGATES[0].name
    count = f"SELECT count(*) FROM {name}"
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute(fill.encode())
        connection.execute(
            f"CALL refresh_continuous_aggregate('{name}', now() - interval '2 days', "
            "date_trunc('hour', now()))".encode()
        )
        before = rows_of(connection, count)
        assert before != [(0,)]
        for days, hours in ((1, 18), (30, 48), (1, 18)):
            report = prepare(community, keep_days={"trades": days})
            undone = [step for step in report.steps if not step.is_done]
            assert set(undone) <= set(report.history), undone
            assert rows_of(connection, START_OFFSET.format(name=name)) == [(hours * 3600,)]
        connection.execute("DELETE FROM trades")  # as the policy of one day does
        jobs = rows_of(connection, REFRESH_JOB.format(name=name))
        for (job,) in jobs:
            connection.execute(f"CALL run_job({job})".encode())
        assert len(jobs) == 1
        assert rows_of(connection, count) == before


def test_trades_that_are_older_than_the_policies_look_are_put_in_once(community: str) -> None:
    fill_in = TRADES.format(end="date_trunc('day', now()) - interval '9 days'", count=50_000)
    keep = {"trades": 30.0}
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute(fill_in.encode())
        assert not any(step.is_done for step in prepare(community, keep_days=keep).history)
        assert all(one.windows >= 1 for one in fill(community, keep))
        assert all(step.is_done for step in prepare(community, keep_days=keep).history)
        for aggregate in aggregates.AGGREGATES:
            assert rows_of(connection, f"SELECT sum(count) FROM {aggregate.name}") == [(50_000,)]
        assert [one.windows for one in fill(community, keep)] == [0, 0, 0]
        # One that comes too late for the policies is put in by the next fill, into all of them.
        connection.execute(
            "INSERT INTO trades SELECT venue, symbol, time, 'late', price, size, side, now() "
            "FROM trades LIMIT 1"
        )
        assert not prepare(community, keep_days=keep).history[0].is_done
        fill(community, keep)
        for aggregate in aggregates.AGGREGATES:
            assert rows_of(connection, f"SELECT sum(count) FROM {aggregate.name}") == [(50_001,)]


def test_a_fill_takes_no_bar_whose_trades_are_gone(community: str) -> None:
    fill_in = TRADES.format(end="date_trunc('day', now()) - interval '9 days'", count=10_000)
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute(fill_in.encode())
        fill(community, {"trades": 30.0})
        before = rows_of(connection, "SELECT count(*) FROM trades_1m")
        assert before != [(0,)]
        connection.execute("SELECT drop_chunks('trades', older_than => now() - interval '5 days')")
        for days in (5.0, 30.0, 0.0):
            fill(community, {"trades": days})
            assert rows_of(connection, "SELECT count(*) FROM trades_1m") == before


def test_an_aggregate_that_an_older_version_made_is_made_anew(community: str) -> None:
    with psycopg.connect(community, autocommit=True) as connection:
        connection.execute("COMMENT ON VIEW trades_5m IS 'Bars.'")
        steps = prepare(community, keep_days={"trades": 30}).steps
        assert all(step.is_done for step in steps), steps
        made = {step.what: step.reason for step in steps}
        assert made["continuous aggregate trades_1m"] == "there"
        assert made["continuous aggregate trades_5m"] == "made from trades_1m"
        assert made["continuous aggregate trades_1h"] == "made from trades_5m"


def test_our_bars_are_held_to_the_aggregates_once_these_know_their_trades(
    timescale_database: str,
) -> None:
    upgrade(timescale_database)
    if prepare(timescale_database).kind is not ServerKind.COMMUNITY:
        pytest.skip("there are no aggregates: name a Community server")
    trades = some_trades(1)
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        store(connection, trades, bars_of(trades, *NAMES))
        by_trades = check_bars(connection, keep_days={}, most=9)
        assert (by_trades.differences, by_trades.stale) == ([], 0)
        fill(timescale_database, {})
        for aggregate in aggregates.AGGREGATES:
            pending = read_pending(connection, aggregate)
            assert not pending.overlaps(BEGIN // 1000, END // 1000)
        found = check_bars(connection, keep_days={}, most=9)
        assert (found.differences, found.held) == ([], by_trades.held)
        connection.execute(
            "UPDATE bars SET low = 1 WHERE \"interval\" = '5m' AND start = (SELECT start FROM bars "
            "WHERE \"interval\" = '5m' ORDER BY start OFFSET 9 LIMIT 1)"
        )
        found = check_bars(connection, keep_days={}, most=9)
        assert [each.unlike.column for each in found.differences] == ["low"]
        assert found.differences[0].interval == "5m"
