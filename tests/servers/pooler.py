"""A real pooler in transaction mode, where PgBouncer is installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PATIENCE_S = 10.0
POOLED = 2
"""Connections to the server, which all clients share."""


@contextmanager
def pgbouncer(dsn: str, folder: Path) -> Iterator[str]:
    """Run PgBouncer in front of a database; yield the address to use in place of its own.

    The test is skipped where it is not installed.

    Args:
        dsn: of a database on 127.0.0.1.
        folder: for its files.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    place = conninfo_to_dict(dsn)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    password = f" password={place['password']}" if place.get("password") else ""
    with tempfile.TemporaryDirectory() as closed:  # it drops root, and reads as somebody else
        settings = Path(closed) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\npooled = host={place['host']} port={place['port']} "
            f"dbname={place['dbname']} user={place['user']}{password}\n"
            "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {POOLED}\n"
        )
        options = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for path in (Path(closed), settings):
                os.chown(path, account.pw_uid, account.pw_gid)
            options = ["--user", "nobody"]
        with (
            (folder / "pgbouncer.log").open("wb") as log,
            subprocess.Popen([program, *options, str(settings)], stdout=log, stderr=log) as running,
        ):
            try:
                address = make_conninfo(
                    "", host="127.0.0.1", port=port, dbname="pooled", user="anybody"
                )
                _wait(address, running, folder / "pgbouncer.log")
                yield address
            finally:
                running.terminate()


def _wait(address: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and running.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(address).close()
            return
        time.sleep(0.02)
    pytest.fail(f"PgBouncer does not answer: {log.read_text()}")
