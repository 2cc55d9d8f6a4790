"""Which rows of the store are wanted, and how they are read without holding them all.

Rows come in the order of their table's key, so of one instrument in the order of time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from market.instruments import Instrument, InstrumentList
from sinks.insertion import moment
from sinks.tables import TABLES, TIME, Table

KINDS = {
    "trades": "trades",
    "bars": "bars",
    "features": "features",
    "depth": "book_updates",
    "tops": "book_tops",
}
"""What can be asked for, and its table."""
PAGE = 20_000
DEPTH_PAGE = 200
"""Whole books are large: a row may be half a megabyte."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one table.

    Attributes:
        kind: one of `KINDS`.
        instruments: venue and symbol of each that is wanted; None for all.
        interval: of bars and features; empty for all.
        start: ns UTC; rows of that time are in. None for the first one.
        end: ns UTC; rows of that time are out. None for the last one.
    """

    kind: str
    instruments: tuple[tuple[str, str], ...] | None = None
    interval: str = ""
    start: int | None = None
    end: int | None = None

    @property
    def table(self) -> Table:
        """The table."""
        return TABLES[KINDS[self.kind]]

    @property
    def time(self) -> str:
        """Name of the column that `start` and `end` look at."""
        return "start" if self.kind == "bars" else "time"

    def statement(self, expressions: Sequence[sql.Composable]) -> sql.Composed:
        """Return the SELECT of these expressions."""
        conditions: list[sql.Composable] = []
        if self.instruments is not None:
            pairs = sql.SQL(", ").join(
                sql.SQL("({}, {})").format(sql.Literal(venue), sql.Literal(symbol))
                for venue, symbol in self.instruments
            )
            conditions.append(sql.SQL("(venue, symbol) IN ({})").format(pairs))
        if self.interval:
            conditions.append(sql.SQL('"interval" = {}').format(sql.Literal(self.interval)))
        for bound, operator in ((self.start, ">="), (self.end, "<")):
            if bound is not None:
                conditions.append(
                    sql.SQL("{} {} {}").format(
                        sql.Identifier(self.time), sql.SQL(operator), sql.Literal(moment(bound))
                    )
                )
        where = (
            sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions))
            if conditions
            else sql.SQL("")
        )
        key = [sql.Identifier(name) for name, _ in self.table.columns[: self.table.key]]
        return sql.SQL("SELECT {} FROM {}{} ORDER BY {}").format(
            sql.SQL(", ").join(expressions),
            sql.Identifier(self.table.name),
            where,
            sql.SQL(", ").join(key),
        )


def csv_rows(connection: psycopg.Connection, selection: Selection) -> Iterator[bytes]:
    """Give the lines of a CSV file, the header first.

    Times are ISO 8601 UTC to the microsecond, truths `true` and `false`, lists of levels JSON, and
    what is null is empty. Numbers have as many digits as give the same `float` back.
    """
    expressions = [_csv_expression(name, kind) for name, kind in selection.table.columns]
    copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(selection.statement(expressions))
    yield ",".join(name for name, _ in selection.table.columns).encode() + b"\n"
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL extra_float_digits = 1")
        with cursor.copy(copy) as rows:
            for row in rows:
                yield bytes(row)


def row_pages(connection: psycopg.Connection, selection: Selection) -> Iterator[list[Any]]:
    """Give rows page by page, from a cursor that the server holds.

    Times are microseconds since 1970; everything else is as its column's type.
    """
    expressions = [_expression(name, kind) for name, kind in selection.table.columns]
    page = DEPTH_PAGE if selection.kind == "depth" else PAGE
    with (
        connection.transaction(),
        connection.cursor(name="candlewax_export", binary=True) as cursor,
    ):
        cursor.execute(selection.statement(expressions))
        while rows := cursor.fetchmany(page):
            yield rows


def stored_instruments(connection: psycopg.Connection, kind: str) -> InstrumentList:
    """Return every instrument that has a row of a kind, by a jump over the key for each."""
    table = KINDS[kind]
    rows = connection.execute(
        "WITH RECURSIVE pairs AS ("
        f'(SELECT venue, symbol FROM "{table}" ORDER BY venue, symbol LIMIT 1) UNION ALL '
        "SELECT following.venue, following.symbol FROM pairs, LATERAL ("
        f'SELECT venue, symbol FROM "{table}" AS each '
        "WHERE (each.venue, each.symbol) > (pairs.venue, pairs.symbol) "
        "ORDER BY venue, symbol LIMIT 1) AS following) "
        "SELECT venue, symbol, coalesce(native, symbol) FROM pairs "
        "LEFT JOIN instruments USING (venue, symbol)"
    )
    return InstrumentList(
        Instrument(
            venue=venue,
            symbol=symbol,
            native=native,
            base=symbol.partition("-")[0],
            quote=symbol.partition("-")[2],
        )
        for venue, symbol, native in rows
    )


def _csv_expression(name: str, kind: str) -> sql.Composed:
    spelled = {
        TIME: """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
        "bool": "CASE WHEN {} THEN 'true' ELSE 'false' END",
        "float8[]": "array_to_json({})",
    }
    return sql.SQL(spelled.get(kind, "{}")).format(sql.Identifier(name))


def _expression(name: str, kind: str) -> sql.Composed:
    spelled = "(extract(epoch FROM {}) * 1000000)::bigint" if kind == TIME else "{}"
    return sql.SQL(spelled).format(sql.Identifier(name))
