"""The page of a market, where a person would look at once."""

from connectors import VENUES


def market_page(venue: str, symbol: str) -> str:
    """Return the address of a venue's page of a market; empty where there is none.

    Example:
        >>> market_page("binance", "BTC-USDT")
        'https://www.binance.com/en/trade/BTC_USDT?type=spot'
        >>> market_page("merged", "BTC-USDT")
        ''
    """
    known = VENUES.get(venue)
    base, dash, quote = symbol.partition("-")
    if known is None or not dash:
        return ""
    return known.market_page.format(
        base=base, quote=quote, base_lower=base.lower(), quote_lower=quote.lower()
    )
