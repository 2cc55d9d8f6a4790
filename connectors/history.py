"""Bars of the past from a venue's REST interface, page by page, closed ones only.

What is asked for is shared out over requests that the venue allows, within the budget of its host
(`connectors.limiter`), and each is tried a few times. An interval that a venue does not have is
made of the largest one of it that divides it. Bars in which nothing traded are left out, as our
own builder leaves them out, so that a series reads the same whoever made it.
"""

import random
import time
from collections.abc import Callable, Iterator

import httpx

from connectors.asking import Asking
from connectors.candles import in_order
from connectors.contract import Candles, Venue
from connectors.limiter import HostLimiter, limiter_of
from connectors.transport import http_client
from market.errors import HistoryError, VenueProtocolError
from market.events import Bar, History
from market.grouping import group_bars
from market.instruments import Instrument
from market.intervals import SECOND, Interval

GRACE = 5 * SECOND
"""So long after its end, by our clock, a venue's bar is taken as closed and told."""

Progress = Callable[[int, int], None]
"""Told how many bars of time are done, and how many are wanted in all."""


def source_interval(venue: Venue, interval: str) -> str:
    """Return the venue's interval that bars of ours are made of: itself where it has it.

    Raises:
        HistoryError: the venue has no candles, or none that make them up.
        ValueError: `interval` is none.

    Example:
        >>> from connectors import VENUES
        >>> [source_interval(VENUES["htx"], name) for name in ("5m", "1d", "1w")]
        ['5m', '4h', '4h']
    """
    span = Interval.parse(interval)
    candles = _candles(venue)
    spans = [Interval.parse(name) for name in candles.intervals]
    fitting = [
        one
        for one in spans
        if (one.length, one.offset) == (span.length, span.offset) or span.is_made_of(one)
    ]
    if not fitting:
        has = ", ".join(candles.intervals)
        raise HistoryError(
            f"{venue.name} has no candles that make up {interval}; it has {has}", is_final=True
        )
    return max(fitting, key=lambda one: one.length).name


class CandleHistory:
    """Fetches the past of instruments.

    Args:
        client: makes the HTTP client of one `fetch`.
        wait: sleeps so many seconds.
        chance: a number from 0 to 1, for retries that do not meet.
        page: bars a request at most; 0 for as many as the venue allows.
        limiter: the budget of an address.
    """

    def __init__(
        self,
        *,
        client: Callable[[], httpx.Client] = http_client,
        wait: Callable[[float], None] = time.sleep,  # noqa: TID251 - whoever fetches waits for it
        chance: Callable[[], float] = random.random,
        page: int = 0,
        limiter: Callable[[Venue, str], HostLimiter] = limiter_of,
    ) -> None:
        self._client = client
        self._page = page
        self._asking = Asking("candles", wait=wait, chance=chance, limiter=limiter)

    def fetch(
        self,
        venue: Venue,
        instrument: Instrument,
        interval: str,
        start: int,
        end: int,
        *,
        now: int,
        rest_url: str = "",
        key: str = "",
        progress: Progress | None = None,
    ) -> History:
        """Return the closed bars that start from `start` on and end by `end`.

        They may begin later than was asked for: where the venue's own past does.

        Args:
            venue: row of `connectors.VENUES`.
            instrument: as the venue lists it.
            interval: `"1m"`, or `"1w"`.
            start: ns UTC.
            end: ns UTC; a bar that has not ended by `now` less `GRACE` is not closed.
            now: our clock, ns.
            rest_url: base address; empty for the venue's own.
            key: sent in a header; empty where the venue wants none.
            progress: told after each page.

        Raises:
            HistoryError: the venue has none such, refuses, or is not understood.
            ValueError: `interval` is none.
        """
        bars: list[Bar] = []
        for page in self.pages(
            venue, instrument, interval, start, end, now=now,
            rest_url=rest_url, key=key, progress=progress,
        ):  # fmt: skip
            bars += page
        return History(
            instrument=instrument.id,
            interval=Interval.parse(interval).name,
            bars=tuple(bars),
            until=closed_until(interval, end, now),
            tells_sides=_candles(venue).tells_sides,
        )

    def pages(
        self,
        venue: Venue,
        instrument: Instrument,
        interval: str,
        start: int,
        end: int,
        *,
        now: int,
        rest_url: str = "",
        key: str = "",
        progress: Progress | None = None,
    ) -> Iterator[list[Bar]]:
        """Give the same bars as each answer comes, so that a long past need not be held at once.

        The arguments and errors are those of `fetch`.
        """
        candles = _candles(venue)
        source = source_interval(venue, interval)
        span, smaller = Interval.parse(interval), Interval.parse(source)
        first = -(-(start - span.offset) // span.length) * span.length + span.offset
        until = closed_until(interval, end, now)
        wanted = max(0, (until - first) // span.length)
        if not wanted:
            return
        at_once = candles.most(source)
        if self._page:
            at_once = min(at_once, self._page)
        step = at_once * smaller.length if candles.is_ranged else until - first
        kept: list[Bar] = []  # of a larger bar that goes on in the next page
        with self._client() as client:
            if key:
                client.headers["Authorization"] = f"Bearer {key}"
            for at in range(first, until, step):
                last = min(at + step, until)
                url = candles.url(rest_url or venue.rest_url, instrument, source, at, last)
                found = self._read(venue, client, url, instrument, source)
                begins = at
                if not candles.is_ranged and found:
                    # The answer begins anywhere: a larger bar that it does not hold whole goes.
                    oldest = found[0].start - span.offset
                    begins = max(at, -(-oldest // span.length) * span.length + span.offset)
                kept += [bar for bar in found if begins <= bar.start < last and bar.volume > 0]
                whole = span.start_of(last)
                ready = [bar for bar in kept if bar.start < whole]
                kept = kept[len(ready) :]
                yield ready if source == interval else group_bars(ready, interval)
                if progress is not None:
                    progress((whole - first) // span.length, wanted)

    def _read(
        self,
        venue: Venue,
        client: httpx.Client,
        url: str,
        instrument: Instrument,
        interval: str,
    ) -> list[Bar]:
        candles = _candles(venue)
        body = self._asking.ask(
            venue, client, url, weight=candles.weight, is_rate_limit=candles.is_rate_limit
        )
        try:
            return in_order(candles.read(body, instrument, interval))
        except VenueProtocolError as error:
            raise HistoryError(
                f"{instrument.id}: {url} does not look like candles: {error}"
            ) from error


def closed_until(interval: str, end: int, now: int) -> int:
    """Return the end of the last bar that is closed and ends by `end`, ns UTC.

    Example:
        >>> closed_until("1m", 600 * SECOND, 604 * SECOND) // SECOND
        540
    """
    return Interval.parse(interval).start_of(min(end, now - GRACE))


def _candles(venue: Venue) -> Candles:
    if venue.candles is None:
        raise HistoryError(f"{venue.name} has no candles of the past", is_final=True)
    return venue.candles
