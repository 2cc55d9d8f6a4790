"""`candlewax filters why`: why a spec fired last, and why it does not now."""

import os

from cli.filter_homes import database_of
from cli.options import Config


def why(spec: str, symbol: str, /, *, config: Config = None) -> int:
    """Say why a filter fired last on a symbol, and why it does not fire now.

    Every part of its condition is told with its value, its threshold and by how much it is not so.

    Parameters
    ----------
    spec
        Id of the filter.
    symbol
        BTC-USDT, or with its venue binance:BTC-USDT.
    """
    from flows import configuration
    from flows.home import Home
    from flows.market_pages import market_page
    from flows.spec_homes import SpecHomes
    from flows.why import Why
    from sinks.message import Composer
    from sinks.stored_specs import StoredSpecs

    told = configuration.load(config, os.environ)
    with database_of(told, "filters why") as dsn:
        homes = SpecHomes(told.specs_folder, None if dsn is None else StoredSpecs(dsn))
        composer = Composer(told.settings.alerts.zone, market_page)
        venue, colon, name = symbol.rpartition(":")
        wanted = f"{venue.lower()}{colon}{name.upper().replace('/', '-')}"
        print(Why(Home.of(os.environ).status, homes, dsn, composer).answer(spec, wanted))
    return 0
