"""Trades of `candlewax backfill --trades`, and the bars that are held to them."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cli import options
from connectors.contract import Venue
from connectors.trade_history import past_trades
from flows.backfill_ledger import BackfillLedger, identity
from flows.trade_backfill import TradesBackfilled, backfill_trades
from market.instruments import Instrument
from market.intervals import Interval
from migrations.session import connect
from sinks.stored_trades import agreement


class TradeWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades are wanted, and where they are to be had.

    Attributes:
        venue: row of `connectors.VENUES`.
        instrument: as the venue lists it.
        start: ns UTC.
        end: ns UTC.
        interval: of the bars that are held to the trades.
        rest_url: base address of the venue; empty for its own.
        key: the user's; empty where the venue wants none.
    """

    venue: Venue
    instrument: Instrument
    start: int
    end: int
    interval: str
    rest_url: str = ""
    key: str = ""


def fetch_trades(
    wish: TradeWish,
    address: str,
    ledgers: Path | None,
    report: Callable[[TradesBackfilled], None],
) -> None:
    """Store trades, and say what came of it.

    Args:
        wish: which.
        address: of the database.
        ledgers: folder of what was asked for before; None to ask for everything.
        report: told of the progress.

    Raises:
        HistoryError: the venue has none, refuses, or is not understood.
        ConfigError: the database went away.
    """
    name = wish.instrument.id
    with tempfile.TemporaryDirectory() as forgotten:
        folder = ledgers or Path(forgotten)
        done = backfill_trades(
            wish.venue,
            wish.instrument,
            wish.start,
            wish.end,
            now=time.time_ns,
            database_url=address,
            ledger=lambda connection: BackfillLedger(folder, identity(connection), name),
            rest_url=wish.rest_url,
            key=wish.key,
            report=report,
        )
    print(f"{name} trades: {words(done)}")
    if not done.covered or done.covered[0][0] > wish.start:
        keeps = f"{wish.venue.name} keeps {past_trades(wish.venue).keeps}"
        if done.covered:
            print(f"{keeps}: from {options.iso(done.covered[0][0])} on all are stored")
        else:
            print(f"{keeps}: of no time it is sure that all are stored")
    _compare(address, name, wish.interval, done.covered)


def _compare(
    address: str, instrument: str, interval: str, covered: Sequence[tuple[int, int]]
) -> None:
    """Say how many of the stored bars are what the stored trades make."""
    span = Interval.parse(interval)
    compared = agreed = without = 0
    with connect(address) as connection:
        for begins, ends in covered:
            first, last = span.start_of(begins + span.length - 1), span.start_of(ends)
            if first < last:
                found = agreement(connection, instrument, interval, first, last)
                compared += found.compared
                agreed += found.agreed
                without += found.without_bar
    missing = f"; of {without:,} there is none: `candlewax backfill` without --trades stores them"
    print(
        f"bars of {interval}: {agreed:,} of {compared:,} agree with the trades"
        + (missing if without else "")
    )


def words(done: TradesBackfilled) -> str:
    """Say what has been stored."""
    if not done.wanted:
        return "all of that time were asked for before; --again asks for them once more"
    return f"{done.new:,} stored, {done.known:,} were there"
