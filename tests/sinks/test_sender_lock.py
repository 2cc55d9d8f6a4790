from collections.abc import Callable

import psycopg
import pytest

from sinks import sender_lock
from tests.fakes.outbox_rows import until


@pytest.fixture
def dsn(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


def test_one_connection_holds_the_lock_of_an_outbox(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as one:
        assert sender_lock.take_lock(one)
        with psycopg.connect(dsn, autocommit=True) as two:
            assert not sender_lock.take_lock(two)
            two.execute("CREATE SCHEMA elsewhere")
            two.execute("CREATE TABLE elsewhere.outbox (LIKE public.outbox)")
            two.execute("SET search_path = elsewhere")
            assert sender_lock.take_lock(two)
    with psycopg.connect(dsn, autocommit=True) as two:
        until(lambda: sender_lock.take_lock(two))  # the server has to see that it ended
