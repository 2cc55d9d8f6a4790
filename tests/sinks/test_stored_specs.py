"""Specs in a real database."""

import threading

import psycopg
import pytest

from filters.spec_store import StoredSpec
from market.errors import ConfigError
from sinks.secret import Secret
from sinks.stored_specs import CHANNEL, StoredSpecs

SPEC = StoredSpec(id="tight", text="id: tight\n", created_by="ann")


def told(connection: psycopg.Connection) -> int:
    """Count the notifications that are there."""
    return len(list(connection.notifies(timeout=0.2)))


def test_what_is_added_is_listed_until_it_is_removed(database: str) -> None:
    store = StoredSpecs(Secret(database))
    assert store.list() == []
    store.add(SPEC)
    store.add(StoredSpec(id="Quiet", text="x: 'é'", is_enabled=False))
    quiet, tight = store.list()
    assert (quiet.id, quiet.text, quiet.is_enabled) == ("Quiet", "x: 'é'", False)
    assert (tight.id, tight.text, tight.created_by) == ("tight", SPEC.text, "ann")
    assert tight.created_at > 1_600_000_000 * 10**9
    assert store.switch("tight", is_enabled=False)
    assert [one.is_enabled for one in store.list()] == [False, False]
    assert store.remove("tight")
    assert [one.id for one in store.list()] == ["Quiet"]
    assert not store.remove("tight")
    assert not store.switch("tight", is_enabled=True)


def test_an_id_that_is_taken_is_refused_and_what_was_there_stays(database: str) -> None:
    store = StoredSpecs(Secret(database))
    store.add(SPEC)
    with pytest.raises(ConfigError, match="database:tight: the id is taken already"):
        store.add(StoredSpec(id="tight", text="other"))
    assert [one.text for one in store.list()] == [SPEC.text]


def test_every_change_is_told_to_listeners_and_nothing_else_is(database: str) -> None:
    store = StoredSpecs(Secret(database))
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        store.add(SPEC)
        assert told(listener) == 1
        store.switch("tight", is_enabled=False)
        assert told(listener) == 1
        store.list()
        store.generation("a")
        assert told(listener) == 0
        with psycopg.connect(database) as by_hand:
            by_hand.execute("DELETE FROM filter_specs")
        assert told(listener) == 1


def test_a_set_gets_the_next_number_once(database: str) -> None:
    store = StoredSpecs(Secret(database))
    assert [store.generation(each) for each in ("a", "a", "b", "a", "a")] == [1, 1, 2, 3, 3]


def test_processes_that_read_the_same_set_at_once_agree_on_its_number(database: str) -> None:
    store = StoredSpecs(Secret(database))
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.append(store.generation("same"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [1] * 6


def test_a_database_without_the_table_says_what_makes_it(empty_database: str) -> None:
    with pytest.raises(ConfigError, match="candlewax db upgrade"):
        StoredSpecs(Secret(empty_database)).list()


def test_an_absent_database_is_told_without_its_password() -> None:
    store = StoredSpecs(Secret("postgresql://user:hush@127.0.0.1:1/none"))
    with pytest.raises(ConfigError, match="does not answer") as raised:
        store.list()
    assert "hush" not in str(raised.value)
