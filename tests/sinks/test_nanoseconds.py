"""Times of the database as numbers, whatever somebody wrote there."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.nanoseconds import EARLIEST_NS, LATEST_NS, ns_of
from sinks.outbox_row import timestamp


@pytest.fixture(scope="module")
def connection(make_whole_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_whole_database(), autocommit=True) as connection:
        yield connection


def read(connection: psycopg.Connection, value: object) -> object:
    row = connection.execute(
        f"SELECT {ns_of('t')} FROM (SELECT %s::timestamptz AS t) AS x", (value,)
    )
    found = row.fetchone()
    assert found is not None
    return found[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(us=st.integers(EARLIEST_NS // 1000, LATEST_NS // 1000))
def test_a_time_is_read_exactly(connection: psycopg.Connection, us: int) -> None:
    assert read(connection, timestamp(us * 1000)) == us * 1000


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (None, None),
        ("2262-04-11 23:47:16.854776+00", LATEST_NS),
        ("9999-12-31 00:00:00+00", LATEST_NS),
        ("294276-12-31 00:00:00+00", LATEST_NS),
        ("infinity", LATEST_NS),
        ("1677-01-01 00:00:00+00", EARLIEST_NS),
        ("4713-01-01 00:00:00+00 BC", EARLIEST_NS),
        ("-infinity", EARLIEST_NS),
    ],
)
def test_what_no_number_holds_is_read_as_the_nearest(
    connection: psycopg.Connection, written: str | None, read_as: int | None
) -> None:
    assert read(connection, written) == read_as
