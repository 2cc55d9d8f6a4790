"""A walk through trades of a venue that tells its newest ones only, all in one answer."""

from collections.abc import Callable, Sequence

import msgspec

from connectors.contract import Request
from market.errors import VenueProtocolError
from market.events import Trade
from market.instruments import Instrument

Read = Callable[[bytes, Instrument, int], tuple[list[Trade], int]]


class NewestTrades:
    """See `connectors.contract.TradeWalk`.

    Args:
        request: for the newest trades.
        read: reads the answer: the trades, and how many the venue told with those that are none of
            ours; raises `ValueError` or msgspec's errors.
        instrument: whose they are.
        start: ns UTC.
        end: ns UTC.
        most: how many one answer holds at most; 0 where it is limited by time.
        since: how far back the answer goes in any case, ns UTC; `end` where nothing is sure.
    """

    _UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

    def __init__(
        self,
        request: Request,
        read: Read,
        instrument: Instrument,
        start: int,
        end: int,
        *,
        most: int = 0,
        since: int | None = None,
    ) -> None:
        self._request: Request | None = request
        self._read = read
        self._instrument = instrument
        self._start = start
        self._end = end
        self._most = most
        self._since = end if since is None else since
        self.covered = (end, end)

    def request(self) -> Request | None:
        """The one request, once."""
        request, self._request = self._request, None
        return request

    def answered(self, body: bytes, now: int) -> list[Trade]:
        """Take the answer.

        Raises:
            VenueProtocolError: it is none, or the venue's error.
        """
        try:
            trades, count = self._read(body, self._instrument, now)
        except self._UNREADABLE as error:
            raise VenueProtocolError(f"trades: {error}", frame=body) from error
        told = in_order(trades)
        begins = self._since
        if self._most and count < self._most:
            begins = self._start  # there are no others
        elif self._most and told:
            # Others of the oldest moment may have been left out.
            begins = min(begins, told[0].ts_event + 1)
        self.covered = (min(max(begins, self._start), self._end), self._end)
        return [trade for trade in told if self._start <= trade.ts_event < self._end]


def in_order(trades: Sequence[Trade]) -> list[Trade]:
    """Return trades by time and then by id, each once."""
    by_id = {trade.trade_id: trade for trade in trades}
    return sorted(
        by_id.values(), key=lambda trade: (trade.ts_event, len(trade.trade_id), trade.trade_id)
    )
