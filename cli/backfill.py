"""`candlewax backfill`: a venue's candles, or trades, of the past into the store."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError, HistoryError
from market.intervals import SECOND, Interval

if TYPE_CHECKING:
    from connectors.contract import Venue
    from connectors.settings import VenueSettings
    from flows.backfill import Backfilled
    from flows.home import Home
    from flows.trade_backfill import TradesBackfilled


def backfill(
    venue: Annotated[str, Parameter(help="Venue, as in binance.")],
    symbol: Annotated[str, Parameter(help="Symbol, in any spelling.")],
    /,
    *,
    from_: Annotated[
        str,
        Parameter(name="--from", help="From when: 2026-11-20, 2026-11-20T08:00, or back as 2h."),
    ],
    to: Annotated[str, Parameter(help="Until when, as --from; now when not given.")] = "",
    interval: Annotated[str, Parameter(help="Of the bars: 1s, 5m, 1h, 1d, 1w.")] = "1m",
    trades: Annotated[bool, Parameter(help="Trades, not candles.", negative=())] = False,
    again: Annotated[
        bool, Parameter(help="Of trades: also what an earlier run has had.", negative=())
    ] = False,
    simulated: Annotated[
        bool, Parameter(help="Ask the built-in simulator, not the venue.", negative=())
    ] = False,
    config: Config = None,
) -> int:
    """Store a venue's candles where bars are missing, or its trades that are missing.

    Bars made of trades that were seen stay; those marked partial or gap are replaced. Trades never
    replace any; afterwards the stored bars are held to them. Nothing alerts. A second run goes on
    where the first one stopped.
    """
    from cli.trade_backfill import TradeWish, fetch_trades
    from connectors import VENUES
    from connectors.history import source_interval
    from connectors.settings import VenueSettings
    from connectors.trade_history import past_trades
    from flows import configuration
    from flows.backfill import backfill as run
    from flows.embedded import Embedded
    from flows.home import Home
    from flows.instruments import list_instruments
    from flows.venue_keys import key_for, read_key

    known = VENUES.get(venue)
    if known is None:
        raise ConfigError(f"{venue}: unknown venue{configuration.near(venue, sorted(VENUES))}")
    now = time.time_ns()
    start = options.moment("--from", from_, now)
    end = options.moment("--to", to, now) if to else now
    if start >= min(end, now):
        raise ConfigError(f"--from {from_} is not before {f'--to {to}' if to else 'now'}")
    try:
        Interval.parse(interval)
        if trades:
            past_trades(known)
        else:
            source_interval(known, interval)
    except (ValueError, HistoryError) as error:
        raise ConfigError(str(error) if trades else f"--interval {interval}: {error}") from None
    if again and not trades:
        raise ConfigError("--again is for --trades: candles are asked for where bars are missing")
    told = configuration.load(config, os.environ)
    feed = told.settings.feeds.get(venue, VenueSettings())
    if simulated:
        if told.database_url is not None:
            raise ConfigError(
                "--simulated: what is invented goes into the embedded database only; unset "
                "DATABASE_URL"
            )
        feed = msgspec.structs.replace(feed, simulated=True, websocket_url="", rest_url="")
    own = None if feed.simulated else read_key(known, os.environ)
    key = key_for(known, feed, {venue: own} if own is not None else {})
    home = Home.of(os.environ)
    store = Embedded.attach(told, home, command="candlewax backfill", migrate=True)
    try:
        with (
            asked_address(known, feed, home, alone=simulated) as rest_url,
            _progress(f"{venue} {symbol} {'trades' if trades else interval}") as report,
        ):
            listed = list_instruments(known, rest_url, key=key)
            instrument = listed.resolve(symbol, venue=venue)[0]
            if trades:
                wish = TradeWish(
                    venue=known,
                    instrument=instrument,
                    start=start,
                    end=end,
                    interval=interval,
                    rest_url=rest_url,
                    key=key,
                )
                ledgers = None if again else home.path / "backfill"
                fetch_trades(wish, store.database_url.reveal(), ledgers, report.trades)
                return 0
            done = run(
                known,
                instrument,
                interval,
                start,
                end,
                now=now,
                database_url=store.database_url.reveal(),
                rest_url=rest_url,
                key=key,
                report=report,
            )
    finally:
        store.stop()
    print(f"{instrument.id} {interval}: {_words(done)}")
    if done.cut is not None:
        print(f"{venue} tells its newest bars only: none before {options.iso(done.cut)} can be had")
    elif done.first is not None and done.first - start > Interval.parse(interval).length:
        print(f"the oldest that {venue} told starts at {options.iso(done.first)}")
    return 0


@contextlib.contextmanager
def asked_address(
    venue: "Venue", feed: "VenueSettings", home: "Home", *, alone: bool
) -> Iterator[str]:
    """Give the address to ask: the venue's, the running simulator's, or one's own simulator's."""
    if not feed.simulated or feed.websocket_url:
        yield feed.rest_url
        return
    running = None if alone else home.running()
    if running is not None and running.rest_url:
        yield f"{running.rest_url}/{venue.name}"
        return

    from simulator.server import simulator_in_thread
    from simulator.settings import SimulatorSettings

    # It waits for a client that never comes: all that is asked of it is its past.
    waiting = SimulatorSettings(venues=(venue.name,), wait_for_client=True)
    with simulator_in_thread(waiting) as addresses:
        yield addresses.rest_of(venue.name)


class _Shown:
    """Shows a bar on a terminal, and says what was kept when it is interrupted."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self.last: Backfilled | TradesBackfilled | None = None
        self.progress = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self.progress.add_task(what, total=None)

    def trades(self, done: "TradesBackfilled") -> None:
        """Show how much of the time has been asked for."""
        self.last = done
        self.progress.update(self._task, total=done.wanted // SECOND, completed=done.done // SECOND)

    def __call__(self, done: "Backfilled") -> None:
        self.last = done
        self.progress.update(self._task, total=done.wanted, completed=done.done)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[_Shown]:
    shown = _Shown(what)
    try:
        with shown.progress:
            yield shown
    except (KeyboardInterrupt, ConfigError, HistoryError):
        if shown.last is not None:
            said = f"{_words(shown.last)}; the same command goes on from here"
            print(f"stopped: {said}", file=sys.stderr)
        raise


def _words(done: "Backfilled | TradesBackfilled") -> str:
    from cli.trade_backfill import words
    from flows.trade_backfill import TradesBackfilled

    if isinstance(done, TradesBackfilled):
        return words(done)
    if not done.wanted:
        return "nothing was missing"
    return (
        f"{done.wanted:,} were missing; {done.new:,} stored, {done.replaced:,} replaced that may"
        " have lacked trades; where nothing traded there is none"
    )
