"""What strategies hold on paper: the last signal of each and series, with the price since."""

import msgspec
import psycopg

_ROWS = """
SELECT DISTINCT ON (spec, venue, symbol) spec, venue, symbol, interval,
    (extract(epoch FROM time) * 1000)::bigint, "values",
    (SELECT close FROM bars WHERE bars.venue = alerts.venue AND bars.symbol = alerts.symbol
        AND bars.interval = alerts.interval ORDER BY start DESC LIMIT 1)
FROM alerts WHERE "values" ? 'position.open'
ORDER BY spec, venue, symbol, time DESC, fired_at DESC
"""


class PaperPosition(msgspec.Struct, kw_only=True):
    """What a strategy holds of one series, or what it came to.

    Attributes:
        spec: id.
        series: instrument id.
        interval: of its bars; empty for others.
        side: `long` or `short`.
        is_open: something is held.
        since_ms: venue's time of the last signal, ms UTC.
        size: in base currency, of what is held or was last.
        entry: price.
        stop: price.
        target: price; None for none.
        price: last known.
        profit: of what is held, at that price; quote currency.
        closed: positions that were closed.
        won: of these, with a gain.
        realised: gains less losses of these.
    """

    spec: str
    series: str
    interval: str
    side: str
    is_open: bool
    since_ms: int
    size: float
    entry: float
    stop: float
    target: float | None
    price: float
    profit: float
    closed: int
    won: int
    realised: float


def read_positions(connection: psycopg.Connection) -> list[PaperPosition]:
    """Return the position of every strategy and series that has ever given a signal.

    Raises:
        psycopg.OperationalError: the database is away.
    """
    found = []
    for spec, venue, symbol, interval, ms, values, close in connection.execute(_ROWS):
        told = {name.removeprefix("position."): value for name, value in values.items()}
        is_open = told["open"] == 1
        price = told["price"] if close is None else close
        gain = told["side"] * (price - told["entry"]) * told["size"]
        found.append(
            PaperPosition(
                spec=spec,
                series=f"{venue}:{symbol}",
                interval=interval,
                side="long" if told["side"] > 0 else "short",
                is_open=is_open,
                since_ms=ms,
                size=told["size"],
                entry=told["entry"],
                stop=told["stop"],
                target=told["target"],
                price=price,
                profit=gain if is_open else 0.0,
                closed=int(told["closed"]),
                won=int(told["won"]),
                realised=told["realised"],
            )
        )
    return found
