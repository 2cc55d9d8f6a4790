"""Trades of a venue's past into the store: what is missing there, answer by answer."""

import logging
from collections.abc import Callable

import msgspec
import psycopg

from connectors.contract import Venue
from connectors.trade_history import TradeHistory, past_trades
from flows.backfill_ledger import BackfillLedger
from market.errors import ConfigError
from market.instruments import Instrument
from migrations.session import connect
from sinks.stored_trades import insert_missing

GRACE = 1_000_000_000
"""So much of the newest past is left to the stream, whose rows are stored within a second."""

log = logging.getLogger(__name__)


class TradesBackfilled(msgspec.Struct):
    """How far a backfill of trades has come; what it counts is committed.

    Attributes:
        wanted: ns of time that had not been asked for before.
        done: of them, those that have been asked for.
        new: trades stored.
        known: trades that were there.
        covered: start and end, ns UTC, of each range that is stored whole now.
    """

    wanted: int = 0
    done: int = 0
    new: int = 0
    known: int = 0
    covered: list[tuple[int, int]] = []


def backfill_trades(
    venue: Venue,
    instrument: Instrument,
    start: int,
    end: int,
    *,
    now: Callable[[], int],
    database_url: str,
    ledger: Callable[[psycopg.Connection], BackfillLedger],
    rest_url: str = "",
    key: str = "",
    report: Callable[[TradesBackfilled], None] = lambda _: None,
    history: TradeHistory | None = None,
) -> TradesBackfilled:
    """Fetch the trades of a range that were not fetched before, and store those that are missing.

    Each answer is committed as it comes, and then noted in the ledger: what ends early goes on
    from there. A trade whose id is stored stays as it is. The last second is left to the stream.

    Args:
        venue: row of `connectors.VENUES`.
        instrument: as the venue lists it.
        start: ns UTC.
        end: ns UTC.
        now: our clock, ns.
        database_url: of a database with the schema.
        ledger: opens what remembers the ranges that are stored whole in a database.
        rest_url: base address of the venue; empty for its own.
        key: the user's; empty where the venue wants none.
        report: told of the progress after each answer, and once before the first.
        history: what fetches.

    Raises:
        HistoryError: the venue has none, refuses, or is not understood.
        ConfigError: the database cannot be reached, or went away.
    """
    past_trades(venue)
    history = history or TradeHistory()
    end = min(end, now() - GRACE)
    told = TradesBackfilled()
    try:
        with connect(database_url) as connection:
            known = ledger(connection)
            ranges = known.missing(start, end)
            told.wanted = sum(ends - begins for begins, ends in ranges)
            report(told)
            for begins, ends in ranges:
                before = told.done
                for page in history.pages(
                    venue, instrument, begins, ends, now=now, rest_url=rest_url, key=key
                ):
                    written = insert_missing(connection, instrument, page.trades)
                    told.new += written.new
                    told.known += written.known
                    known.add(*page.covered)
                    told.done = before + max(0, page.covered[1] - begins)
                    report(told)
                told.done = before + ends - begins
                report(told)
            holes = known.missing(start, end)
            told.covered = _between(holes, start, end)
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"the database went away ({str(error).strip()}): what was stored is there; run the"
            " same command again when it is back"
        ) from error
    log.info("trades backfilled", extra={"instrument": instrument.id, "trades": told.new})
    return told


def _between(holes: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return what of `[start, end)` is in no hole."""
    edges = [start, *(edge for hole in holes for edge in hole), end]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(begins, ends) for begins, ends in pairs if begins < ends]
