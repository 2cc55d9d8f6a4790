"""Run a version's SQL file inside the migration's transaction."""

from pathlib import Path

from alembic import op
from psycopg import Connection

FOLDER = Path(__file__).parent / "versions"


def run(name: str) -> None:
    """Run every statement of `versions/NAME`.

    Args:
        name: file name; its text is sent as it is, so `%` and `:` need no care.
    """
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, Connection):
        raise TypeError("migrations need a psycopg 3 connection")
    # psycopg sends a text without parameters by the simple protocol, which takes many statements.
    connection.execute((FOLDER / name).read_bytes())
