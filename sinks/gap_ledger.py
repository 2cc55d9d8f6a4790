"""The gap ledger as it is read: what is open when a run begins, and what people ask for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import psycopg

from market.events import GapInterval
from market.instruments import Instrument, InstrumentList, instrument_id
from sinks.insertion import moment
from sinks.nanoseconds import ns_of


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One interval in which data may be missing.

    Attributes:
        venue: name; empty where rows of all were lost on their way into the store.
        symbol: BASE-QUOTE, or empty as `venue`.
        channel: `all`, `book`, `trade` or `store`.
        started: our clock, ns UTC.
        ended: our clock, ns UTC; None while it is open.
        reason: in full, for people.
    """

    venue: str
    symbol: str
    channel: str
    started: int
    ended: int | None
    reason: str


def is_there(connection: psycopg.Connection) -> bool:
    """Tell whether the database has a ledger at all."""
    row = connection.execute("SELECT to_regclass('gaps') IS NOT NULL").fetchone()
    return row is not None and row[0] is True


def open_gaps(connection: psycopg.Connection, instruments: Iterable[str]) -> list[GapInterval]:
    """Return the rows of these instruments that nobody has closed, oldest first."""
    rows = connection.execute(
        f"SELECT venue, symbol, channel, reason, {ns_of('started_at')} FROM gaps "
        "WHERE ended_at IS NULL AND venue || ':' || symbol = ANY(%s) ORDER BY started_at, channel",
        (list(instruments),),
    )
    return [
        GapInterval(
            instrument=instrument_id(venue, symbol), channel=channel, reason=reason, started=started
        )
        for venue, symbol, channel, reason, started in rows
    ]


def read_gaps(
    connection: psycopg.Connection,
    *,
    since: int | None = None,
    venues: Sequence[str] = (),
    instruments: Sequence[str] | None = None,
) -> list[LedgerRow]:
    """Return rows of the ledger, oldest first.

    Args:
        connection: to a database with the schema.
        since: leave out what had ended by then, ns UTC.
        venues: only these; empty for all.
        instruments: only these, by id; None for all.
    """
    after: datetime | None = None if since is None else moment(since)
    rows = connection.execute(
        f"SELECT venue, symbol, channel, {ns_of('started_at')}, {ns_of('ended_at')},"
        " reason FROM gaps"
        " WHERE (%(after)s::timestamptz IS NULL OR ended_at IS NULL OR ended_at >= %(after)s)"
        " AND (%(every_venue)s OR venue = ANY(%(venues)s))"
        " AND (%(every_one)s OR venue || ':' || symbol = ANY(%(instruments)s))"
        " ORDER BY started_at, venue, symbol, channel",
        {
            "after": after,
            "every_venue": not venues,
            "venues": list(venues),
            "every_one": instruments is None,
            "instruments": list(instruments or ()),
        },
    )
    return [
        LedgerRow(
            venue=venue, symbol=symbol, channel=channel, started=started, ended=ended, reason=reason
        )
        for venue, symbol, channel, started, ended, reason in rows
    ]


def known_instruments(connection: psycopg.Connection) -> InstrumentList:
    """Return every instrument that was followed, or that has a row in the ledger."""
    rows = connection.execute(
        "SELECT venue, symbol, native, base, quote FROM instruments UNION ALL "
        "SELECT DISTINCT venue, symbol, symbol, split_part(symbol, '-', 1),"
        " split_part(symbol, '-', 2) FROM gaps WHERE venue <> '' AND NOT EXISTS"
        " (SELECT FROM instruments AS i WHERE i.venue = gaps.venue AND i.symbol = gaps.symbol)"
    )
    return InstrumentList(
        Instrument(venue=venue, symbol=symbol, native=native, base=base, quote=quote)
        for venue, symbol, native, base, quote in rows
    )
