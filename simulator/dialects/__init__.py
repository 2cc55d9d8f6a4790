"""How each venue speaks: its wire protocol, from the server's side and without a socket."""

from collections.abc import Callable

from simulator.dialects.binance import BinanceDialect
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.market_model import MarketModel


def _binance(model: MarketModel, options: DialectOptions) -> Dialect:
    return BinanceDialect(
        model,
        max_age=options.max_age,
        depth_interval=options.depth_interval,
        weight_per_minute=options.weight_per_minute,
    )


DIALECTS: dict[str, Callable[[MarketModel, DialectOptions], Dialect]] = {
    "binance": _binance,
}
"""Every venue that can be simulated, by its name in the connectors."""
