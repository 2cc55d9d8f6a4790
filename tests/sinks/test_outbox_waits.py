import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from sinks import outbox, outbox_waits
from sinks.outbox_row import REPEAT_MARK
from tests.fakes.outbox_rows import empty, fire, states

TARGETS = ["telegram/main"]
MINUTE = 60_000_000_000


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def due(connection: psycopg.Connection, *, now: int) -> list[str]:
    row = outbox.due(connection, targets=TARGETS, now=now, oldest=now - MINUTE)
    return [] if row is None else [row.text]


def test_a_marked_row_that_gets_too_old_stays_unknown(
    dsn: str, connection: psycopg.Connection
) -> None:
    now = time.time_ns()
    fire(dsn, "crash", severity="critical")
    row = outbox.due(connection, targets=TARGETS, now=now, oldest=now - MINUTE)
    assert row is not None
    begun = outbox.begin(connection, [row])
    outbox.record_unanswered(connection, begun, "cut off", oldest=now - MINUTE)
    (row,) = outbox_waits.expire(connection, oldest=time.time_ns() + MINUTE)
    assert row.state == "unknown"


def test_what_waited_too_long_expires_whatever_its_target(
    dsn: str, connection: psycopg.Connection
) -> None:
    fire(dsn, "old", age_s=70)
    fire(dsn, "old and for nobody", target="pager", age_s=70)
    fire(dsn, "young", age_s=50)
    expired = outbox_waits.expire(connection, oldest=time.time_ns() - MINUTE)
    assert sorted(row.text for row in expired) == ["old", "old and for nobody"]
    assert states(dsn) == {"old": "expired", "old and for nobody": "expired", "young": "pending"}


def test_quiet_hours_hold_back_what_is_not_critical_and_its_age_counts_from_their_end(
    dsn: str, connection: psycopg.Connection
) -> None:
    now = time.time_ns()
    fire(dsn, "info")
    fire(dsn, "too old", age_s=70)
    fire(dsn, f"{REPEAT_MARK}told before")
    fire(dsn, "to a program", target="webhook/desk")
    end = now + 600 * MINUTE
    assert outbox_waits.hold(connection, targets=TARGETS, until=end, oldest=now - MINUTE) == 1
    assert outbox_waits.hold(connection, targets=TARGETS, until=end, oldest=now - MINUTE) == 0
    fire(dsn, "crash", severity="critical")
    assert outbox_waits.hold(connection, targets=TARGETS, until=end, oldest=now - MINUTE) == 0
    assert due(connection, now=time.time_ns()) == ["crash"]
    assert [row.text for row in outbox_waits.expire(connection, oldest=end - MINUTE)] != ["info"]
    assert states(dsn)["info"] == "pending"
    assert due(connection, now=end - MINUTE // 2) == []
    assert due(connection, now=end + MINUTE // 2) == ["info"]
    outbox_waits.expire(connection, oldest=end + 1_000)
    assert states(dsn)["info"] == "expired"


def test_a_wait_that_is_taken_back_ends_at_once(dsn: str, connection: psycopg.Connection) -> None:
    now = time.time_ns()
    fire(dsn, "info")
    outbox_waits.hold(connection, targets=TARGETS, until=now + 600 * MINUTE, oldest=now - MINUTE)
    assert due(connection, now=now) == []
    later = now + 5 * MINUTE
    assert outbox_waits.release(connection, now=later) == 1
    assert outbox_waits.release(connection, now=later) == 0
    assert due(connection, now=later) == ["info"]
