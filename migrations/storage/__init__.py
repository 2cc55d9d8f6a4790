"""What the server can do for the tables beyond plain SQL, added step by step after the versions.

Three kinds of server are told apart: plain PostgreSQL, TimescaleDB under the Apache licence, and
TimescaleDB Community. Each step can be repeated, and says what it did or why it did not: a server
that gets the extension later is converted at the next start.
"""

from migrations.storage.aggregate_fill import Filled, fill
from migrations.storage.preparation import inspect, prepare
from migrations.storage.report import StorageReport, StorageStep
from migrations.storage.server import Server, ServerKind
from migrations.storage.timed_tables import TIMED

__all__ = [
    "TIMED",
    "Filled",
    "Server",
    "ServerKind",
    "StorageReport",
    "StorageStep",
    "fill",
    "inspect",
    "prepare",
]
