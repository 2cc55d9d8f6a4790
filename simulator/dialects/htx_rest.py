"""HTX spot's REST interface, as far as a market data client needs it: the list of symbols."""

from urllib.parse import urlsplit

import msgspec

from simulator.dialects.htx_streams import native_of
from simulator.frames import HttpAnswer
from simulator.listings import Listing
from simulator.market_model import MarketModel

MILLISECOND = 1_000_000
_HUGE = 1_000_000


class HtxRest:
    """Answers GETs.

    Args:
        model: the market.
    """

    def __init__(self, model: MarketModel) -> None:
        self._listings = model.listings

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`, path and query; `now` is ns UTC."""
        match urlsplit(target).path:
            case "/v1/common/symbols":
                data: object = [_symbol(listing) for listing in self._listings]
            case "/v1/common/timestamp":
                data = now // MILLISECOND
            case _:
                return HttpAnswer(404, b"Not Found")
        body = msgspec.json.encode({"status": "ok", "data": data})
        return HttpAnswer(200, body, {"Content-Type": "application/json;charset=UTF-8"})


def _symbol(listing: Listing) -> dict[str, object]:
    least = 10.0**-listing.size_decimals
    return {
        "base-currency": listing.base.lower(),
        "quote-currency": listing.quote.lower(),
        "price-precision": listing.price_decimals,
        "amount-precision": listing.size_decimals,
        "symbol-partition": "main",
        "symbol": native_of(listing),
        "state": "online" if listing.is_trading else "offline",
        "value-precision": 8,
        "min-order-amt": least,
        "max-order-amt": _HUGE,
        "min-order-value": 5,
        "limit-order-min-order-amt": least,
        "limit-order-max-order-amt": _HUGE,
        "sell-market-min-order-amt": least,
        "sell-market-max-order-amt": _HUGE,
        "buy-market-max-order-value": _HUGE,
        "api-trading": "enabled" if listing.is_trading else "disabled",
    }
