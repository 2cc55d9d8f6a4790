"""How rows get into their tables so that a row that comes twice is one row.

Trades and books go by binary COPY behind a savepoint. That fails as a whole when one row is
known, which happens only after a restart; then the batch goes through a temporary table and
`ON CONFLICT DO NOTHING`. Rows that may replace an older version go by one `INSERT` from arrays.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from sinks.rows import Cell, RowBatch, unpack
from sinks.tables import TABLES, TIME, Table

CHANNEL = "candlewax_outbox"
"""NOTIFY channel that wakes the sender, which listens to it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01


class Written(msgspec.Struct, frozen=True):
    """What became of some rows: `new` ones, `updated` ones, and `known` ones that changed nothing.

    The three add up to the number of rows.
    """

    new: int
    updated: int
    known: int

    def plus(self, other: "Written") -> "Written":
        """Add up."""
        return Written(self.new + other.new, self.updated + other.updated, self.known + other.known)


NOTHING = Written(0, 0, 0)


def moment(ns: int) -> datetime:
    """Return ns UTC as a datetime, exact to the microsecond that PostgreSQL keeps."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def insert(connection: psycopg.Connection, table: Table, rows: list[list[Cell]]) -> Written:
    """Insert rows of any table but `alerts`, in the caller's transaction.

    Args:
        connection: in a transaction.
        table: where to.
        rows: as `unpack` gives them; times are changed in place.

    Raises:
        psycopg.Error: whatever the database says; nothing is left of the rows then.
    """
    if table.update:
        return _upsert(connection, table, rows)
    _encode_times(table, rows)
    return _insert(connection, table, len(rows), lambda: (rows,))


def insert_batches(
    connection: psycopg.Connection, table: Table, batches: Sequence[RowBatch]
) -> Written:
    """Insert the rows of batches, as `insert` does; the database works while we still unpack.

    Args:
        connection: in a transaction.
        table: where to.
        batches: of rows of this table.

    Raises:
        psycopg.Error: whatever the database says; nothing is left of the rows then.
    """
    if table.update:
        return _upsert(connection, table, [row for batch in batches for row in unpack(batch)])

    def unpacked() -> Iterator[list[list[Cell]]]:
        for batch in batches:
            rows = unpack(batch)
            _encode_times(table, rows)
            yield rows

    return _insert(connection, table, sum(batch.count for batch in batches), unpacked)


def insert_alerts(
    connection: psycopg.Connection, rows: list[list[Cell]], *, notify: bool
) -> Written:
    """Insert alerts and, with `notify`, a row of the outbox for each of their targets.

    The sender is woken when the caller's transaction commits.
    """
    columns = TABLES["alerts"].column_list
    keys: list[str] = []
    targets: list[str] = []
    severities: list[str] = []
    texts: list[str] = []
    fired: list[datetime] = []
    new = 0
    with connection.cursor() as cursor:
        for row in rows:
            key, *start = row[:6]
            time, fired_at, severity, text, values, names = row[6:12]
            # A row that an older version has spooled ends here, or before the signal.
            chart, clauses = row[12:14] or (False, "[]")
            signal, labels = row[14:16] or ("", "{}")
            when = _moment(fired_at)
            cursor.execute(
                f"INSERT INTO alerts ({columns}) VALUES "
                "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::text[], %s, "
                "%s::jsonb, %s, %s::jsonb) "
                "ON CONFLICT (key) DO NOTHING",
                (
                    *(key, *start, _moment(time), when, severity, text),
                    *(msgspec.json.encode(values).decode(), names, chart, clauses),
                    *(signal, labels),
                ),
            )
            new += cursor.rowcount
            for target in names if isinstance(names, list) else ():
                keys.append(str(key))
                targets.append(str(target))
                severities.append(str(severity))
                texts.append(str(text))
                fired.append(when)
        if notify and keys:
            cursor.execute(
                "INSERT INTO outbox (alert_key, target, severity, text, fired_at) "
                "SELECT * FROM unnest"
                "(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[]) "
                "ON CONFLICT (alert_key, target) DO NOTHING",
                (keys, targets, severities, texts, fired),
            )
            if cursor.rowcount:
                cursor.execute(f"NOTIFY {CHANNEL}")
    return Written(new, 0, len(rows) - new)


def insert_loss(connection: psycopg.Connection, *, started: int, ended: int, reason: str) -> None:
    """Write one interval of lost rows into the gap ledger.

    Args:
        connection: in autocommit mode or a transaction.
        started: when the first lost row came, our clock, ns.
        ended: when the last one came, ns.
        reason: for people.
    """
    while True:
        done = connection.execute(
            "INSERT INTO gaps (venue, symbol, channel, started_at, ended_at, reason) "
            "VALUES ('', '', 'store', %s, %s, %s) ON CONFLICT DO NOTHING",
            (moment(started), moment(max(started, ended)), reason),
        )
        if done.rowcount:
            return
        started += 1000  # another writer's loss began in the same microsecond


def _insert(
    connection: psycopg.Connection,
    table: Table,
    count: int,
    parts: Callable[[], Iterable[list[list[Cell]]]],
) -> Written:
    """COPY rows, whose times are encoded; `parts` gives them, as often as it is called."""
    connection.execute("SAVEPOINT incoming")  # its end is the transaction's: a round trip less
    try:
        _copy(connection, table, f'"{table.name}"', parts())
    except psycopg.errors.UniqueViolation:
        connection.execute("ROLLBACK TO SAVEPOINT incoming")
        new = _stage(connection, table, parts())
        return Written(new, 0, count - new)
    return Written(count, 0, 0)


def _moment(cell: Cell) -> datetime:
    if not isinstance(cell, int):
        raise TypeError(f"a time is an int, not {cell!r}")
    return moment(cell)


def _encode_times(table: Table, rows: list[list[Any]]) -> None:
    # COPY's binary form of a timestamptz is an int8: microseconds since 2000. So no datetime is
    # ever made on this way, and none is rounded. No time of a table that is copied is null.
    for place, (_, kind) in enumerate(table.columns):
        if kind == TIME:
            for row in rows:
                row[place] = row[place] // 1000 - _POSTGRES_EPOCH_US


def _copy(
    connection: psycopg.Connection,
    table: Table,
    into: str,
    parts: Iterable[list[list[Cell]]],
) -> None:
    kinds = ["int8" if kind == TIME else kind for _, kind in table.columns]
    command = f"COPY {into} ({table.column_list}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types(kinds)
        write = copy.write_row
        for rows in parts:
            for row in rows:
                write(row)


def _stage(connection: psycopg.Connection, table: Table, parts: Iterable[list[list[Cell]]]) -> int:
    stage = f"pg_temp.incoming_{table.name}"
    # It goes with the transaction: behind a pooler the next one may be on another connection.
    connection.execute(
        f'CREATE TEMP TABLE IF NOT EXISTS "incoming_{table.name}" (LIKE "{table.name}") '
        "ON COMMIT DROP"
    )
    _copy(connection, table, stage, parts)
    done = connection.execute(
        f'INSERT INTO "{table.name}" ({table.column_list}) SELECT {table.column_list} '
        f"FROM {stage} ON CONFLICT DO NOTHING"
    )
    connection.execute(f"DELETE FROM {stage}")  # another batch may follow in this transaction
    return done.rowcount


def _upsert(connection: psycopg.Connection, table: Table, rows: list[list[Cell]]) -> Written:
    best: dict[tuple[Cell, ...], Sequence[Cell]] = {}
    for row in rows:
        key = tuple(row[: table.key])
        old = best.get(key)
        if old is None or table.wins(row, old):
            best[key] = row
    # In the order of the key, so that two writers never wait for each other in a circle.
    chosen = [best[key] for key in sorted(best, key=str)]
    arrays = [
        [None if row[place] is None else _moment(row[place]) for row in chosen]
        if kind == TIME
        else [row[place] for row in chosen]
        for place, (_, kind) in enumerate(table.columns)
    ]
    incoming = ", ".join(f"%b::{kind}[]" for _, kind in table.columns)
    # The parts of one statement see the table as it was before it: `present` counts what was there.
    row_counts = connection.execute(
        f"WITH incoming ({table.column_list}) AS MATERIALIZED "
        f"(SELECT * FROM unnest({incoming})), "
        f'present AS (SELECT FROM incoming JOIN "{table.name}" USING ({table.key_list})), '
        f'changed AS (INSERT INTO "{table.name}" AS stored ({table.column_list}) '
        f"SELECT * FROM incoming ON CONFLICT ({table.key_list}) "
        f"DO UPDATE {table.update} RETURNING 1) "
        "SELECT (SELECT count(*) FROM present), (SELECT count(*) FROM changed)",
        arrays,
    ).fetchone()
    if row_counts is None:
        raise RuntimeError("an aggregate gave no row")
    present, changed = row_counts
    new = max(min(changed, len(chosen) - present), 0)
    return Written(new, changed - new, len(rows) - changed)
