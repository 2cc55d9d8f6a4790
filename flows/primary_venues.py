"""Which venue speaks for a symbol where nobody names one."""

from collections.abc import Iterable, Sequence

from market.instruments import symbol_of, venue_of


def primary_venues(order: Sequence[str], followed: Iterable[str]) -> dict[str, str]:
    """Return symbol to its primary venue: the first of `order` that follows it.

    Args:
        order: all venues, the one that is asked first.
        followed: instrument ids.

    Example:
        >>> primary_venues(["bybit", "binance"], ["binance:BTC-USDT", "bybit:BTC-USDT"])
        {'BTC-USDT': 'bybit'}
    """
    ranked = sorted(followed, key=lambda series: (symbol_of(series), order.index(venue_of(series))))
    found: dict[str, str] = {}
    for series in ranked:
        found.setdefault(symbol_of(series), venue_of(series))
    return found
