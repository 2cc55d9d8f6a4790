"""What is traded in the simulated market, and how much.

Prices and sizes are whole numbers of ticks and steps everywhere inside, and become text only where
a venue tells them. So the same level always has the same text, and the same float.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from market.errors import UnknownInstrumentError
from market.instruments import Instrument, InstrumentList

LEVEL_WORTH = 20_000.0
"""Mean worth of a level, in US dollars."""
TRADE_WORTH = 700.0
"""Mean worth of a trade, in US dollars."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of the simulated market.

    Attributes:
        base: asset that is bought and sold.
        quote: asset that prices are told in.
        price: the price it keeps coming back to, in ticks.
        price_decimals: a tick is `10 ** -price_decimals` of the quote asset.
        size_decimals: a step is `10 ** -size_decimals` of the base asset.
        level_size: mean size of a level, in steps.
        trade_size: mean size of a trade, in steps.
        trades_per_s: mean rate of trades; 0 for none.
        changes_per_s: mean rate at which makers act; the book changes about twice as often, with
            the trades and with the price. 0 for none: then it changes only when a trade does it.
        is_trading: False for one that is listed but halted.
    """

    base: str
    quote: str
    price: int
    price_decimals: int
    size_decimals: int
    level_size: int
    trade_size: int
    trades_per_s: float
    changes_per_s: float
    is_trading: bool = True

    @property
    def symbol(self) -> str:
        """`BASE-QUOTE`."""
        return f"{self.base}-{self.quote}"

    def price_text(self, ticks: int, decimals: int = 8) -> str:
        """Return a price as decimal text with that many decimals (at least `price_decimals`)."""
        return decimal_text(ticks, self.price_decimals, decimals)

    def size_text(self, steps: int, decimals: int = 8) -> str:
        """Return a size as decimal text with that many decimals (at least `size_decimals`)."""
        return decimal_text(steps, self.size_decimals, decimals)

    def worth_text(self, worth: int, decimals: int = 8) -> str:
        """Return ticks times steps as decimal text, rounded down to that many decimals."""
        places = self.price_decimals + self.size_decimals
        if places > decimals:
            worth, places = worth // 10 ** (places - decimals), decimals
        return decimal_text(worth, places, decimals)

    @property
    def ticks(self) -> int:
        """Ticks in one unit of the quote asset."""
        scale: int = 10**self.price_decimals
        return scale

    @property
    def steps(self) -> int:
        """Steps in one unit of the base asset."""
        scale: int = 10**self.size_decimals
        return scale

    def price_number(self, ticks: int) -> float:
        """Return a price as the number that a client reads from its text."""
        return ticks / self.ticks  # like what is read, the float nearest to the exact fraction

    def size_number(self, steps: int) -> float:
        """Return a size as the number that a client reads from its text."""
        return steps / self.steps


@lru_cache(maxsize=1 << 15)  # venues tell the same levels again and again
def decimal_text(units: int, places: int, decimals: int) -> str:
    """Return `units * 10 ** -places` with `decimals` decimals; `units` is 0 or more.

    Example:
        >>> decimal_text(6400012, 2, 8)
        '64000.12000000'
    """
    digits = str(units * 10 ** (decimals - places))
    if not decimals:
        return digits
    digits = digits.rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def _listing(
    symbol: str,
    price: str,
    size_decimals: int,
    *,
    quote_worth: float = 1.0,
    rates: tuple[float, float] = (3.0, 8.0),
    is_trading: bool = True,
) -> Listing:
    base, _, quote = symbol.partition("-")
    whole, _, fraction = price.partition(".")
    steps_per_dollar = 10**size_decimals / (float(price) * quote_worth)
    return Listing(
        base=base,
        quote=quote,
        price=int(whole + fraction),
        price_decimals=len(fraction),
        size_decimals=size_decimals,
        level_size=max(4, round(LEVEL_WORTH * steps_per_dollar)),
        trade_size=max(1, round(TRADE_WORTH * steps_per_dollar)),
        trades_per_s=rates[0],
        changes_per_s=rates[1],
        is_trading=is_trading,
    )


_BITCOIN = 64_000.0
_BUSY = (10.0, 22.0)
_SILENT = (1 / 60, 0.0)

LISTINGS: tuple[Listing, ...] = (
    _listing("BTC-USDT", "64000.00", 5, rates=_BUSY),
    _listing("ETH-USDT", "3400.00", 4, rates=_BUSY),
    _listing("ETH-BTC", "0.05312", 4, quote_worth=_BITCOIN, rates=_BUSY),
    _listing("BNB-USDT", "585.00", 3),
    _listing("SOL-USDT", "150.00", 3),
    _listing("XRP-USDT", "0.5600", 0),
    _listing("DOGE-USDT", "0.12400", 0),
    _listing("ADA-USDT", "0.4400", 1),
    _listing("TRX-USDT", "0.1300", 1),
    _listing("AVAX-USDT", "27.50", 2),
    _listing("LINK-USDT", "13.60", 2),
    _listing("DOT-USDT", "6.200", 2),
    _listing("LTC-USDT", "72.00", 3),
    _listing("BCH-USDT", "390.0", 3),
    _listing("UNI-USDT", "7.900", 2),
    _listing("ATOM-USDT", "6.500", 2),
    _listing("NEAR-USDT", "5.100", 1),
    _listing("XLM-USDT", "0.1000", 0),
    _listing("FIL-USDT", "4.400", 2),
    _listing("SOL-BTC", "0.0023400", 2, quote_worth=_BITCOIN),
    _listing("BNB-BTC", "0.009140", 3, quote_worth=_BITCOIN),
    _listing("LTC-BTC", "0.001125", 3, quote_worth=_BITCOIN, rates=_SILENT),
    _listing("XMR-USDT", "160.0", 3, rates=(0.0, 0.0), is_trading=False),
    _listing("BTC-USD", "64010.00", 5, rates=_BUSY),
    _listing("ETH-USD", "3400.50", 4, rates=_BUSY),
)
"""The default market: five busy ones, many calm ones, LTC-BTC nearly silent, XMR-USDT halted."""


def choose(symbols: Iterable[str], listings: Iterable[Listing] = LISTINGS) -> tuple[Listing, ...]:
    """Return the listings of these symbols, in that order; all of them for no symbols.

    Args:
        symbols: any usual spelling, `BTC-USDT` or `btcusdt`.
        listings: where to choose from.

    Raises:
        UnknownInstrumentError: one is not simulated.
    """
    known = {listing.symbol: listing for listing in listings}
    names = InstrumentList(
        Instrument(
            venue="simulator",
            symbol=listing.symbol,
            native=listing.base + listing.quote,
            base=listing.base,
            quote=listing.quote,
        )
        for listing in known.values()
    )
    chosen: dict[str, Listing] = {}
    for symbol in symbols:
        try:
            found = names.resolve(symbol)[0].symbol
        except UnknownInstrumentError as error:
            raise UnknownInstrumentError(symbol, venue="the simulator", near=error.near) from error
        chosen[found] = known[found]
    return tuple(chosen.values()) or tuple(known.values())
