"""Trades of the past from a venue's REST interface, answer by answer."""

import random
import time
from collections.abc import Callable, Iterator

import httpx
import msgspec

from connectors.asking import Asking
from connectors.contract import PastTrades, Venue
from connectors.limiter import HostLimiter, limiter_of
from connectors.transport import http_client
from market.errors import HistoryError, VenueProtocolError
from market.events import Trade
from market.instruments import Instrument


class TradePage(msgspec.Struct, frozen=True):
    """What one answer told.

    Attributes:
        trades: of the wanted range, by time.
        covered: start and end, ns UTC, of what has been told whole by now.
    """

    trades: list[Trade]
    covered: tuple[int, int]


class TradeHistory:
    """Fetches the trades of instruments.

    Args:
        client: makes the HTTP client of one walk.
        wait: sleeps so many seconds.
        chance: a number from 0 to 1, for retries that do not meet.
        limiter: the budget of an address.
    """

    def __init__(
        self,
        *,
        client: Callable[[], httpx.Client] = http_client,
        wait: Callable[[float], None] = time.sleep,  # noqa: TID251 - whoever fetches waits for it
        chance: Callable[[], float] = random.random,
        limiter: Callable[[Venue, str], HostLimiter] = limiter_of,
    ) -> None:
        self._client = client
        self._asking = Asking("trades", wait=wait, chance=chance, limiter=limiter)

    def pages(
        self,
        venue: Venue,
        instrument: Instrument,
        start: int,
        end: int,
        *,
        now: Callable[[], int],
        rest_url: str = "",
        key: str = "",
    ) -> Iterator[TradePage]:
        """Give the trades of `[start, end)`, as far as the venue has them.

        Args:
            venue: row of `connectors.VENUES`.
            instrument: as the venue lists it.
            start: ns UTC.
            end: ns UTC.
            now: our clock, ns.
            rest_url: base address; empty for the venue's own.
            key: sent in a header; empty where the venue wants none.

        Raises:
            HistoryError: the venue has none, refuses, or is not understood.
        """
        past = past_trades(venue)
        walk = past.walk(rest_url or venue.rest_url, instrument, start, end, now())
        with self._client() as client:
            if key:
                client.headers["Authorization"] = f"Bearer {key}"
            while (request := walk.request()) is not None:
                body = self._asking.ask(
                    venue,
                    client,
                    request.url,
                    weight=request.weight,
                    is_rate_limit=past.is_rate_limit,
                )
                try:
                    trades = walk.answered(body, now())
                except VenueProtocolError as error:
                    raise HistoryError(
                        f"{instrument.id}: {request.url} does not look like trades: {error}"
                    ) from error
                yield TradePage(trades, walk.covered)


def past_trades(venue: Venue) -> PastTrades:
    """Return a venue's trades of the past.

    Raises:
        HistoryError: it has none.
    """
    if venue.past_trades is None:
        raise HistoryError(f"{venue.name} has no trades of the past", is_final=True)
    return venue.past_trades
