"""The history of the continuous aggregates: trades that are older than their policies look.

It may take long, and nothing waits for it: `candlewax db upgrade` does it, a start only says that
it is to be done. A day of trades at a time, 1m before 5m before 1h, each day committed by itself:
one that is ended half way goes on where it was.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
import psycopg

from market.errors import ConfigError
from migrations.session import connect
from migrations.storage.aggregate_windows import DAY_US, Window, missing_windows, moment_of
from migrations.storage.aggregates import AGGREGATES, Aggregate
from migrations.storage.report import HISTORY, StorageStep
from migrations.storage.server import exists

LOCK = 0x46494C4C  # "FILL"
PROGRESS_S = 5.0
SESSION = "SET statement_timeout = 0; SET lock_timeout = '1min'; SET timezone = 'UTC'"

_log = logging.getLogger(__name__)


class Filled(msgspec.Struct, frozen=True):
    """What was put into one aggregate.

    Attributes:
        aggregate: its name.
        windows: refreshes, of a day of trades at most.
    """

    aggregate: str
    windows: int


def fill(
    dsn: str,
    keep_days: Mapping[str, float],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[Filled]:
    """Put what is not in the aggregates yet into them, oldest first.

    Args:
        dsn: libpq address of a TimescaleDB Community with the aggregates.
        keep_days: how long rows stay, by table: what may go is not looked at.
        clock: seconds.

    Raises:
        ConfigError: the database cannot be reached, another session does it at this moment, or a
            refresh fails. What was done before stays done.
    """
    with connect(dsn) as connection:
        with suppress(psycopg.errors.InvalidParameterValue):
            connection.execute("SET client_connection_check_interval = '1s'")
        connection.execute(SESSION)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        if row is None or not row[0]:
            raise ConfigError(
                "another process is putting the history into the continuous aggregates: wait for it"
            )
        return [_fill(connection, aggregate, keep_days, clock) for aggregate in AGGREGATES]


def _fill(
    connection: psycopg.Connection,
    aggregate: Aggregate,
    keep_days: Mapping[str, float],
    clock: Callable[[], float],
) -> Filled:
    missing = missing_windows(connection, aggregate, keep_days)
    if not missing:
        return Filled(aggregate.name, 0)
    oldest = moment_of(missing[0].start).isoformat()
    _log.warning(
        "putting the history into a continuous aggregate; trades can be read and written meanwhile",
        extra={"aggregate": aggregate.name, "windows": len(missing), "from": oldest},
    )
    told, done = clock(), 0
    for number, window in enumerate(missing):
        if clock() - told >= PROGRESS_S:
            told = clock()
            percent = 100 * number // len(missing)
            _log.warning(
                "still putting the history in",
                extra={"aggregate": aggregate.name, "about_percent": percent},
            )
        # Retention goes on meanwhile: what has come near it since is left out.
        if not _is_kept(connection, window, keep_days):
            continue
        if _would_lose(connection, aggregate, window):
            _log.warning(
                "left out, because a refresh would take bars away whose trades are gone",
                extra={"aggregate": aggregate.name, "day": moment_of(window.start).isoformat()},
            )
            continue
        try:
            connection.execute(window.statement(aggregate).encode())
        except psycopg.Error as error:
            raise ConfigError(
                f"{aggregate.name} does not take the trades from {moment_of(window.start)} to "
                f"{moment_of(window.end)}: {str(error).strip()}; `candlewax db upgrade` goes on "
                "from there"
            ) from None
        done += 1
    _log.warning(
        "the history is in it now",
        extra={"aggregate": aggregate.name, "left_out": len(missing) - done},
    )
    return Filled(aggregate.name, done)


def _is_kept(
    connection: psycopg.Connection, window: Window, keep_days: Mapping[str, float]
) -> bool:
    days = keep_days.get("trades", 0)
    row = connection.execute(
        "SELECT %s = 0 OR %s::timestamptz >= now() - %s * interval '1 day'",
        (days, moment_of(window.start), days),
    ).fetchone()
    return row is not None and row[0] is True


def _would_lose(connection: psycopg.Connection, aggregate: Aggregate, window: Window) -> bool:
    """Tell whether there are bars that could not be made again.

    A day whose chunk went with retention has one again when somebody imports old trades.
    """
    row = connection.execute(
        (
            f"SELECT EXISTS (SELECT FROM {aggregate.name} AS made"
            " WHERE made.start >= %s AND made.start < %s AND NOT EXISTS ("
            f"SELECT FROM {aggregate.source} AS source WHERE source.venue = made.venue"
            f" AND source.symbol = made.symbol AND source.{aggregate.column} >= made.start"
            f" AND source.{aggregate.column} < made.start + INTERVAL '{aggregate.length}'))"
        ).encode(),
        (moment_of(window.start), moment_of(window.end)),
    ).fetchone()
    return row is not None and row[0] is True


def look(
    connection: psycopg.Connection, aggregate: Aggregate, keep_days: Mapping[str, float]
) -> StorageStep:
    """Tell whether an aggregate that is there knows the trades that its policy never looks at."""
    what = f"{HISTORY}{aggregate.name}"
    if not exists(connection, aggregate.name):
        return StorageStep(what, is_done=False, reason=f"{aggregate.name} is not there")
    missing = missing_windows(connection, aggregate, keep_days)
    if not missing:
        return StorageStep(what, is_done=True, reason="all trades that stay are in it")
    days = len({window.start // DAY_US for window in missing})
    since = moment_of(missing[0].start).date().isoformat()
    reason = (
        f"trades of {days:,} days from {since} on are not in it: `candlewax db upgrade` puts them "
        "in"
    )
    return StorageStep(what, is_done=False, reason=reason)
