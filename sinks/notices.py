"""What the program itself has to say to its operators, through the outbox like an alert.

A notice is no alert: it has no row in `alerts`, and so neither a market nor a picture.
"""

from collections.abc import Sequence

from market.errors import ConfigError
from sinks.insertion import CHANNEL, moment
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect

LONGEST = 3000
"""Characters of a notice; the log has the rest."""


def notify(dsn: Secret, key: str, text: str, *, targets: Sequence[str], now: int) -> bool:
    """Put a notice into the outbox, once for each key and target.

    Args:
        dsn: address of the database.
        key: of what has happened; whoever else notices the same uses the same key.
        text: for people.
        targets: names of configured targets.
        now: our clock, ns UTC.

    Returns:
        Whether the database took it.
    """
    try:
        with connect(complete(dsn.reveal())) as connection, connection.transaction():
            connection.cursor().executemany(
                "INSERT INTO outbox (alert_key, target, severity, text, fired_at)"
                " VALUES (%s, %s, 'warning', %s, %s) ON CONFLICT (alert_key, target) DO NOTHING",
                [(f"notice/{key}", target, text[:LONGEST], moment(now)) for target in targets],
            )
            connection.execute(f"NOTIFY {CHANNEL}")
    except (*RETRIABLE, ConfigError):
        return False
    return True
