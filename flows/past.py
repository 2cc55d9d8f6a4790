"""Where bars of the past come from: what our store has of them, and what the venues tell."""

import logging
import time
from collections.abc import Iterable

import psycopg

from connectors.history import CandleHistory
from connectors.venue_feeds import VenueFeeds
from flows.bar_series import HistoryWish
from market.errors import HistoryError
from market.events import Bar, History
from market.intervals import Interval
from sinks.secret import Secret
from sinks.store_connection import complete, connect
from sinks.stored_bars import read_bars

log = logging.getLogger(__name__)


class StoredPast:
    """Bars of the past from our own store.

    Args:
        dsn: address of the database.
    """

    def __init__(self, dsn: Secret) -> None:
        self._dsn = dsn

    def bars(self, wish: HistoryWish) -> list[Bar]:
        """Return what there is of the wished bars; nothing while the database is away."""
        try:
            with connect(complete(self._dsn.reveal())) as connection:
                return read_bars(
                    connection, wish.instrument, wish.interval, start=begin(wish), end=wish.until
                )
        except psycopg.Error as error:  # the venue can tell them too
            log.warning("the store does not tell its bars", extra={"reason": str(error).strip()})
            return []


class VenuePast:
    """Bars of the past from the venues.

    Args:
        feeds: what is followed, with each venue's addresses and key.
    """

    def __init__(self, feeds: Iterable[VenueFeeds]) -> None:
        self._of = {one.id: (each, one) for each in feeds for one in each.instruments}
        self._history = CandleHistory()

    def tells_sides(self, instrument: str) -> bool:
        """Whether the venue says how much of a candle was bought.

        Where it does not, a stored bar may be a candle of it, half of which is called bought.
        """
        found = self._of.get(instrument)
        candles = None if found is None else found[0].venue.candles
        return candles is not None and candles.tells_sides

    def fetch(self, wish: HistoryWish) -> History:
        """Ask the instrument's venue; it takes as long as it takes.

        Raises:
            HistoryError: it has none, or does not tell them now.
        """
        found = self._of.get(wish.instrument)
        if found is None:
            raise HistoryError(f"{wish.instrument} is not followed", is_final=True)
        feeds, instrument = found
        return self._history.fetch(
            feeds.venue,
            instrument,
            wish.interval,
            begin(wish),
            wish.until,
            now=time.time_ns() - wish.clock_offset,
            rest_url=feeds.rest_url,
            key=feeds.key,
        )


def begin(wish: HistoryWish) -> int:
    """Return where the first wished bar starts, ns UTC."""
    return wish.until - wish.bars * Interval.parse(wish.interval).length
