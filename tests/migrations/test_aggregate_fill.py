"""History goes into the continuous aggregates once, a day at a time, and never takes a bar away."""

import logging
from collections.abc import Iterator
from itertools import count, pairwise

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from migrations.storage import aggregate_fill, fill
from migrations.storage.aggregate_windows import (
    ALL_TIME,
    DAY_US,
    HOUR_US,
    Pending,
    Window,
    missing_windows,
    moment_of,
    read_pending,
    windows,
)
from migrations.storage.aggregates import AGGREGATES
from migrations.upgrade import upgrade
from tests.fakes.community_catalogue import chunk_by_day, log_changes, pretend

FIRST = AGGREGATES[0]
NAMES = [aggregate.name for aggregate in AGGREGATES]
FOR_EVER: dict[str, float] = {}
TRADES = (
    "INSERT INTO trades SELECT 'binance', 'BTC-USDT', date_trunc('minute', now()) "
    "- interval '{hours} hours' * n, n::text, 1, 1, 'buy', now() "
    "FROM generate_series({first}, {last}) AS n"
)


def test_a_window_is_a_statement_of_its_own() -> None:
    window = Window(0, DAY_US)
    assert window.statement(FIRST) == (
        "CALL refresh_continuous_aggregate('trades_1m', '1970-01-01T00:00:00+00:00'::timestamptz, "
        "'1970-01-02T00:00:00+00:00'::timestamptz)"
    )
    assert Window(0, DAY_US, is_forced=True).statement(FIRST).endswith(", force => true)")


def test_only_days_with_trades_are_refreshed_and_none_is_longer_than_a_day() -> None:
    week = (10 * DAY_US, 17 * DAY_US)  # a chunk that somebody made longer
    day = (30 * DAY_US, 31 * DAY_US)
    made = list(windows([week, day], ALL_TIME, -(2**63), 40 * DAY_US, HOUR_US))
    assert [(one.start // DAY_US, one.end // DAY_US) for one in made] == [
        *((number, number + 1) for number in range(10, 17)),
        (30, 31),
    ]


def test_buckets_that_lie_in_two_chunks_are_refreshed_and_half_ones_at_an_end_are_not() -> None:
    half = HOUR_US // 2
    chunks = [(start, start + 3 * half) for start in (half, 4 * half, 7 * half)]  # of 90 minutes
    [made] = windows(chunks, ALL_TIME, -(2**63), DAY_US, HOUR_US)
    assert (made.start, made.end) == (HOUR_US, 5 * HOUR_US)
    assert list(windows([(half, 3 * half)], ALL_TIME, -(2**63), DAY_US, HOUR_US)) == []


HOURS = st.integers(0, 300).map(lambda hours: hours * HOUR_US)
RANGES = st.lists(
    st.tuples(HOURS, st.integers(1, 100)).map(
        lambda drawn: (drawn[0], drawn[0] + drawn[1] * HOUR_US)
    ),
    max_size=5,
)


@given(st.sets(st.integers(0, 12)), RANGES, RANGES, HOURS, HOURS)
def test_what_is_pending_and_kept_is_covered_once_and_nothing_else_is_touched(
    days: set[int],
    invalid: list[tuple[int, int]],
    half_done: list[tuple[int, int]],
    floor: int,
    end: int,
) -> None:
    chunks = [(day * DAY_US, (day + 1) * DAY_US) for day in sorted(days)]
    pending = Pending(tuple(invalid), tuple(half_done))
    made = list(windows(chunks, pending, floor, end, HOUR_US))
    assert all(one.end <= other.start for one, other in pairwise(made))
    for one in made:
        assert floor <= one.start < one.end <= end
        assert one.start // DAY_US == (one.end - 1) // DAY_US
        assert one.start // DAY_US in days
        assert pending.overlaps(one.start, one.end)
    for hour in range(0, 13 * 24 * HOUR_US, HOUR_US):
        is_ours = hour // DAY_US in days and floor <= hour < end
        covered = [one for one in made if one.start <= hour < one.end]
        if is_ours and pending.overlaps(hour, hour + HOUR_US):
            assert len(covered) == 1
        if is_ours and Pending(tuple(half_done)).overlaps(hour, hour + HOUR_US):
            assert covered[0].is_forced


@pytest.fixture
def pretended(plain_database: str) -> Iterator[psycopg.Connection]:
    """A database with a trade every six hours of the last ten days, and empty aggregates."""
    upgrade(plain_database)
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        pretend(connection)
        connection.execute(TRADES.format(hours=6, first=0, last=40).encode())
        chunk_by_day(connection)
        yield connection


def rows(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def dsn_of(connection: psycopg.Connection) -> str:
    return f"{connection.info.dsn} password={connection.info.password}"


def known(connection: psycopg.Connection, name: str) -> int:
    return int(str(rows(connection, f"SELECT coalesce(sum(count), 0) FROM {name}")[0][0]))


def older_than(connection: psycopg.Connection, hours: float) -> int:
    query = f"SELECT count(*) FROM trades WHERE time < now() - interval '{hours} hours'"
    return int(str(rows(connection, query)[0][0]))


def test_all_that_the_policies_never_look_at_is_in_after_one_fill(
    pretended: psycopg.Connection,
) -> None:
    assert not any(aggregate_fill.look(pretended, each, FOR_EVER).is_done for each in AGGREGATES)
    done = fill(dsn_of(pretended), FOR_EVER)
    calls = rows(
        pretended, "SELECT name, window_start, window_end, force FROM calls ORDER BY number"
    )
    assert [one.aggregate for one in done] == NAMES
    assert [one.windows for one in done] == [
        sum(name == each for name, *_ in calls) for each in NAMES
    ]
    # 1m is whole before 5m reads it, and 5m before 1h; within one, the oldest comes first.
    assert calls == sorted(calls, key=lambda call: (NAMES.index(str(call[0])), str(call[1])))
    assert not any(is_forced for *_, is_forced in calls)
    for aggregate in AGGREGATES:
        hours = aggregate.start_h
        # A bucket more at most: the one in which the policy begins.
        assert known(pretended, aggregate.name) >= older_than(pretended, hours)
        assert known(pretended, aggregate.name) <= older_than(pretended, hours - 1)
        assert aggregate_fill.look(pretended, aggregate, FOR_EVER).is_done


def test_a_second_fill_asks_for_nothing(pretended: psycopg.Connection) -> None:
    fill(dsn_of(pretended), FOR_EVER)
    before = rows(pretended, "SELECT count(*) FROM calls")
    assert [one.windows for one in fill(dsn_of(pretended), FOR_EVER)] == [0, 0, 0]
    assert rows(pretended, "SELECT count(*) FROM calls") == before


def test_one_that_fails_half_way_goes_on_from_there(pretended: psycopg.Connection) -> None:
    missing = missing_windows(pretended, FIRST, FOR_EVER)
    failing = missing[len(missing) // 2]
    pretended.execute("INSERT INTO fails_at VALUES ('trades_1m', %s)", (moment_of(failing.start),))
    with pytest.raises(
        ConfigError, match=r"trades_1m does not take the trades from .*disk is full"
    ):
        fill(dsn_of(pretended), FOR_EVER)
    assert {name for (name,) in rows(pretended, "SELECT name FROM calls")} == {"trades_1m"}
    pretended.execute("TRUNCATE fails_at, calls")
    fill(dsn_of(pretended), FOR_EVER)
    calls = rows(
        pretended,
        "SELECT window_start, force FROM calls WHERE name = 'trades_1m' ORDER BY number",
    )
    # What had been begun counts as known, so that one is forced; nothing before it is done again.
    assert calls[0] == (moment_of(failing.start), True)
    assert not any(is_forced for _, is_forced in calls[1:])
    assert known(pretended, "trades_1m") >= older_than(pretended, FIRST.start_h)


def test_trades_that_come_too_late_for_the_policies_are_put_in_the_next_time(
    pretended: psycopg.Connection,
) -> None:
    fill(dsn_of(pretended), FOR_EVER)
    log_changes(pretended)
    pretended.execute(
        "INSERT INTO trades SELECT venue, symbol, time + interval '1 second', 'late', 1, 1, 'buy',"
        " now() FROM trades WHERE trade_id = '36'"
    )
    assert not aggregate_fill.look(pretended, FIRST, FOR_EVER).is_done
    pretended.execute("TRUNCATE calls")
    fill(dsn_of(pretended), FOR_EVER)
    assert rows(pretended, "SELECT name FROM calls ORDER BY number") == [(name,) for name in NAMES]
    assert rows(pretended, "SELECT count FROM trades_1h WHERE count > 1") == [(2,)]


def test_a_day_with_bars_whose_trades_are_gone_is_left_out(pretended: psycopg.Connection) -> None:
    fill(dsn_of(pretended), FOR_EVER)
    log_changes(pretended)
    # Retention took that day when it was shorter, and somebody imports another symbol's trades.
    day = "time >= date_bin('1 day', now(), '2000-01-01') - interval '6 days' "
    day += "AND time < date_bin('1 day', now(), '2000-01-01') - interval '5 days'"
    pretended.execute(f"DELETE FROM trades WHERE {day}".encode())
    pretended.execute(
        b"INSERT INTO trades SELECT 'binance', 'ETH-USDT', date_bin('1 day', now(), '2000-01-01')"
        b" - interval '132 hours', 'imported', 1, 1, 'buy', now()"
    )
    before = {name: rows(pretended, f"SELECT * FROM {name} ORDER BY start") for name in NAMES}
    assert [one.windows for one in fill(dsn_of(pretended), FOR_EVER)] == [0, 0, 0]
    for name, kept in before.items():
        assert rows(pretended, f"SELECT * FROM {name} ORDER BY start") == kept
    assert not aggregate_fill.look(pretended, FIRST, FOR_EVER).is_done, "it is told"


def test_times_whose_trades_may_be_gone_are_never_looked_at(pretended: psycopg.Connection) -> None:
    fill(dsn_of(pretended), FOR_EVER)
    before = known(pretended, "trades_1m")
    pretended.execute(
        "UPDATE _timescaledb_catalog.continuous_aggs_materialization_invalidation_log "
        "SET lowest_modified_value = %s",
        (-(2**63),),
    )
    pretended.execute(
        "INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log "
        "SELECT mat_hypertable_id, %s, %s FROM _timescaledb_catalog.continuous_agg",
        (-(2**63), 2**63 - 1),
    )
    pretended.execute("TRUNCATE calls")
    pretended.execute("DELETE FROM trades WHERE time < now() - interval '7 days'")  # of a policy
    fill(dsn_of(pretended), {"trades": 7.0})  # the chunks are still told: nobody has dropped them
    [(oldest,)] = rows(
        pretended, "SELECT min(window_start) >= now() - interval '7 days' FROM calls"
    )
    assert oldest is True
    chunk_by_day(pretended)
    pretended.execute("TRUNCATE calls")
    fill(dsn_of(pretended), FOR_EVER)  # and where chunks are gone there is no window
    assert known(pretended, "trades_1m") >= before - 4
    assert rows(
        pretended,
        "SELECT count(*) FROM calls WHERE window_end < now() - interval '8 days'",
    ) == [(0,)]


def test_a_catalogue_that_is_other_makes_all_of_it_pending(pretended: psycopg.Connection) -> None:
    pretended.execute("DROP TABLE _timescaledb_catalog.continuous_aggs_materialization_ranges")
    assert read_pending(pretended, FIRST) == Pending(((-(2**63), 2**63 - 1),))
    pretended.execute(
        "ALTER TABLE _timescaledb_catalog.continuous_agg RENAME mat_hypertable_id TO other"
    )
    assert read_pending(pretended, FIRST) is ALL_TIME


def test_one_process_at_a_time(pretended: psycopg.Connection) -> None:
    pretended.execute("SELECT pg_advisory_lock(%s)", (aggregate_fill.LOCK,))
    with pytest.raises(ConfigError, match="another process"):
        fill(dsn_of(pretended), FOR_EVER)


def test_progress_is_told(pretended: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    ticks = count()
    with caplog.at_level(logging.WARNING):
        fill(dsn_of(pretended), FOR_EVER, clock=lambda: 3.0 * next(ticks))
    told = [record for record in caplog.records if record.name.endswith("aggregate_fill")]
    of_first = [record for record in told if record.__dict__["aggregate"] == "trades_1m"]
    assert "putting the history" in of_first[0].getMessage()
    percents = [
        record.__dict__["about_percent"] for record in of_first if "still" in record.getMessage()
    ]
    assert percents == sorted(percents)
    assert len(percents) > 1
    assert of_first[-1].getMessage() == "the history is in it now"


@pytest.mark.timescaledb
def test_the_real_catalogue_is_read(timescale_database: str) -> None:
    """The extension's own tables and views have the columns, in each edition."""
    upgrade(timescale_database)
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute(
            "SELECT create_hypertable('trades', by_range('time', INTERVAL '1 day'), "
            "create_default_indexes => false)"
        )
        connection.execute(TRADES.format(hours=24, first=1, last=9).encode())
        assert read_pending(connection, FIRST) == Pending(())
        assert missing_windows(connection, FIRST, FOR_EVER) == []
        [(start, end)] = connection.execute(
            "SELECT min(range_start), max(range_end) FROM timescaledb_information.chunks"
        ).fetchall()
        assert (end - start).days in {9, 10}
