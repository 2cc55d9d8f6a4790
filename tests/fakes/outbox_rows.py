"""Alerts into an outbox, and what became of them."""

import time
from collections.abc import Callable

import psycopg

from sinks.insertion import CHANNEL
from tests.servers.kept_connection import kept_connection


def empty(dsn: str) -> None:
    """Forget every alert: the next test, or a property's next example, begins."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "TRUNCATE outbox, alerts, alert_endings, alert_acks, alert_mutes, telegram_polls"
            " RESTART IDENTITY"
        )


def fire(
    dsn: str,
    *texts: str,
    target: str = "telegram/main",
    severity: str = "info",
    age_s: float = 0.0,
) -> None:
    """Insert alerts as the store does: in one transaction, with a notification."""
    with psycopg.connect(dsn) as connection:
        for text in texts:
            insert(connection, text, target=target, severity=severity, age_s=age_s)
        connection.execute(f"NOTIFY {CHANNEL}")


def insert(
    connection: psycopg.Connection, text: str, *, target: str, severity: str, age_s: float = 0.0
) -> None:
    """Insert one alert, keyed by its text."""
    connection.execute(
        "INSERT INTO outbox (alert_key, target, severity, text, fired_at)"
        " VALUES (%s, %s, %s, %s, to_timestamp(%s))",
        (f"key of {text}", target, severity, text, time.time() - age_s),
    )


def states(dsn: str) -> dict[str, str]:
    """Return text to state of every row, in the order of their insertion."""
    with kept_connection(dsn) as connection:
        return read_states(connection)


def read_states(connection: psycopg.Connection) -> dict[str, str]:
    """Return text to state of every row, in the order of their insertion."""
    rows = connection.execute("SELECT text, state FROM outbox ORDER BY id").fetchall()
    return {str(text): str(state) for text, state in rows}


def until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Poll until `condition` holds; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {timeout_s:g} s")
        time.sleep(0.02)
