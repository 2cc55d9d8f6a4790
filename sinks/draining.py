"""How what waited on the disk gets into the database."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

import msgspec
import psycopg

from sinks.alert_journal import Moving
from sinks.commit import Commit
from sinks.insertion import Written, insert_alerts, insert_batches, insert_loss
from sinks.journal_settlement import settle
from sinks.overflow import LOSSES, Parcel
from sinks.rows import ALERTS, Cell, RowBatch, unpack
from sinks.tables import TABLES

REFUSALS = (psycopg.DataError, psycopg.IntegrityError)
"""What the database says of a value that it will never take."""


class Drained(msgspec.Struct, frozen=True):
    """What became of a parcel.

    Attributes:
        written: by table.
        losses: losses that the gap ledger was told of.
        refused: batches with a value that the database will never take, and what it says.
    """

    written: dict[str, Written]
    losses: int
    refused: list[tuple[RowBatch, str]]


def drain(
    connection: psycopg.Connection, commit: Commit, parcel: Parcel, *, notify: bool
) -> Drained:
    """Write a parcel in one transaction; where a value is refused, each batch in its own.

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
    with commit.of(connection):
        outcome = insert_alerts(connection, moving.rows, notify=notify)
        settle(connection, moving.marks)
    return Drained({ALERTS: outcome}, 0, [])


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
    total: dict[str, Tally[str]] = {}
    losses = 0
    refused: list[tuple[RowBatch, str]] = []
    for batch in batches:
        try:
            drained = _write(connection, commit, [batch])
        except REFUSALS as error:
            refused.append((batch, str(error).strip()))
            continue
        losses += drained.losses
        for table, done in drained.written.items():
            counts = total.setdefault(table, Tally())
            counts.update(new=done.new, updated=done.updated, known=done.known)
    written = {
        table: Written(counts["new"], counts["updated"], counts["known"])
        for table, counts in total.items()
    }
    return Drained(written, losses, refused)


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
