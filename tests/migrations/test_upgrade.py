"""Versions go up and down, from many processes at once, and fail with a message."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from market.errors import ConfigError
from migrations.upgrade import LOCK, current, downgrade, newest, upgrade
from sinks.tables import TABLES

SCHEMA = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       col_description(c.oid, a.attnum) IS NOT NULL, obj_description(c.oid) IS NOT NULL
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND NOT a.attisdropped AND c.relname <> 'alembic_version'
ORDER BY c.relname, a.attnum
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"


def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def test_an_empty_database_gets_the_newest_version(empty_database: str) -> None:
    assert current(empty_database) is None
    done = upgrade(empty_database)
    assert (done.before, done.after) == (None, newest())
    assert current(empty_database) == newest()
    again = upgrade(empty_database)
    assert (again.before, again.after) == (newest(), newest())


def test_down_to_nothing_and_up_again_loses_no_object(empty_database: str) -> None:
    upgrade(empty_database)
    before = rows_of(empty_database, SCHEMA), rows_of(empty_database, INDEXES)
    assert downgrade(empty_database, "base").after is None
    assert rows_of(empty_database, SCHEMA) == []
    upgrade(empty_database)
    assert (rows_of(empty_database, SCHEMA), rows_of(empty_database, INDEXES)) == before


def test_every_table_and_column_is_explained(database: str) -> None:
    facts = rows_of(database, SCHEMA)
    assert facts
    assert [fact for fact in facts if not (fact[4] and fact[5])] == []


def test_the_writer_knows_the_columns_and_keys_of_the_schema(database: str) -> None:
    spelled = {"double precision": "float8", "bigint": "int8", "integer": "int4", "boolean": "bool"}
    spelled |= {"timestamp with time zone": "timestamptz", "double precision[]": "float8[]"}
    for name, table in TABLES.items():
        columns = tuple(
            (str(column), spelled.get(str(kind), str(kind)))
            for relation, column, kind, *_ in rows_of(database, SCHEMA)
            if relation == name
        )
        assert columns == table.columns, name
        key = rows_of(
            database,
            "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, at) "
            "JOIN pg_attribute a ON a.attnum = k.number "
            f"WHERE i.indrelid = '{name}'::regclass AND i.indisprimary "
            "AND a.attrelid = i.indrelid ORDER BY k.at",
        )
        assert [str(row[0]) for row in key] == [column for column, _ in columns[: table.key]], name


FOUR = """
import os, sys
from migrations.storage import prepare
from migrations.upgrade import upgrade
children = []
for _ in range(4):
    children.append(os.fork())
    if not children[-1]:
        upgrade(sys.argv[1])
        prepare(sys.argv[1])
        os._exit(0)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_four_processes_that_start_at_once_on_an_empty_database_all_succeed(
    empty_database: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOUR, empty_database],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert current(empty_database) == newest()


def test_a_version_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    # The last table of the first version exists already: everything before it must go again.
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE gaps ()")
    with pytest.raises(psycopg.errors.DuplicateTable):
        upgrade(empty_database)
    assert {row[0] for row in rows_of(empty_database, SCHEMA)} == set()
    assert current(empty_database) is None
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("DROP TABLE gaps")
    assert upgrade(empty_database).after == newest()


def test_a_killed_migration_leaves_no_lock(empty_database: str) -> None:
    holder = psycopg.connect(empty_database, autocommit=True)
    holder.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    outcome: list[str | None] = []
    waiter = threading.Thread(target=lambda: outcome.append(upgrade(empty_database).after))
    waiter.start()
    assert current(empty_database) is None
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (holder.info.backend_pid,))
    waiter.join(30)
    assert outcome == [newest()]
    holder.close()


def test_a_table_in_use_is_not_waited_for_for_ever(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.upgrade.STATEMENT_LOCK_TIMEOUT", "100ms")
    upgrade(empty_database)
    with psycopg.connect(empty_database) as holder:
        holder.execute("SELECT FROM alerts, gaps, filter_specs")
        with pytest.raises(ConfigError, match="locked by another session"):
            downgrade(empty_database, "base")
    assert current(empty_database) == newest()


def test_a_lock_that_is_never_given_up_is_told(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.upgrade.LOCK_WAIT_S", 0.1)
    with psycopg.connect(empty_database, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        with pytest.raises(ConfigError, match="another process has been changing"):
            upgrade(empty_database)


def test_a_newer_database_is_refused(fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"version 9999.*newer"):
        upgrade(fresh_database)


def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(ConfigError, match="start it, or correct DATABASE_URL") as told:
        upgrade("postgresql://me:s3cret@127.0.0.1:1/nowhere")
    assert "127.0.0.1:1/nowhere" in str(told.value)
    assert "s3cret" not in str(told.value)


def test_a_malformed_address_is_told_without_quoting_it() -> None:
    with pytest.raises(ConfigError, match="malformed") as told:
        current("me:s3cret@somewhere")
    assert "s3cret" not in str(told.value)


def test_a_wrong_user_is_told(database_server: str) -> None:
    wrong = psycopg.conninfo.make_conninfo(database_server, user="nobody of that name")
    with pytest.raises(ConfigError, match="does not let us in"):
        current(wrong)
