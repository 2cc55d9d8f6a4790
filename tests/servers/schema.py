"""A database's schema, its rows gone, and what it is."""

import psycopg

from migrations.storage import prepare
from migrations.upgrade import upgrade


def with_schema(dsn: str) -> str:
    """Give a database the schema, as a start of the program does."""
    upgrade(dsn)
    prepare(dsn)
    return dsn


def emptied(dsn: str) -> str:
    """End all other sessions of a database and remove its rows: a tenth of making one anew."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        remove_rows(connection)
    return dsn


def remove_rows(connection: psycopg.Connection) -> None:
    """End all other sessions of a connection's database and remove its rows.

    What has no page has no rows. A hypertable has its rows elsewhere.
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    names = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind = 'r' AND relname <> 'alembic_version' AND (pg_relation_size(oid) > 0 "
        "OR EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'))"
    ).fetchall()
    if names:
        tables = ", ".join(f'"{name}"' for (name,) in names)
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")


def server_name(dsn: str) -> str:
    """Say which kind of server it is on, for people."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
        version = connection.info.server_version // 10000
    return f"PostgreSQL {version}" + (f" with TimescaleDB {found[0]}" if found else "")
