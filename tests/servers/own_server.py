"""A server of a module's own, of either kind, which its tests may stop, kill and start again."""

import os
import signal
import time
from typing import TypeAlias

from sinks.embedded_postgres import EmbeddedPostgres
from tests.servers.schema import emptied, with_schema
from tests.servers.timescaledb_server import TimescaleServer

OwnServer: TypeAlias = EmbeddedPostgres | TimescaleServer
PATIENCE_S = 20.0


def prepared(server: OwnServer) -> str:
    """Start a server, give it the schema, remove all rows, and return its address."""
    return emptied(with_schema(server.start()))


def kill(server: OwnServer) -> None:
    """End a server as a power cut does."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while server.is_running:
        assert time.monotonic() < deadline, "the server does not die"
        time.sleep(0.01)
