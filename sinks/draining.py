"""How what waited on the disk gets into the database, and what it will never take is found."""

import struct
from collections.abc import Callable, Iterable, Sequence

import msgspec
import psycopg

from sinks.alert_journal import Moving
from sinks.commit import Commit
from sinks.insertion import NOTHING, Written, insert_alerts, insert_batches, insert_loss
from sinks.journal_settlement import settle
from sinks.overflow import LOSSES, Parcel
from sinks.rows import ALERTS, Cell, Row, RowBatch, pack, unpack
from sinks.tables import TABLES

REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    # What the driver says before the database sees it: a number too large for its column, a date
    # that there is not, half a character.
    struct.error,
    OverflowError,
    UnicodeError,
)
"""What is said of a value that the database will never take."""
REFUSED_TRIES = 200
"""So many refusals of one batch are looked into; then what is left of it is refused as it stands.

One bad row of 10,000 costs 14. Where every row is bad, as after a change of the schema by others,
looking for good ones would hold up everything else."""


class Refused(msgspec.Struct, frozen=True):
    """Rows that the database will never take, and what it, or its driver, says."""

    batch: RowBatch
    reason: str


class Drained(msgspec.Struct, frozen=True):
    """What became of a parcel.

    Attributes:
        written: by table.
        losses: losses that the gap ledger was told of.
        refused: rows with a value that the database will never take.
    """

    written: dict[str, Written]
    losses: int
    refused: list[Refused]


def drain(
    connection: psycopg.Connection, commit: Commit, parcel: Parcel, *, notify: bool
) -> Drained:
    """Write a parcel in one transaction; where a value is refused, without its row.

    Args:
        connection: in autocommit mode.
        commit: makes the transactions.
        parcel: what to write.
        notify: whether alerts get rows in the outbox.

    Raises:
        psycopg.Error: whatever else the database says.
    """
    if parcel.moving is not None:
        return _move(connection, commit, parcel.moving, notify=notify)
    try:
        return _write(connection, commit, parcel.batches)
    except REFUSALS:
        return _write_one_by_one(connection, commit, parcel.batches)


def _move(
    connection: psycopg.Connection, commit: Commit, moving: Moving, *, notify: bool
) -> Drained:
    def write(part: RowBatch) -> Written:
        outcome = insert_alerts(connection, unpack(part), notify=notify)
        settle(connection, moving.marks)  # those of other alerts find no row of theirs
        return outcome

    if not moving.rows:
        with commit.of(connection):
            settle(connection, moving.marks)
        return Drained({}, 0, [])
    outcome, refused = sift(connection, commit, pack(ALERTS, moving.rows), write)
    return Drained({ALERTS: outcome}, 0, refused)


def _write(connection: psycopg.Connection, commit: Commit, batches: Sequence[RowBatch]) -> Drained:
    losses = [each for each in batches if each.table == LOSSES]
    with commit.of(connection):
        outcome = insert_mixed(connection, [each for each in batches if each.table != LOSSES])
        for each in losses:
            started, ended, reason = msgspec.msgpack.decode(each.payload, type=tuple[int, int, str])
            insert_loss(connection, started=started, ended=ended, reason=reason)
    return Drained(outcome, len(losses), [])


def _write_one_by_one(
    connection: psycopg.Connection, commit: Commit, batches: Sequence[RowBatch]
) -> Drained:
    written: dict[str, Written] = {}
    losses = 0
    refused: list[Refused] = []

    def write(part: RowBatch) -> Written:
        return insert_batches(connection, TABLES[part.table], [part])

    for batch in batches:
        if batch.table == LOSSES:
            losses += _write(connection, commit, [batch]).losses
            continue
        outcome, bad = sift(connection, commit, batch, write)
        written[batch.table] = outcome.plus(written.get(batch.table, NOTHING))
        refused += bad
    return Drained(written, losses, refused)


def sift(
    connection: psycopg.Connection,
    commit: Commit,
    batch: RowBatch,
    write: Callable[[RowBatch], Written],
) -> tuple[Written, list[Refused]]:
    """Write a batch without the rows that are refused, which are found by halving it.

    Args:
        connection: in autocommit mode.
        commit: makes the transactions, one for each part.
        batch: rows of one table.
        write: writes a part, in a transaction.

    Returns:
        What became of the others, and those that were refused, as one batch if there are any.

    Raises:
        psycopg.Error: whatever else the database says; where some parts are written then, the
            whole is in doubt.
    """
    parts = [batch]
    written = NOTHING
    bad: list[Row] = []
    reasons: dict[str, None] = {}
    tries = REFUSED_TRIES
    while parts:
        part = parts.pop()
        try:
            with commit.of(connection):
                outcome = write(part)
        except REFUSALS as error:
            rows = unpack(part)
            tries -= 1
            if len(rows) == 1 or tries <= 0:
                bad += rows
                reasons[_reason(error)] = None
            else:
                middle = len(rows) // 2
                parts += [pack(batch.table, rows[middle:]), pack(batch.table, rows[:middle])]
        except BaseException:
            if written != NOTHING:
                commit.doubt()
            raise
        else:
            written = written.plus(outcome)
    return written, [Refused(pack(batch.table, bad), "; ".join(reasons))] if bad else []


def _reason(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).strip()


def insert_mixed(connection: psycopg.Connection, batches: Sequence[RowBatch]) -> dict[str, Written]:
    """Insert rows of any tables but `alerts`, in the caller's transaction; return it by table."""
    outcome = {}
    for name in dict.fromkeys(batch.table for batch in batches):
        some = [batch for batch in batches if batch.table == name]
        outcome[name] = insert_batches(connection, TABLES[name], some)
    return outcome


def rows_of(batches: Iterable[RowBatch]) -> list[list[Cell]]:
    """Return the rows of batches of one table."""
    return [row for batch in batches for row in unpack(batch)]
