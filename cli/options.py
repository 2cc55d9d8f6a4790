"""Options that several commands share."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from cyclopts import Parameter, Token

from market.errors import ConfigError
from market.intervals import SECOND

if TYPE_CHECKING:
    import psycopg

INTERRUPTED = 130
"""Exit code of what a person has stopped before its end."""
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")


def comma_separated(_: type, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Read an option that may be given several times, and several values at a time."""
    return tuple(part for token in tokens for part in token.value.split(",") if part)


Config: TypeAlias = Annotated[Path | None, Parameter(name="--config", help="Configuration file.")]
"""`--config FILE`; else `$CANDLEWAX_CONFIG`, else `./candlewax.toml`."""

Processes: TypeAlias = Annotated[
    int, Parameter(name="--processes", help="Number of flow processes on this machine.")
]


Emit: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(
        name="--emit",
        help="Kinds to tell: events, books, bars, features, alerts, endings; with commas between.",
        converter=comma_separated,
        n_tokens=1,
        negative=(),
    ),
]
Out: TypeAlias = Annotated[
    Path | None, Parameter(name="--out", help="File for the lines of --emit, one JSON object each.")
]
Digest: TypeAlias = Annotated[
    bool, Parameter(name="--digest", help="End with a digest of the lines.", negative=())
]


def seconds(text: str) -> float:
    """Read a length of time such as `30s`, `5m`, `1h` or a plain number of seconds.

    Raises:
        ConfigError: it is none.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"{text!r} is no length of time: expected one such as 30s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def moment(name: str, text: str, now: int) -> int:
    """Read a moment, or a length of time before now, as ns UTC; without a zone it is UTC.

    Args:
        name: of the option, for the message.
        text: `2026-11-20`, `2026-11-20T08:00`, or `2h`.
        now: our clock, ns.

    Raises:
        ConfigError: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return max(0, now - int(seconds(text) * SECOND))
        except ConfigError:
            raise ConfigError(
                f"{name} {text}: expected a date such as 2026-11-20, a moment such as "
                "2026-11-20T08:00, or a length of time back such as 2h"
            ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at.year < 1971:
        raise ConfigError(f"{name} {text}: no venue is that old")
    return int(at.timestamp()) * SECOND + at.microsecond * 1000


def iso(ns: int) -> str:
    """Write a moment for people, to the second, in UTC."""
    return datetime.fromtimestamp(ns // SECOND, UTC).isoformat()


@contextmanager
def stored(config: Path | None, command: str) -> "Iterator[psycopg.Connection]":
    """Connect to the store, which is started when nobody has; for commands about alerts.

    Args:
        config: the file, as `--config` names it.
        command: how to name this process to people, without `candlewax`.

    Raises:
        ConfigError: no database, or none with tables of this version.
    """
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home
    from migrations.session import connect

    told = configuration.load(config, os.environ)
    store = Embedded.attach(
        told, Home.of(os.environ), command=f"candlewax {command}", migrate=False
    )
    try:
        with connect(store.database_url.reveal()) as connection:
            there = connection.execute("SELECT to_regclass('alert_acks') IS NOT NULL").fetchone()
            if there is None or not there[0]:
                raise ConfigError(
                    "the database has no tables for this yet: `candlewax db upgrade` makes them"
                )
            yield connection
    finally:
        store.stop()


def check_processes(count: int) -> None:
    """Refuse a number of processes that makes no sense.

    Raises:
        ConfigError: it is below 1 or above 64.
    """
    if not 1 <= count <= 64:
        raise ConfigError(f"--processes {count}: expected 1 to 64")


def feeds_variable(feeds: dict[str, dict[str, object]]) -> dict[str, str]:
    """Return the variable that puts these feeds in the place of the configured ones."""
    return {"CANDLEWAX__FEEDS": msgspec.json.encode(feeds).decode()}
