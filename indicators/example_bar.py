"""A bar for the examples in docstrings, and for whoever tries an indicator by hand."""

from market.events import Bar

MINUTE = 60_000_000_000


def example_bar(close: float, *, high: float | None = None, low: float | None = None) -> Bar:
    """Return a minute that opened and closed at this price.

    Args:
        close: quote currency.
        high: highest price; `close` without it.
        low: lowest price; `close` without it.

    Example:
        >>> bar = example_bar(2.0, high=3.0)
        >>> bar.low, bar.high, bar.volume
        (2.0, 3.0, 1.0)
    """
    return Bar(
        instrument="example:BTC-USDT",
        interval="1m",
        start=0,
        end=MINUTE,
        open=close,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=1.0,
        buy_volume=0.5,
        notional=close,
        count=1,
    )
