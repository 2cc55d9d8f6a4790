"""Candles of a venue into the store: only what is missing there, page by page."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import psycopg

from connectors.contract import Venue
from connectors.history import CandleHistory, closed_until, source_interval
from market.errors import ConfigError, HistoryError
from market.instruments import Instrument
from market.intervals import SECOND, Interval
from migrations.session import connect
from sinks.stored_bars import fill_in, missing_ranges

log = logging.getLogger(__name__)

Report = Callable[["Backfilled"], None]


class Backfilled(msgspec.Struct):
    """How far a backfill has come; what it counts is committed.

    Attributes:
        wanted: bars of time that were not there.
        done: of them, those that have been asked for.
        new: bars stored.
        replaced: bars of our own that may have lacked trades.
        kept: bars that were there and whole.
        first: start of the oldest bar that the venue told, ns; None while there is none.
        cut: bars that start before it cannot be had of this venue, though they were asked for, ns;
            None where all can.
    """

    wanted: int = 0
    done: int = 0
    new: int = 0
    replaced: int = 0
    kept: int = 0
    first: int | None = None
    cut: int | None = None


def backfill(
    venue: Venue,
    instrument: Instrument,
    interval: str,
    start: int,
    end: int,
    *,
    now: int,
    database_url: str,
    rest_url: str = "",
    key: str = "",
    report: Report = lambda _: None,
    history: CandleHistory | None = None,
) -> Backfilled:
    """Fetch the closed bars of a range that the store lacks, and store them.

    Each page is committed as it comes: what is there when this ends early stays, and the next call
    goes on from it. Ranges in which nothing traded are asked for again, as nothing shows that they
    are complete.

    Args:
        venue: row of `connectors.VENUES`.
        instrument: as the venue lists it.
        interval: of the bars.
        start: ns UTC.
        end: ns UTC.
        now: our clock, ns.
        database_url: of a database with the schema.
        rest_url: base address of the venue; empty for its own.
        key: the user's; empty where the venue wants none.
        report: told of the progress after each page, and once before the first.
        history: what fetches.

    Raises:
        HistoryError: the venue has no such bars, or none so old, refuses, or is not understood.
        ConfigError: the database cannot be reached, or went away.
        ValueError: `interval` is none.
    """
    history = history or CandleHistory()
    span = Interval.parse(interval)
    smaller = Interval.parse(source_interval(venue, interval))
    if venue.candles is None:
        raise ValueError(f"{venue.name} has no candles")
    first = span.start_of(start + span.length - 1)
    until = closed_until(interval, end, now)
    told = Backfilled()
    oldest = oldest_told(venue, interval, now)
    if first < oldest:
        if until <= oldest:
            raise HistoryError(
                f"{venue.name} tells only its newest {venue.candles.most(smaller.name):,} bars of"
                f" {smaller.name}, which go back to {_iso(oldest)}: none of {interval} before that"
                " can be had; try a longer interval",
                is_final=True,
            )
        first = told.cut = oldest
    try:
        with connect(database_url) as connection:
            holes = missing_ranges(connection, instrument.id, interval, first, max(first, until))
            told.wanted = sum(ends - begins for begins, ends in holes) // span.length
            report(told)
            at_once = venue.candles.most(smaller.name) * smaller.length
            if not venue.candles.is_ranged:
                at_once = until - first
            for begins, ends in _near(holes, at_once):
                before = told.done
                inside = sum(b - a for a, b in holes if begins <= a < ends) // span.length
                pages = history.pages(
                    venue, instrument, interval, begins, ends, now=now, rest_url=rest_url, key=key
                )
                for page in pages:
                    written = fill_in(connection, instrument, page)
                    told.new += written.new
                    told.replaced += written.updated
                    told.kept += written.known
                    if page:
                        oldest = page[0].start
                        told.first = oldest if told.first is None else min(told.first, oldest)
                        reached = (page[-1].end - begins) // span.length
                        told.done = before + min(inside, reached)
                    report(told)
                told.done = before + inside
                report(told)
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"the database went away ({str(error).strip()}): what was stored is there; run the"
            " same command again when it is back"
        ) from error
    log.info(
        "backfilled",
        extra={"instrument": instrument.id, "interval": interval, "bars": told.new},
    )
    return told


def oldest_told(venue: Venue, interval: str, now: int) -> int:
    """Return where the oldest bar starts that a venue can tell, ns UTC; 0 where it has no limit.

    Some venues give their newest candles and no others.
    """
    candles = venue.candles
    if candles is None or candles.is_ranged:
        return 0
    span = Interval.parse(interval)
    smaller = Interval.parse(source_interval(venue, interval))
    # The newest one is still forming.
    oldest = smaller.start_of(now) - (candles.most(smaller.name) - 1) * smaller.length
    return span.start_of(oldest + span.length - 1)


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).isoformat()


def _near(holes: list[tuple[int, int]], at_once: int) -> list[tuple[int, int]]:
    """Join holes that one request can ask for: quiet markets have many small ones."""
    joined: list[tuple[int, int]] = []
    for begins, ends in holes:
        if joined and ends - joined[-1][0] <= at_once:
            joined[-1] = (joined[-1][0], ends)
        else:
            joined.append((begins, ends))
    return joined
