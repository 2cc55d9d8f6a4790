"""The extension itself: created where it is installed, loaded, and our role may."""

import psycopg

from migrations.storage.report import StorageStep
from migrations.storage.server import read_server, scalar

WHAT = "extension timescaledb"


def create(connection: psycopg.Connection) -> StorageStep:
    """Create it if that can be done."""
    version = read_server(connection).timescaledb
    if version is not None:
        return StorageStep(WHAT, is_done=True, reason=version)
    reason = lack(connection)
    if reason:
        return StorageStep(WHAT, is_done=False, reason=reason)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.errors.InsufficientPrivilege:
        return StorageStep(
            WHAT,
            is_done=False,
            reason=f"role {connection.info.user} may not create it: run CREATE EXTENSION "
            "timescaledb in this database as a superuser",
        )
    return StorageStep(WHAT, is_done=True, reason=f"created, {read_server(connection).timescaledb}")


def look(connection: psycopg.Connection) -> StorageStep:
    """Tell whether it is there, and if not, why."""
    version = read_server(connection).timescaledb
    reason = version or lack(connection) or "available, not created"
    return StorageStep(WHAT, version is not None, reason)


def lack(connection: psycopg.Connection) -> str:
    """Return why the extension cannot be created; empty when it can."""
    query = "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
    if connection.execute(query).fetchone() is None:
        return "this server does not have it: plain PostgreSQL"
    preloaded = scalar(
        connection, "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'"
    )
    if preloaded is None:  # hidden from ordinary roles, but a loaded library's settings are not
        query = "SELECT name FROM pg_settings WHERE name LIKE 'timescaledb.%' LIMIT 1"
        preloaded = scalar(connection, query) or ""
    if "timescaledb" not in preloaded:
        return "it is installed but not loaded: add it to shared_preload_libraries and restart"
    return ""
