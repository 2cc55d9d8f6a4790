"""How each venue speaks: its wire protocol, from the server's side and without a socket."""

from collections.abc import Callable

from simulator.dialects.binance import BinanceDialect
from simulator.dialects.bitstamp import BitstampDialect
from simulator.dialects.bybit import BybitDialect
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.dialects.htx import HtxDialect
from simulator.dialects.massive import MassiveDialect
from simulator.market_model import MarketModel


def _binance(model: MarketModel, options: DialectOptions) -> Dialect:
    return BinanceDialect(
        model,
        max_age=options.max_age,
        depth_interval=options.depth_interval,
        weight_per_minute=options.weight_per_minute,
    )


def _bybit(model: MarketModel, options: DialectOptions) -> Dialect:
    return BybitDialect(model, max_age=options.max_age)


def _bitstamp(model: MarketModel, options: DialectOptions) -> Dialect:
    return BitstampDialect(model, max_age=options.max_age, depth_interval=options.depth_interval)


def _htx(model: MarketModel, options: DialectOptions) -> Dialect:
    return HtxDialect(model, book_interval=options.depth_interval)


def _massive(model: MarketModel, options: DialectOptions) -> Dialect:
    return MassiveDialect(
        model,
        key=options.key,
        connections=options.connections or 1,
        max_age=options.max_age,
    )


DIALECTS: dict[str, Callable[[MarketModel, DialectOptions], Dialect]] = {
    "binance": _binance,
    "bitstamp": _bitstamp,
    "bybit": _bybit,
    "htx": _htx,
    "massive": _massive,
}
"""Every venue that can be simulated, by its name in the connectors."""
