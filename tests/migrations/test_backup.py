"""What was saved comes back, on the same kind of server and on another."""

import os
import zipfile
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from market.errors import ConfigError
from migrations import dump
from migrations.backup import backup, restore
from migrations.check import faults
from migrations.schema_version import current, newest, revisions
from migrations.storage import prepare
from migrations.upgrade import upgrade
from tests.fixtures_database import EMBEDDED, Servers
from tests.servers.schema import with_schema

FILL = r"""
INSERT INTO instruments VALUES ('binance', 'BTC-USDT', 'BTCUSDT', 'BTC', 'USDT', 0.01, 0, 'spot');
INSERT INTO trades SELECT 'binance', 'BTC-USDT', now() - interval '1 hour' * n, 'id ' || n,
    0.1 + n, 1e-9 * n, 'buy', now() FROM generate_series(1, 100) AS n;
INSERT INTO book_tops VALUES ('binance', 'BTC-USDT', now(), now(), 1, '{1.5,1}', '{2,3}',
    '{}', '{}', NULL, NULL, 'live');
INSERT INTO alerts VALUES ('k', 'dip', 'h', 'binance', 'BTC-USDT', '', now(), now(), 'info',
    E'tab\t, line\n and \\ "quotes" ä', '{"a": 1}', '{console}');
INSERT INTO outbox (alert_key, target, severity, text, fired_at) SELECT 'k' || n, 'console',
    'info', 'x', now() FROM generate_series(1, 3) AS n;
"""
PORTABLE = pytest.mark.parametrize("portable", [False, True], ids=["pg_dump", "portable"])


def fill(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(FILL.encode())
    return dsn


def content(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in names
        }


@PORTABLE
def test_a_round_trip_loses_nothing(
    portable: bool, servers: Servers, server_kind: str, tmp_path: Path
) -> None:
    source = fill(servers.make_whole(server_kind))
    target = servers.make(server_kind)
    file = tmp_path / "saved"
    saved = backup(source, file, portable=portable)
    assert (saved.version, saved.portable) == (newest(), portable)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert restore(target, file).version == newest()
    report = prepare(target)
    assert all(
        step.is_done for step in report.steps if step.what.startswith(("hypertable", "index"))
    )
    assert content(target) == content(source)
    assert len(content(target)["trades"]) == 100
    assert faults(target) == []
    with psycopg.connect(target, autocommit=True) as connection:
        row = connection.execute(
            "INSERT INTO outbox (alert_key, target, severity, text, fired_at) "
            "VALUES ('new', 'console', 'info', 'x', now()) RETURNING id"
        ).fetchone()
        assert row == (4,)


@pytest.mark.timescaledb
@pytest.mark.parametrize("is_up", [True, False], ids=["to TimescaleDB", "from TimescaleDB"])
def test_a_portable_file_goes_into_another_kind_of_server(
    is_up: bool, plain_database: str, timescale_database: str, tmp_path: Path
) -> None:
    source, target = plain_database, timescale_database
    if not is_up:
        source, target = target, source
    fill(with_schema(source))
    backup(source, tmp_path / "saved", portable=True)
    restore(target, tmp_path / "saved")
    assert content(target) == content(source)
    with psycopg.connect(target, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM ONLY trades").fetchone() == (
            0 if is_up else 100,
        )


@pytest.mark.timescaledb
def test_a_dump_of_timescaledb_is_refused_by_a_server_without_it(
    plain_database: str, timescale_database: str, tmp_path: Path
) -> None:
    fill(with_schema(timescale_database))
    backup(timescale_database, tmp_path / "saved")
    with pytest.raises(ConfigError, match=r"database with TimescaleDB.*--portable"):
        restore(plain_database, tmp_path / "saved")


def test_who_may_not_restore_what_he_saves_is_known(server_kind: str, empty_database: str) -> None:
    dsn = with_schema(empty_database)
    humble = make_conninfo(dsn, options="-c role=pg_read_all_data")
    assert not dump.needs_superuser(dsn)
    assert dump.needs_superuser(humble) is (server_kind != EMBEDDED)


@PORTABLE
def test_rows_in_the_way_are_dropped_only_when_told_so(
    portable: bool, servers: Servers, server_kind: str, tmp_path: Path
) -> None:
    source = fill(servers.make_whole(server_kind))
    backup(source, tmp_path / "saved", portable=portable)
    before = content(source)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DELETE FROM trades WHERE trade_id = 'id 7'")
    with pytest.raises(ConfigError, match=r"has rows in alerts, .*trades.*--replace"):
        restore(source, tmp_path / "saved")
    assert len(content(source)["trades"]) == 99
    restore(source, tmp_path / "saved", replace=True)
    assert content(source) == before


@PORTABLE
def test_a_file_of_an_earlier_version_is_brought_up_to_date(
    portable: bool, servers: Servers, server_kind: str, tmp_path: Path
) -> None:
    source = servers.make(server_kind)
    upgrade(source, "0001")
    fill(source)
    assert backup(source, tmp_path / "saved", portable=portable).version == "0001"
    target = servers.make_whole(server_kind)
    assert restore(target, tmp_path / "saved").version == "0001"
    assert current(target) == newest()
    assert content(target)["trades"] == content(source)["trades"]


def test_without_a_fitting_program_the_portable_format_is_written(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(servers.make_whole(EMBEDDED))
    backup(source, tmp_path / "dump")
    monkeypatch.setattr(dump, "candidates", lambda _: [])
    assert backup(source, tmp_path / "saved").portable
    with pytest.raises(ConfigError, match=r"no pg_restore for this server"):
        restore(servers.make(EMBEDDED), tmp_path / "dump")
    restore(servers.make(EMBEDDED), tmp_path / "saved")


def test_mistakes_are_told(plain_database: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to save"):
        backup(plain_database, tmp_path / "saved")
    upgrade(plain_database)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ConfigError, match="overwrites nothing"):
        backup(plain_database, tmp_path / "there")
    with pytest.raises(ConfigError, match=r"cannot be written: No such file"):
        backup(plain_database, tmp_path / "nowhere" / "saved")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        restore(plain_database, tmp_path / "nothing")
    with pytest.raises(ConfigError, match="is no file of `candlewax db backup`"):
        restore(plain_database, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_file_without_some_rows_is_refused(servers: Servers, tmp_path: Path) -> None:
    source = fill(servers.make_whole(EMBEDDED))
    before = content(source)
    backup(source, tmp_path / "saved", portable=True)
    with (
        zipfile.ZipFile(tmp_path / "saved") as whole,
        zipfile.ZipFile(tmp_path / "short", "w") as short,
    ):
        for name in whole.namelist():
            rows = whole.read(name)
            if name == "trades.copy":
                rows = rows[: rows.rindex(b"\n", 0, -1) + 1]
            short.writestr(name, rows)
    with pytest.raises(ConfigError, match="trades has 99 rows, expected 100; nothing was dropped"):
        restore(source, tmp_path / "short", replace=True)
    assert content(source) == before


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def test_a_damaged_file_drops_nothing(servers: Servers, tmp_path: Path) -> None:
    source = fill(servers.make_whole(EMBEDDED))
    before = content(source)
    dump, portable = tmp_path / "dump", tmp_path / "portable"
    backup(source, dump)
    backup(source, portable, portable=True)
    with zipfile.ZipFile(portable) as archive:
        entry = archive.getinfo("trades.copy")
    whole = {file: file.read_bytes() for file in (dump, portable)}
    damaged = {
        "half a dump": whole[dump][: len(whole[dump]) // 2],
        "a dump without its end": whole[dump][:-300],
        "half a zip": whole[portable][: len(whole[portable]) // 2],
        "a bit of a zip": flipped(whole[portable], entry.header_offset + entry.compress_size // 2),
    }
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match=r"damaged|is no file of"):
            restore(source, tmp_path / name, replace=True)
        assert content(source) == before, name


@PORTABLE
def test_a_file_of_a_newer_version_drops_nothing(
    portable: bool, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(servers.make_whole(EMBEDDED))
    before = content(source)
    backup(source, tmp_path / "saved", portable=portable)
    known = [version for version in revisions() if version != newest()]
    monkeypatch.setattr("migrations.backup.revisions", lambda: known)
    with pytest.raises(ConfigError, match=f"schema version {newest()}, and this program knows"):
        restore(source, tmp_path / "saved", replace=True)
    assert content(source) == before


def test_a_dump_of_something_else_drops_nothing(servers: Servers, tmp_path: Path) -> None:
    source = fill(servers.make_whole(EMBEDDED))
    before = content(source)
    other = servers.make(EMBEDDED)
    program = dump.find_program("pg_dump", other)
    assert program is not None
    dump.save(other, tmp_path / "other", program)
    with pytest.raises(ConfigError, match="is no dump of a database of Candlewax"):
        restore(source, tmp_path / "other", replace=True)
    assert content(source) == before


def test_a_backup_is_on_the_disk_before_it_has_its_name(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = servers.make_whole(EMBEDDED)
    synced: list[tuple[str, bool]] = []
    file = tmp_path / "saved"
    real = os.fsync

    def noting(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, file.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", noting)
    backup(source, file, portable=True)
    assert synced == [("backup", False), (tmp_path.name, True)]
