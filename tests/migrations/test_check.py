import psycopg
import pytest

from migrations.check import SCRATCH, faults
from migrations.upgrade import upgrade


def test_what_the_versions_made_is_right(fresh_database: str) -> None:
    assert faults(fresh_database) == []
    with psycopg.connect(fresh_database) as connection:
        row = connection.execute("SELECT to_regnamespace(%s)", (SCRATCH,)).fetchone()
        assert row == (None,)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP INDEX outbox_pending", "index outbox_pending is missing"),
        ("DROP VIEW latest_book", "view latest_book is missing"),
        ("DROP TABLE gaps", "table gaps is missing"),
        ("ALTER TABLE gaps DROP COLUMN reason", "column gaps.reason is missing"),
        (
            "ALTER TABLE gaps RENAME COLUMN reason TO reasons",
            "column gaps.reason is missing; there is column gaps.reasons",
        ),
        (
            "ALTER TABLE gaps ALTER COLUMN reason DROP NOT NULL",
            "column gaps.reason is 'text', expected 'text not null'",
        ),
        (
            "ALTER TABLE outbox DROP CONSTRAINT outbox_alert_key_target_key",
            "constraint outbox outbox_alert_key_target_key is missing",
        ),
    ],
)
def test_what_is_missing_or_other_is_told(change: str, told: str, fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(change.encode())
    assert told in faults(fresh_database)


def test_what_somebody_has_added_is_no_fault(fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (number int)")
        connection.execute("CREATE INDEX mine_too ON alerts (spec)")
    assert faults(fresh_database) == []


def test_an_empty_or_old_database_says_what_to_do(empty_database: str) -> None:
    assert "db upgrade" in faults(empty_database)[0]
    upgrade(empty_database, "0001")
    assert "schema version 0001, newest" in faults(empty_database)[0]
