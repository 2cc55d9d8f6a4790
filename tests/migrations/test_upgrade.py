"""Versions go up and down, from many processes at once, and fail with a message."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest

from filters.alerts import Alert, Observation
from filters.engine import FilterEngine
from filters.spec_reader import read_specs
from filters.specs import SpecsChanged
from market.errors import ConfigError
from market.events import State
from migrations.schema_version import current, newest, revisions
from migrations.session import LOCK
from migrations.storage import TIMED, prepare
from migrations.upgrade import downgrade, upgrade
from sinks.alert_facts import read_facts
from sinks.insertion import insert_alerts
from sinks.rows import alert_row
from sinks.tables import TABLES
from tests.servers.kept_connection import kept_connection
from tests.servers.schema import with_schema

PATIENCE_S = 20.0
FIRST = {"instruments", "trades", "book_tops", "bars", "features", "alerts", "outbox", "gaps"}
"""The tables of version 0001."""

SCHEMA = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       col_description(c.oid, a.attnum) IS NOT NULL, obj_description(c.oid) IS NOT NULL
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND NOT a.attisdropped AND c.relname <> 'alembic_version'
ORDER BY c.relname, a.attnum
"""
CATALOG = """
SELECT 'relation', c.relname, c.relkind::text, obj_description(c.oid), NULL FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
       col_description(c.oid, a.attnum), pg_get_expr(d.adbin, d.adrelid) || a.attnotnull
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index', indexname, indexdef, NULL, NULL FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'view', viewname, definition, NULL, NULL FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid), conrelid::regclass::text, NULL
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'sequence', sequencename, data_type::text, start_value::text, increment_by::text
FROM pg_sequences WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(t.oid), NULL, NULL
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid), obj_description(oid), NULL
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
UNION ALL
SELECT 'identity', c.relname || '.' || a.attname, a.attidentity::text, NULL, NULL
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND a.attidentity <> '' AND NOT a.attisdropped
ORDER BY 1, 2, 3
"""
"""All that a version or a storage step can make; TimescaleDB's own triggers are among it."""
LIKELY: dict[str, object] = {
    "text": "text",
    "double precision": 1.5,
    "bigint": 7,
    "integer": 7,
    "boolean": False,
    "timestamp with time zone": datetime(2026, 1, 2, tzinfo=UTC),
    "double precision[]": [1.5, 2.5],
    "text[]": ["console"],
    "jsonb": "{}",
}
"""A value of each type that columns have."""
ALLOWED = {"outbox.state": "pending", "book_updates.kind": "delta"}
"""Where a column takes only some words."""
BLOCKED = """
import sys
from migrations.upgrade import upgrade
upgrade(sys.argv[1])
"""


def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    with kept_connection(dsn) as connection:
        return connection.execute(query).fetchall()


def test_an_empty_database_gets_the_newest_version(empty_database: str) -> None:
    assert current(empty_database) is None
    done = upgrade(empty_database)
    assert (done.before, done.after) == (None, newest())
    assert current(empty_database) == newest()
    again = upgrade(empty_database)
    assert (again.before, again.after) == (newest(), newest())


def test_down_to_nothing_and_up_again_loses_no_object(empty_database: str) -> None:
    with_schema(empty_database)
    before = rows_of(empty_database, CATALOG)
    assert {kind for kind, *_ in before} >= {
        *("relation", "column", "index", "view", "constraint"),
        *("trigger", "function", "identity"),
    }
    for revision in [*revisions()[-2::-1], "base"]:
        after = downgrade(empty_database, revision).after
        assert (after or "base") == revision
    left = {row[1] for row in rows_of(empty_database, CATALOG) if row[0] == "relation"}
    assert left <= {"alembic_version", "alembic_version_pkc"}
    with_schema(empty_database)
    assert rows_of(empty_database, CATALOG) == before


def test_one_step_down_and_up_again_loses_no_object(empty_database: str) -> None:
    with_schema(empty_database)
    before = rows_of(empty_database, CATALOG)
    for revision in revisions()[:-1]:
        downgrade(empty_database, revision)
        with_schema(empty_database)
        assert rows_of(empty_database, CATALOG) == before


def test_a_version_that_is_not_there_is_refused(empty_database: str) -> None:
    upgrade(empty_database)
    with pytest.raises(ConfigError, match=r"no schema version 'nine': base, 0001, 0002"):
        downgrade(empty_database, "nine")


def fill(connection: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Put a likely row into every table there is; return all rows."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind = 'r' AND relname <> 'alembic_version' ORDER BY 1"
    ).fetchall()
    for (table,) in tables:
        columns = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND attidentity = '' ORDER BY attnum",
            (table,),
        ).fetchall()
        names = ", ".join(f'"{name}"' for name, _ in columns)
        cells = [ALLOWED.get(f"{table}.{name}", LIKELY[kind]) for name, kind in columns]
        marks = ", ".join(["%s"] * len(cells))
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})".encode(), cells)
        rows[table] = [(names, row) for row in all_rows(connection, table, names)]
    return rows


def all_rows(connection: psycopg.Connection, table: str, names: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT {names} FROM {table} ORDER BY 1".encode()).fetchall()


@pytest.mark.parametrize("place", range(len(revisions())))
def test_rows_of_every_earlier_version_come_along(place: int, empty_database: str) -> None:
    revision = revisions()[place]
    upgrade(empty_database, revision)
    assert current(empty_database) == revision
    with psycopg.connect(empty_database, autocommit=True) as connection:
        before = fill(connection)
        assert upgrade(empty_database).before == revision
        prepare(empty_database)
        assert current(empty_database) == newest()
        assert before.keys() >= FIRST
        check_rows(connection, before)


def signals(dsn: str) -> list[tuple[object, ...]]:
    return rows_of(
        dsn,
        "SELECT spec, signal, side, price, size, entry, stop, target, profit FROM signals"
        " ORDER BY fired_at",
    )


def test_signals_can_be_asked_for_and_survive_an_older_version(empty_database: str) -> None:
    upgrade(empty_database)
    text = (
        "version: 1\nfilters:\n  - id: paper\n"
        "    source: {stream: bar, interval: 1s, symbols: [BTC-USDT]}\n"
        "    strategy: {entry: rsi < 30, exit: rsi > 70, risk: {stop: 2%}}\n"
        "    notify: [{to: default, message: 'a note (exit): of one'}]\n"
        "    labels: {desk: spot}\n"
    )
    engine = FilterEngine()
    engine.specs_changed(SpecsChanged(generation=1, specs=read_specs([("s.yaml", text)])))
    alerts: list[Alert] = []
    moments = [
        (50.0, 100.0),
        (20.0, 100.0),
        (50.0, 97.0),
        (50.0, 97.0),
        (20.0, 100.0),
        (75.0, 102.0),
    ]
    for at, (rsi, close) in enumerate(moments):
        ts = 1_700_000_000_000_000_000 + at * 1_000_000_000
        values = dict.fromkeys(("open", "high", "low", "close"), close) | {"rsi(14)": rsi}
        alerts += engine.observe(
            Observation(
                series="binance:BTC-USDT", stream="bar", interval="1s", ts_event=ts, ts_recv=ts,
                moment=ts, revision=0, values=dict(values), state=State.LIVE,
            )
        )  # fmt: skip
    with psycopg.connect(empty_database, autocommit=True) as connection:
        rows = [list(alert_row(alert)) for alert in alerts]
        plain = list(alert_row(msgspec.structs.replace(alerts[0], key="k", signal="", values={})))
        insert_alerts(connection, [*rows, plain], notify=False)
        facts = read_facts(connection, [alerts[0].key, "k"])
    assert [(each.signal, each.labels) for each in (facts[alerts[0].key], facts["k"])] == [
        ("entry", {"desk": "spot"}), ("", {"desk": "spot"}),
    ]  # fmt: skip
    expected = [
        ("paper", "entry", "long", 100.0, 50.0, 100.0, 98.0, None, None),
        ("paper", "stop", "long", 97.0, 50.0, 100.0, 98.0, None, -150.0),
        ("paper", "entry", "long", 100.0, 50.0, 100.0, 98.0, None, None),
        ("paper", "exit", "long", 102.0, 50.0, 100.0, 98.0, None, 100.0),
    ]
    assert signals(empty_database) == expected
    downgrade(empty_database, "0004")
    assert rows_of(empty_database, "SELECT count(*) FROM alerts") == [(5,)]
    upgrade(empty_database)
    assert signals(empty_database) == expected
    assert rows_of(empty_database, "SELECT signal FROM alerts WHERE key = 'k'") == [("",)]


def test_a_migration_killed_half_way_is_undone_and_the_next_start_finishes_it(
    empty_database: str,
) -> None:
    upgrade(empty_database, "0001")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        before = fill(connection)
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE '-- Updates of books%'"
    )
    locks = (
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with psycopg.connect(empty_database) as holder:
        # Half way: the table of version 0002 is made, and its first view has to wait.
        holder.execute("LOCK TABLE bars IN ACCESS EXCLUSIVE MODE")
        half = subprocess.Popen(
            [sys.executable, "-c", BLOCKED, empty_database], cwd=Path(__file__).parents[2]
        )
        until(lambda: bool(rows_of(empty_database, waiting)))
        half.kill()
        half.wait()
        # The server sees within a second that nobody is there any more.
        until(lambda: not rows_of(empty_database, waiting))
        until(lambda: not rows_of(empty_database, locks))
    assert current(empty_database) == "0001"
    assert rows_of(empty_database, "SELECT to_regclass('book_updates')") == [(None,)]
    done = upgrade(empty_database)
    assert (done.before, done.after) == ("0001", newest())
    with psycopg.connect(empty_database, autocommit=True) as connection:
        check_rows(connection, before)


def check_rows(connection: psycopg.Connection, before: dict[str, list[tuple[object, ...]]]) -> None:
    for table, rows in before.items():
        for names, row in rows:
            assert row in all_rows(connection, table, str(names)), table


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_every_table_and_column_is_explained(database: str) -> None:
    facts = rows_of(database, SCHEMA)
    assert facts
    assert [fact for fact in facts if not (fact[4] and fact[5])] == []


def test_no_key_refers_to_a_table_that_may_become_a_hypertable(database: str) -> None:
    keys = rows_of(
        database,
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    )
    timed = {table.name for table in TIMED}
    assert [key for key in keys if timed & set(key)] == []


def test_the_writer_knows_the_columns_and_keys_of_the_schema(database: str) -> None:
    spelled = {"double precision": "float8", "bigint": "int8", "integer": "int4", "boolean": "bool"}
    spelled |= {"timestamp with time zone": "timestamptz", "double precision[]": "float8[]"}
    for name, table in TABLES.items():
        columns = tuple(
            (str(column), spelled.get(str(kind), str(kind)))
            for relation, column, kind, *_ in rows_of(database, SCHEMA)
            if relation == name
        )
        assert sorted(columns) == sorted(table.columns), name  # a row's own order is COPY's
        key = rows_of(
            database,
            "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, at) "
            "JOIN pg_attribute a ON a.attnum = k.number "
            f"WHERE i.indrelid = '{name}'::regclass AND i.indisprimary "
            "AND a.attrelid = i.indrelid ORDER BY k.at",
        )
        assert [str(row[0]) for row in key] == [one for one, _ in table.columns[: table.key]], name


FOUR = """
import os, sys
from migrations.storage import TIMED, prepare
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
    monkeypatch.setattr("migrations.session.STATEMENT_LOCK_TIMEOUT", "100ms")
    upgrade(empty_database)
    with psycopg.connect(empty_database) as holder:
        holder.execute("SELECT FROM gaps")  # of the first version
        with pytest.raises(ConfigError, match="locked by another session"):
            downgrade(empty_database, "base")
    # A version is whole or not there; those above the one that has to stay are gone.
    assert current(empty_database) == "0001"


def test_a_lock_that_is_never_given_up_is_told(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.session.LOCK_WAIT_S", 0.1)
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
