"""The store's books: built again as they were at a moment, or not at all.

The rows of `book_updates` are read from the last whole book before the moment on, in the order in
which we had them. Every change names the one before it: where one is missing, or the gap ledger
says that the book was not known then, no book is told.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg

from market.book import Book
from market.errors import MarketError
from market.events import Level
from sinks.insertion import moment

_NS = "(extract(epoch FROM {}) * 1000000)::bigint * 1000"
_TIME, _RECEIVED = _NS.format("time"), _NS.format("received_at")
_LEVELS = "bid_prices, bid_sizes, ask_prices, ask_sizes"
_EARLIER = "interval '60 s'"
"""Changes told with a whole book may be older than it by the venue's clock: never so much."""


class UnknownBookError(MarketError):
    """Nothing true can be said of a book at that moment; the text says why."""


class StoredBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book as it was.

    Attributes:
        time: the venue's time of the last message in it, ns UTC.
        received: our clock then, ns.
        sequence: of that message.
        bids: all levels, best first.
        asks: all levels, best first.
        changes: changes applied to the whole book that it was built from.
    """

    time: int
    received: int
    sequence: int
    bids: list[Level]
    asks: list[Level]
    changes: int


class _Update(msgspec.Struct, frozen=True):
    time: int
    received: int
    sequence: int
    previous: int | None
    is_whole: bool
    bids: list[Level]
    asks: list[Level]


def book_at(connection: psycopg.Connection, instrument: str, at: int) -> StoredBook:
    """Return the book as it was at a moment.

    With `store.depth = "snapshots …"` it is the last whole book before it: see its `time`.

    Args:
        connection: to a database with our tables.
        instrument: id, `"binance:BTC-USDT"`.
        at: the venue's time, ns UTC; messages of that time are in the book.

    Raises:
        UnknownBookError: no whole book before it, changes are missing, or there was a gap.
        psycopg.Error: whatever the database says.
    """
    venue, _, symbol = instrument.partition(":")
    first = connection.execute(
        f"SELECT {_TIME}, {_RECEIVED}, sequence, prev_sequence, kind = 'snapshot', {_LEVELS}"
        " FROM book_updates WHERE venue = %s AND symbol = %s AND kind = 'snapshot' AND time <= %s"
        " ORDER BY time DESC, received_at DESC, sequence DESC LIMIT 1",
        (venue, symbol, moment(at)),
    ).fetchone()
    if first is None:
        raise UnknownBookError(f"{instrument}: no whole book is stored up to then")
    whole = _update(first)
    following = connection.execute(
        f"SELECT {_TIME}, {_RECEIVED}, sequence, prev_sequence, kind = 'snapshot', {_LEVELS}"
        " FROM book_updates WHERE venue = %s AND symbol = %s"
        f" AND time >= %s - {_EARLIER} AND time <= %s AND received_at >= %s"
        " ORDER BY received_at, sequence, kind",
        (venue, symbol, moment(whole.time), moment(at), moment(whole.received)),
    )
    book = _built(instrument, whole, map(_update, following))
    _check_gaps(connection, instrument, book.received, at)
    return book


def _built(instrument: str, whole: _Update, following: Iterable[_Update]) -> StoredBook:
    book = Book()
    book.replace(whole.bids, whole.asks, sequence=whole.sequence)
    last, changes = whole, 0
    for update in following:
        if update.is_whole:
            book.replace(update.bids, update.asks, sequence=update.sequence)
            changes = 0
        elif update.sequence <= last.sequence:
            continue  # it is in the whole book
        elif update.previous != last.sequence:
            raise UnknownBookError(
                f"{instrument}: what changed between the updates {last.sequence} and"
                f" {update.sequence} is not stored"
            )
        else:
            book.change(update.bids, update.asks, update.sequence)
            changes += 1
        last = update
    bids, asks = book.levels()
    return StoredBook(
        time=last.time,
        received=last.received,
        sequence=last.sequence,
        bids=sorted(bids.items(), reverse=True),
        asks=sorted(asks.items()),
        changes=changes,
    )


def _check_gaps(connection: psycopg.Connection, instrument: str, received: int, at: int) -> None:
    """Refuse a book that was lost after its last message; what came after a gap is whole again."""
    venue, _, symbol = instrument.partition(":")
    gap = connection.execute(
        "SELECT reason FROM gaps WHERE venue = %s AND symbol = %s AND channel IN ('all', 'book')"
        " AND started_at >= %s AND started_at <= %s ORDER BY started_at LIMIT 1",
        (venue, symbol, moment(received), moment(at)),
    ).fetchone()
    if gap is not None:
        raise UnknownBookError(f"{instrument}: the book was not known then: {gap[0]}")


def _update(row: tuple[Any, ...]) -> _Update:
    time, received, sequence, previous, is_whole, bid_prices, bid_sizes, ask_prices, ask_sizes = row
    return _Update(
        time=time,
        received=received,
        sequence=sequence,
        previous=previous,
        is_whole=is_whole,
        bids=list(zip(bid_prices, bid_sizes, strict=True)),
        asks=list(zip(ask_prices, ask_sizes, strict=True)),
    )
