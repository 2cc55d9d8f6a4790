"""Make a role and a database on a server that somebody else looks after."""

from urllib.parse import quote

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from market.errors import ConfigError
from migrations.session import connect
from migrations.storage import extension
from sinks.secret import Secret


class NewDatabase(msgspec.Struct, frozen=True):
    """What was made.

    Attributes:
        dsn: address for the role, with its password.
        shape: the same with `PASSWORD` for the password.
        made: `role`, `database`: what was not there before.
        extension: what became of TimescaleDB.
    """

    dsn: Secret
    shape: str
    made: tuple[str, ...]
    extension: str


def make(admin_dsn: str, *, role: str, database: str, password: Secret) -> NewDatabase:
    """Make role and database where they are not there yet; what is there stays as it is.

    Args:
        admin_dsn: address of the server, for a role that may make roles and databases.
        role: who will own the database.
        database: its name.
        password: of the role; one that exists must have this password already.

    Raises:
        ConfigError: the server cannot be reached, the administrator may not do it, or the role
            exists and has another password.
    """
    made = []
    with connect(admin_dsn) as connection:
        try:
            if not _has(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                connection.execute(_create_role(connection, role, password))
                made.append("role")
            if not _has(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database):
                if not _is_superuser(connection):
                    # Only a member of a role may give it a database.
                    connection.execute(_sql("GRANT {} TO CURRENT_USER", role))
                connection.execute(
                    _sql(
                        "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0",
                        database,
                        role,
                    )
                )
                connection.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", database))
                made.append("database")
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigError(
                f"role {connection.info.user} may not make that: {str(error).strip()}; name an "
                "administrator's address"
            ) from None
    with connect(make_conninfo(admin_dsn, dbname=database)) as connection:
        told = extension.create(connection)
        _open_schema(connection, role)
    place = conninfo_to_dict(admin_dsn)
    own = make_conninfo(admin_dsn, user=role, dbname=database, password=password.reveal())
    try:
        connect(own).close()
    except ConfigError:
        raise ConfigError(
            f"role {role} exists and does not get in with this password: give the one that it has, "
            "or another --role"
        ) from None
    host, port = place.get("host") or "localhost", place.get("port") or "5432"
    shape = f"postgresql://{quote(role, safe='')}:PASSWORD@{host}:{port}/{quote(database, safe='')}"
    return NewDatabase(Secret(own), shape, tuple(made), told.reason)


def _create_role(connection: psycopg.Connection, role: str, password: Secret) -> sql.Composed:
    # The server's log may hold statements: it gets what the password is checked by, not itself.
    hashed = connection.pgconn.encrypt_password(
        password.reveal().encode(), role.encode(), b"scram-sha-256"
    ).decode()
    return sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
        sql.Identifier(role), sql.Literal(hashed)
    )


def _open_schema(connection: psycopg.Connection, role: str) -> None:
    # Since PostgreSQL 15 the owner of a database may, as a member of pg_database_owner.
    connection.execute(_sql("GRANT CREATE, USAGE ON SCHEMA public TO {}", role))


def _has(connection: psycopg.Connection, query: str, name: str) -> bool:
    return connection.execute(query.encode(), (name,)).fetchone() is not None


def _is_superuser(connection: psycopg.Connection) -> bool:
    return connection.info.parameter_status("is_superuser") == "on"


def _sql(text: str, *names: str) -> sql.Composed:
    # The texts are this file's own.
    return sql.SQL(text).format(*map(sql.Identifier, names))
