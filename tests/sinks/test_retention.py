"""Rows older than they are kept go, on every kind of server, and nothing else does."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.pq import TransactionStatus

from migrations.storage import TIMED
from sinks.insertion import insert_alerts
from sinks.retention import AGED, LOCK, WITH_ALERTS, Expired, RetentionJob, expire
from sinks.secret import Secret
from sinks.settings import RetentionSettings
from sinks.store_connection import complete, connect
from tests.fakes.killed_flow import alert_cells
from tests.servers.pooler import pgbouncer
from tests.servers.schema import with_schema

DAYS = RetentionSettings().days
PATIENCE_S = 20.0
FILL = {
    "trades": "SELECT 'v', 'A-B', {at}, n::text, 1, 1, 'buy', now()",
    "book_tops": "SELECT 'v', 'A-B', {at}, now(), n, '{{}}', '{{}}', '{{}}', '{{}}', 1, 0, 'live'",
    "book_updates": "SELECT 'v', 'A-B', {at}, n, 'delta', 0, '{{}}', '{{}}', '{{}}', '{{}}', now()",
    "bars": "SELECT 'v', 'A-B', '1m', {at}, {at}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, false, false",
    "features": "SELECT 'v', 'A-B', '1m', 'rsi(14)', {at}, 1, 'live', 0",
}
"""A row a day, today first, a hundred and twenty of them: many more than are kept."""


def fill(connection: psycopg.Connection) -> None:
    for table, select in FILL.items():
        at = "date_trunc('day', now()) - interval '1 day' * n"
        connection.execute(
            f"INSERT INTO {table} {select.format(at=at)} FROM generate_series(0, 119) AS n".encode()
        )


def ages(connection: psycopg.Connection, table: str) -> tuple[int, int]:
    """Return how many rows there are and how many days old the oldest is."""
    row = connection.execute(
        f"SELECT count(*), max(extract(day FROM now() - {AGED[table]}))::int FROM {table}".encode()
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_the_tables_and_their_times_are_those_that_are_cut() -> None:
    assert dict(AGED) == {table.name: table.column for table in TIMED}
    assert set(DAYS) == {*AGED, "alerts"}
    assert {"trades": 30, "book_tops": 14, "features": 90, "bars": 0}.items() <= DAYS.items()


def test_what_is_too_old_goes_and_the_rest_stays(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)
        expired = expire(connection, DAYS)
        assert expired is not None
        told = {each.table: each for each in expired}
        assert "bars" not in told
        for table in AGED:
            days = DAYS[table]
            count, oldest = ages(connection, table)
            if not days:
                assert count == 120
                continue
            # Rows are whole days old; a chunk of seven days goes when its last row is due.
            slack = 7 if told[table].how == "drop_chunks" and table == "features" else 1
            assert days - 1 <= oldest <= days + slack, table
            if told[table].how == "DELETE":
                assert told[table].count == 120 - count
            assert told[table].count > 0
        again = expire(connection, DAYS)
        assert again is not None
        assert [each.count for each in again] == [0] * len(again)


def test_alerts_and_what_became_of_them_go_together_after_a_year(database: str) -> None:
    year = 366 * 86_400
    mute = (
        "INSERT INTO alert_mutes (created_by, created_at, ends_at)"
        " VALUES (%(key)s, to_timestamp(%(at)s), to_timestamp(%(at)s))"
    )
    with psycopg.connect(database, autocommit=True) as connection:
        for number, age in enumerate((year, 0)):
            at = int(time.time()) - age
            row = alert_cells(number, now=at * 10**9, targets=["console"])
            with connection.transaction():
                insert_alerts(connection, [row], notify=True)
            key = f"burst/{number}"
            for text in (
                "INSERT INTO alert_endings VALUES (%(key)s, to_timestamp(%(at)s))",
                "INSERT INTO alert_acks VALUES (%(key)s, to_timestamp(%(at)s), 'ann')",
                mute,
                "INSERT INTO telegram_polls VALUES (%(key)s, 1, to_timestamp(%(at)s))",
            ):
                connection.execute(text, {"key": key, "at": at})
        connection.execute(
            "INSERT INTO alert_mutes (created_at, created_by)"
            " VALUES (now() - interval '9 years', 'for good')"
        )
        expired = expire(connection, DAYS)
        assert expired is not None
        gone = {each.table: each.count for each in expired if each.table in WITH_ALERTS}
        assert gone == dict.fromkeys(WITH_ALERTS, 1)
        for table, of_whom in (
            ("outbox", "alert_key"), ("alerts", "key"), ("alert_endings", "key"),
            ("alert_acks", "key"), ("telegram_polls", "bot"),
        ):  # fmt: skip
            left = connection.execute(f"SELECT {of_whom} FROM {table}".encode()).fetchall()
            assert left == [("burst/1",)]
        mutes = connection.execute("SELECT created_by FROM alert_mutes ORDER BY id").fetchall()
        assert mutes == [("burst/1",), ("for good",)]
        kept = expire(connection, {**DAYS, "alerts": 0})
        assert kept is not None
        assert not {each.table for each in kept} & set(WITH_ALERTS)


WIDE = (
    "INSERT INTO trades SELECT 'v', 'A-B', now() - interval '1 day' * n,"
    " n || repeat('x', 700), 1, 1, 'buy', now() FROM generate_series(0, 119) AS n"
)
"""A row a day, ten of them a page."""


def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.retention.BATCH_ROWS", 20)
    monkeypatch.setattr("sinks.retention.PIECE_PAGES", 1)


def test_batches_commit_one_by_one_and_end_when_asked_to(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    asked = iter(range(1000))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(WIDE.encode())
        # Asked once for the table, then before each batch: two batches are let through.
        expired = expire(connection, {"trades": 30}, is_stopped=lambda: next(asked) > 2)
        assert expired is not None
        if expired[0].how != "DELETE":
            assert ages(connection, "trades")[1] <= 31
            return
        assert 20 < expired[0].count <= 40
        assert ages(connection, "trades")[0] == 120 - expired[0].count
        expire(connection, {"trades": 30})
        assert ages(connection, "trades")[1] <= 31


def test_a_job_leaves_the_rest_to_another_that_has_begun(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    database = with_schema(plain_database)
    asked = iter(range(1000))
    with (
        psycopg.connect(database, autocommit=True) as connection,
        psycopg.connect(database, autocommit=True) as other,
    ):
        connection.execute(WIDE.encode())

        def interrupted() -> bool:
            if next(asked) == 2:
                other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            return False

        expired = expire(connection, DAYS, is_stopped=interrupted)
        assert expired is not None
        assert [each.table for each in expired] == ["trades"]
        assert 10 < expired[0].count <= 20
        assert ages(connection, "trades")[0] == 120 - expired[0].count
        assert expire(connection, DAYS) is None


def test_jobs_at_once_remove_every_old_row_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(WIDE.encode())
        together = threading.Barrier(4)
        found: list[list[Expired] | None] = []

        def work() -> None:
            with psycopg.connect(database, autocommit=True) as own:
                together.wait(PATIENCE_S)
                found.append(expire(own, {"trades": 30}))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(found) == 4
        left, oldest = ages(connection, "trades")
        assert oldest <= 31
        counts = [each for expired in found for each in expired or ()]
        if all(each.how == "DELETE" for each in counts):
            assert sum(each.count for each in counts) == 120 - left


def test_nothing_is_left_in_the_session_and_nothing_open(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)
        settings = "SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout' ORDER BY 1"
        before = connection.execute(settings).fetchall()

        def is_clean() -> bool:
            assert connection.info.transaction_status == TransactionStatus.IDLE
            held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert connection.execute(held).fetchall() == []
            assert connection.execute("SELECT FROM pg_cursors WHERE is_holdable").fetchall() == []
            assert connection.execute(settings).fetchall() == before
            return False

        assert expire(connection, DAYS, is_stopped=is_clean)
        is_clean()


def test_rows_are_found_wherever_they_lie(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    database = with_schema(plain_database)
    with psycopg.connect(database, autocommit=True) as connection:
        for days in ("0", "40 * (n % 2)", "0", "40", "39 * ((n + 1) % 2)"):
            text = WIDE.replace("'1 day' * n", f"'1 day' * ({days})").replace(
                "|| r", "|| '{}' || r"
            )
            connection.execute(text.format(days).encode())
        expired = expire(connection, {"trades": 30})
        assert expired is not None
        assert expired[0].count == 60 + 120 + 60
        assert ages(connection, "trades") == (360, 0)


def test_the_job_works_behind_a_pooler_in_transaction_mode(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch)
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)
        with pgbouncer(database, tmp_path) as pooled, ExitStack() as others:
            # Statements of others come between: what was left in a session would meet them.
            busy = others.enter_context(psycopg.connect(pooled, autocommit=True))
            asked = []

            def meanwhile() -> bool:
                with busy.transaction():
                    row = busy.execute("SHOW statement_timeout").fetchone()
                    assert row == ("0",)
                    with psycopg.connect(pooled, autocommit=True) as another:
                        another.execute("SELECT 1")
                asked.append(1)
                return False

            with connect(complete(pooled), session=False) as own:
                assert expire(own, DAYS, is_stopped=meanwhile)
            assert asked
        locks = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
        assert connection.execute(locks, (LOCK,)).fetchall() == []
        assert ages(connection, "trades")[1] <= 31
        assert ages(connection, "book_tops")[1] <= 15


def test_a_row_that_took_the_place_of_an_old_one_stays(
    plain_database: str,
) -> None:
    """Places of old rows are looked up first; when they are used others may stand there."""
    database = with_schema(plain_database)
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)

        asked = iter(range(1000))

        def renew() -> bool:
            if next(asked) == 1:
                with psycopg.connect(database, autocommit=True) as other:
                    other.execute("UPDATE trades SET price = 2")
                    other.execute("TRUNCATE trades")
                    other.execute(
                        "INSERT INTO trades SELECT 'v', 'A-B', now(), n::text, 1, 1, 'buy', now() "
                        "FROM generate_series(1, 120) AS n"
                    )
            return False

        expire(connection, {"trades": 30}, is_stopped=renew)
        assert ages(connection, "trades")[0] == 120


def test_one_at_a_time(database: str) -> None:
    with (
        psycopg.connect(database, autocommit=True) as holder,
        psycopg.connect(database, autocommit=True) as other,
    ):
        holder.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        assert expire(other, DAYS) is None
        holder.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        assert expire(other, DAYS) is not None
        assert expire(holder, DAYS) is not None  # the lock was given back


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.02)  # chunks can go only while nobody reads them


def test_the_job_works_at_its_start_and_stops_when_asked_to(database: str) -> None:
    also = threading.Event()
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)
        job = RetentionJob(Secret(database), DAYS, also=also.set)
        job.start()
        until(lambda: ages(connection, "trades")[1] <= 31)
    assert also.is_set()
    job.stop()
    until(lambda: not job.is_alive)


def test_a_database_that_is_away_is_tried_again(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sinks.retention.AGAIN_S", 0.01)
    tries = threading.Semaphore(0)
    job = RetentionJob(Secret("postgresql://u:hidden@127.0.0.1:1/x"), DAYS, also=tries.release)
    job.start()
    assert all(tries.acquire(timeout=PATIENCE_S) for _ in range(3))
    job.stop()
    assert "old rows cannot be removed now" in caplog.text
    assert "hidden" not in caplog.text


def test_a_bug_is_loud_and_the_job_goes_on(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sinks.retention.AGAIN_S", 0.01)
    labels = {"thread": "retention"}
    before = REGISTRY.get_sample_value("candlewax_thread_errors_total", labels) or 0.0
    tries = threading.Semaphore(0)

    def also() -> None:
        tries.release()
        raise ZeroDivisionError("nobody foresaw it")

    job = RetentionJob(Secret(database), DAYS, also=also)
    job.start()
    assert all(tries.acquire(timeout=PATIENCE_S) for _ in range(3))
    assert job.is_alive
    job.stop()
    after = REGISTRY.get_sample_value("candlewax_thread_errors_total", labels)
    assert after is not None
    assert after >= before + 2
    assert "nobody foresaw it" in caplog.text
