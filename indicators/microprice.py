"""Where between the best prices the sizes there put the price."""

from collections.abc import Sequence
from math import inf

import msgspec

from indicators.kinds import BookKind, Output
from market.events import Level


class Microprice(msgspec.Struct, frozen=True):
    """The mid price, each best price weighed with the size on the other side.

    `(bid * ask size + ask * bid size) / (bid size + ask size)`: it leans to the ask where more is
    bid, because the smaller side is the one that will be taken first.

    Output: quote currency, from the best bid to the best ask; None when a side is empty.

    References:
        J. Gatheral, R. Oomen, Zero-intelligence realized variance estimation, 2010, who call it
        the micro-price. S. Stoikov, The micro-price, 2018, calls it the weighted mid-price, and
        gives the other name to a forecast that has to be fitted to past data: that is not this.

    Example:
        >>> Microprice().measure([(99.0, 3.0)], [(101.0, 1.0)])
        100.5
    """

    @property
    def name(self) -> str:
        """Canonical name."""
        return "book.microprice"

    def measure(self, bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
        """Return the microprice of these levels, or None."""
        if not bids or not asks:
            return None
        bid, bid_size = bids[0]
        ask, ask_size = asks[0]
        total = bid_size + ask_size
        # From the bid on, so that equal prices give exactly that price.
        return bid + (ask - bid) * (bid_size / total) if 0 < total < inf else None


KIND = BookKind(
    name="book.microprice",
    meaning="mid price, each best price weighed with the size on the other side",
    outputs=(Output("", "quote currency", shown="price"),),
    make=Microprice,
    notes="""`(bid * ask size + ask * bid size) / (bid size + ask size)` of the best
level on each side, as Gatheral and Oomen define the micro-price (2010). Stoikov (2018) calls this
the weighted mid-price and means a fitted forecast by micro-price; we fit nothing. Its distance
from the mid price is half of `book.spread_bps` times `book.imbalance(1)`. No value when a side is
empty.""",
)
