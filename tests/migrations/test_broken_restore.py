"""A restore that ends half way leaves every row that was there, on every kind of server."""

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from market.errors import ConfigError
from migrations.backup import backup, restore
from migrations.check import faults
from migrations.schema_version import newest
from migrations.storage import inspect
from migrations.upgrade import upgrade
from tests.fakes.proxy import CuttableProxy
from tests.fixtures_database import Servers
from tests.migrations.test_backup import PORTABLE, content, fill
from tests.servers.schema import with_schema

HALF_WAY = b"\tid 50\t"
KEPT = "was not restored; the old rows are still there: "


def another(source: str) -> dict[str, list[tuple[object, ...]]]:
    """Change what was saved, and return what is not to be lost."""
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DELETE FROM trades WHERE trade_id = 'id 7'")
        connection.execute("UPDATE instruments SET step = 0.5")
    return content(source)


def check_kept(dsn: str, before: dict[str, list[tuple[object, ...]]]) -> None:
    assert content(dsn) == before
    assert faults(dsn) == []
    assert all(
        step.is_done for step in inspect(dsn).steps if step.what.startswith(("hypertable", "index"))
    )


@PORTABLE
def test_a_connection_that_is_cut_half_way_drops_nothing(
    portable: bool, fresh_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "saved"
    source = fill(fresh_database)
    backup(source, file, portable=portable)
    saved = content(source)
    before = another(source)
    with psycopg.connect(source) as connection:
        port = connection.info.port
    with CuttableProxy(port) as proxy:
        proxy.cut_in_copy(len(HALF_WAY), HALF_WAY)
        with pytest.raises(ConfigError, match=KEPT):
            restore(make_conninfo(source, host="127.0.0.1", port=proxy.port), file, replace=True)
        assert proxy.has_cut.wait(10.0)
    check_kept(source, before)
    restore(source, file, replace=True)
    assert content(source) == saved


@PORTABLE
def test_a_process_that_is_killed_half_way_drops_nothing(
    portable: bool, fresh_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "saved"
    source = fill(fresh_database)
    backup(source, file, portable=portable)
    saved = content(source)
    before = another(source)
    killed = subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_restore", str(file), "id 50"],
        env={**os.environ, "KILLED_DSN": source},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert upgrade(source).before == newest()  # as the next start does: no lock is left
    check_kept(source, before)
    restore(source, file, replace=True)
    assert content(source) == saved


def with_another_value(file: Path, damaged: Path, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(damaged, "w") as other:
        for name in whole.namelist():
            rows = whole.read(name)
            other.writestr(name, change(rows) if name == "trades.copy" else rows)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.replace(b"\t50.1\t", b"\tmuch\t"), 'double precision: "much"'),
        (
            lambda rows: rows.rsplit(b"\n", 2)[0] + b"\n" + rows[: rows.index(b"\n") + 1],
            "duplicate",
        ),
        (lambda rows: rows.replace(b"\tid 50\t", b"\tid \xff\t"), "invalid byte sequence"),
        (lambda rows: b"\\.\n" + rows[rows.index(b"\n") + 1 :], "has 0 rows, expected 100|end-of"),
    ],
    ids=["no number", "a row twice", "no text", "an end"],
)
def test_a_value_that_the_database_refuses_drops_nothing(
    change: Callable[[bytes], bytes], reason: str, fresh_database: str, tmp_path: Path
) -> None:
    source = fill(fresh_database)
    backup(source, tmp_path / "saved", portable=True)
    with_another_value(tmp_path / "saved", tmp_path / "damaged", change)
    before = another(source)
    with pytest.raises(ConfigError, match=reason):
        restore(source, tmp_path / "damaged", replace=True)
    check_kept(source, before)


def test_a_dump_that_the_database_refuses_drops_nothing(
    fresh_database: str, tmp_path: Path
) -> None:
    source = fill(fresh_database)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("CREATE TABLE zz_notes (id int PRIMARY KEY)")  # after ours in the dump
        backup(source, tmp_path / "saved")
        before = another(source)
    with pytest.raises(ConfigError, match=f'{KEPT}relation "zz_notes" already exists'):
        restore(source, tmp_path / "saved", replace=True)
    with psycopg.connect(source, autocommit=True) as connection:
        assert content(source) == before
        connection.execute("DROP TABLE zz_notes")
    restore(source, tmp_path / "saved", replace=True)
    assert len(content(source)["trades"]) == 100


@PORTABLE
def test_a_database_without_rows_stays_without(
    portable: bool, servers: Servers, server_kind: str, tmp_path: Path
) -> None:
    source = fill(servers.make_whole(server_kind))
    backup(source, tmp_path / "saved", portable=portable)
    target = servers.make(server_kind)
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE VIEW alerts AS SELECT 1 AS one")  # in the way
        with pytest.raises(ConfigError, match="was not restored; the database is as it was: "):
            restore(target, tmp_path / "saved")
        assert content(target) == {}
        connection.execute("DROP VIEW alerts")
    restore(target, tmp_path / "saved")
    assert content(target) == content(source)


@PORTABLE
def test_a_commit_without_an_answer_is_told_as_that(
    portable: bool, fresh_database: str, tmp_path: Path
) -> None:
    source = fill(fresh_database)
    backup(source, tmp_path / "saved", portable=portable)
    saved = content(source)
    another(source)
    with psycopg.connect(source) as connection:
        port = connection.info.port
    with CuttableProxy(port) as proxy:
        proxy.cut_at_commit()
        with pytest.raises(ConfigError, match="all that it had before, or all of the new"):
            restore(
                make_conninfo(source, host="127.0.0.1", port=proxy.port),
                tmp_path / "saved",
                replace=True,
            )
    assert content(source) == saved


def test_what_others_keep_in_the_database_comes_out_of_a_dump(
    servers: Servers, server_kind: str, tmp_path: Path
) -> None:
    source = fill(servers.make_whole(server_kind))
    body = "BEGIN\n-- COPY nothing FROM stdin;\nRETURN 'COMMIT;';\nEND"
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("SELECT lo_from_bytea(4711, 'large')")
        connection.execute(
            f"CREATE FUNCTION told() RETURNS text LANGUAGE plpgsql AS $${body}$$".encode()
        )
        connection.execute("CREATE TABLE notes (note text)")
        connection.execute("INSERT INTO notes VALUES (%s)", ("BEGIN;\nCOMMIT;\n\\.\nnotes",))
    backup(source, tmp_path / "saved")
    target = servers.make_whole(server_kind)
    restore(target, tmp_path / "saved", replace=True)
    assert content(target) == content(source)
    with psycopg.connect(target, autocommit=True) as connection:
        row = connection.execute("SELECT told(), lo_get(4711)").fetchone()
    assert row == ("COMMIT;", b"large")


@pytest.mark.timescaledb
def test_a_dump_of_timescaledb_by_a_role_that_may_not_restore_it_drops_nothing(
    timescale_database: str, tmp_path: Path
) -> None:
    source = fill(with_schema(timescale_database))
    backup(source, tmp_path / "saved")
    role = f"plain_{os.getpid()}"
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'plain'".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
        before = content(source)
        with pytest.raises(ConfigError, match=r"superuser, or one of .*--portable.*nothing was"):
            restore(
                make_conninfo(source, user=role, password="plain"),
                tmp_path / "saved",
                replace=True,
            )
        assert content(source) == before
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
