"""Faults on real sockets: the reader's threads and the simulator's server, a fault family each.

What exactly a fault leads to is proved in virtual time; here it is that sockets, threads and
timeouts do the same.
"""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from connectors import VENUES
from connectors.contract import FeedDescription
from connectors.drain import Drain
from connectors.feed import Feed, Steering
from connectors.frame_queue import FrameQueue
from connectors.reader import Reader
from flows.instruments import list_instruments
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import FeedGap, State
from simulator.server import SimulatorServer
from simulator.settings import Addresses, SimulatorSettings
from simulator.true_book import BookCopy

NEVER_S = 3600
"""Faults begin when they are told to."""
BEGIN_S = 0.8
"""And then a little later: a feed knows by then how busy it is."""
AGAIN = 1_000_000_000
"""What is done twice is done again after so many ns."""
WITHIN_S = 20.0
"""Far more than anything here takes; who waits that long has failed."""
TICK_S = 0.004


class Served:
    """A simulator in a thread of its own, whose true books can be looked at."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.server = SimulatorServer(settings)
        self.addresses = Addresses(websocket="", rest="")
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WITHIN_S)

    def true_book(self, symbol: str) -> BookCopy:
        """Return the true book as it is between two turns of the market."""

        async def copy() -> BookCopy:
            return self.server.model.book(symbol)

        return asyncio.run_coroutine_threadsafe(copy(), self._loop).result(WITHIN_S)

    def begin(self) -> None:
        """Begin the faults: all books are live, and a machine may be slow to get there."""

        async def plan() -> None:
            at = time.time_ns() + int(BEGIN_S * 1e9)
            for faults in self.server.faults.values():
                faults._planned = [
                    (at + index * AGAIN if fault.kind == "cross" else at, index, fault)
                    for _, index, fault in faults._planned
                ]

        asyncio.run_coroutine_threadsafe(plan(), self._loop).result(WITHIN_S)

    def _run(self) -> None:
        async def serve() -> None:
            async with self.server.running() as addresses:
                self.addresses = addresses
                self._ready.set()
                await self._stop.wait()

        self._loop.run_until_complete(serve())
        self._loop.close()


class Follower:
    """The venue's feeds on sockets, and the markets behind them."""

    def __init__(self, venue: str, symbols: tuple[str, ...], served: Served, key: str) -> None:
        row = VENUES[venue]
        rest = served.addresses.rest_of(venue)
        known = list_instruments(row, rest, key=key)
        self.venue = venue
        self.gaps: list[FeedGap] = []
        self.dead_letters: list[str] = []
        self.opened = 0
        self.states: set[State] = set()
        self._markets = {symbol: SymbolMarket(MarketSettings()) for symbol in symbols}
        self._drain = Drain()
        self._frames = FrameQueue()
        self.readers = [
            Reader(
                Feed(
                    f"{venue}-0-{number}",
                    row,
                    FeedDescription(
                        venue=venue,
                        instruments=tuple(known.resolve(symbol)[0] for symbol in symbols),
                        websocket_url=served.addresses.websocket_of(venue),
                        rest_url=rest,
                        channels=channels if len(row.channel_groups) > 1 else (),
                    ),
                ),
                self._frames,
                key=key,
            )
            for number, channels in enumerate(row.channel_groups)
        ]

    def __enter__(self) -> Self:
        for reader in self.readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self.readers:
            reader.stop()
        for reader in self.readers:
            reader.join()

    @property
    def reasons(self) -> list[str]:
        """Why there were gaps."""
        return [gap.reason for gap in self.gaps if gap.reason != "connecting"]

    def is_live(self, symbol: str) -> bool:
        market = self._markets[symbol]._markets.get(f"{self.venue}:{symbol}")
        return market is not None and market.state is State.LIVE

    def has(self, symbol: str, true: BookCopy) -> bool:
        """Whether our book is the best part of this one."""
        bids, asks = self._markets[symbol]._markets[f"{self.venue}:{symbol}"].book.levels()
        return min(len(bids), len(asks)) >= 10 and (bids, asks) == (
            dict(true.bids[: len(bids)]),
            dict(true.asks[: len(asks)]),
        )

    def until(self, is_done: Callable[[], bool]) -> None:
        """Take what comes until something is so."""
        deadline = time.monotonic() + WITHIN_S
        while not is_done():
            told = (self.venue, self.reasons, self.dead_letters, self.states)
            assert time.monotonic() < deadline, told
            self.take()
            time.sleep(TICK_S)

    def take(self) -> None:
        """Take what has come."""
        for reader in self.readers:
            reader.check()
        for record, events in self._frames.take(5000):
            self.opened += record.kind == "open"
            self.gaps += [event for event in events if isinstance(event, FeedGap)]
            self._drain.add(record, events)
        self.dead_letters += [letter.reason for letter in self._drain.dead_letters]
        self._drain.dead_letters.clear()
        for symbol, batch in self._drain.take():
            told = self._markets[symbol].advance(batch)
            self.states |= {change.state for change in told.states}
            for wanted, reason in told.resyncs:
                self.readers[-1].steer(Steering(resync=wanted, reason=reason))


# Family: the faults, and what the reason of the gap says that they lead to; "" where there is none.
FAMILIES = {
    "lost": ("{kind: drop, channel: depth, symbol: %s}", "sequence"),
    "disordered": ("{kind: reorder, channel: depth, symbol: %s}", "sequence"),
    "jump": ("{kind: jump, symbol: %s}", "sequence"),
    "repeated": ("{kind: flood, channel: depth, symbol: %s}", ""),
    "spoilt": ("{kind: corrupt, channel: depth, symbol: %s}", "Expected|not a message"),
    "halved": ("{kind: truncate, channel: depth, symbol: %s}", "truncated"),
    # Twice: a false message that a newer one of another channel overtakes is passed over.
    "untrue": ("{kind: cross, symbol: %s}, {kind: cross, symbol: %s}", "crossed"),
    "unheard of": ("{kind: unknown}", ""),
    "too large": ("{kind: oversize}", "limit"),
    "cut": ("{kind: cut}", "lost"),
    "closed": ("{kind: cut, code: 1012}", "1012"),
    "dead": ("{kind: half_open}", "silent"),
    "aged": ("{kind: age}", "1001"),
    "announced": ("{kind: shutdown, grace: 1s}", ""),
    "stale": (
        "{kind: stale_snapshot, for: 1s}, {kind: drop, channel: depth, symbol: %s}",
        "sequence",
    ),
}


def settings(folder: Path, faults: str, **options: object) -> SimulatorSettings:
    path = folder / "faults.yaml"
    at = f"{{at: {NEVER_S}s, "
    path.write_text(f"faults: [{faults.replace('{', at)}]")
    return SimulatorSettings(faults=str(path), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fault_on_a_socket_is_seen_and_overcome(family: str, tmp_path: Path) -> None:
    faults, reason = FAMILIES[family]
    hit, other = "BTC-USDT", "ETH-USDT"
    chosen = settings(
        tmp_path,
        faults.replace("%s", hit),
        venues=("binance",),
        symbols=(hit, other),
        rate=1.0 if family == "dead" else 0.5,
    )
    with Served(chosen) as served, Follower("binance", (hit, other), served, "") as follower:
        follower.until(lambda: follower.is_live(hit) and follower.is_live(other))
        served.begin()
        at_work = served.server.faults["binance"]
        follower.until(lambda: bool(at_work.windows()))
        if reason:
            follower.until(lambda: any(re.search(reason, said) for said in follower.reasons))
        if family == "unheard of":
            follower.until(lambda: follower.dead_letters == ["unknown event novelty"])
        follower.until(lambda: time.time_ns() > at_work.ended)
        for symbol in (hit, other):
            follower.until(
                lambda symbol=symbol: (
                    follower.is_live(symbol)  # type: ignore[misc]
                    and follower.has(symbol, served.true_book(symbol))
                )
            )
        assert bool(reason) is bool(follower.reasons)
        assert bool(follower.dead_letters) is (family == "unheard of")
        follower.until(lambda: served.server.clients == len(follower.readers))


OTHERS = sorted(set(VENUES) - {"binance"})
SYMBOL = {"massive": "BTC-USD"}
ENDS_CONNECTIONS = {"spoilt", "halved", "too large", "cut", "closed", "aged"}
BREAKS_SEQUENCE = {"lost", "disordered", "jump"}
NUMBERED = {"bybit", "htx"}
"""Who numbers the updates of a book, so that one that is missing is noticed."""
NOT_EVERYWHERE = {"dead", "stale"}
"""How long a venue may be silent is its own rule, and only Binance gives its books by GET."""
QUICK = {"lost", "spoilt", "cut", "announced"}
"""One of each kind of consequence; `test_every_venue.py` has each at two venues, and at all of them
in the slow tests, without a socket."""
EVERYWHERE = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in FAMILIES
    if name not in NOT_EVERYWHERE
]


@pytest.mark.parametrize("family", EVERYWHERE)
def test_every_other_venue_overcomes_it_on_sockets_too(family: str, tmp_path: Path) -> None:
    faults, _ = FAMILIES[family]
    symbols = {venue: SYMBOL.get(venue, "BTC-USDT") for venue in OTHERS}
    script = ", ".join(
        faults.replace("%s", symbol).replace("{", f"{{venue: {venue}, ")
        for venue, symbol in symbols.items()
    )
    chosen = settings(
        tmp_path, script, venues=tuple(OTHERS), symbols=tuple(sorted({*symbols.values()})), rate=0.5
    )
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(Served(chosen))
        followers = [
            stack.enter_context(Follower(venue, (symbol,), served, chosen.key))
            for venue, symbol in symbols.items()
        ]
        followers[0].until(partial(all_live, followers, symbols))
        served.begin()
        for follower in followers:
            overcomes(follower, symbols[follower.venue], family, served, followers)
        served_to = sum(len(follower.readers) for follower in followers)
        followers[0].until(lambda: served.server.clients == served_to)


def all_live(followers: list[Follower], symbols: dict[str, str]) -> bool:
    """Let everybody take what has come; return whether all books are live."""
    for follower in followers:
        follower.take()
    return all(each.is_live(symbols[each.venue]) for each in followers)


def overcomes(
    follower: Follower, symbol: str, family: str, served: Served, all_of: list[Follower]
) -> None:
    """One venue was hit, noticed it as it should, and has its book again."""

    def until(is_done: Callable[[], bool]) -> None:
        def looked() -> bool:
            for other in all_of:
                if other is not follower:
                    other.take()
            return is_done()

        follower.until(looked)

    at_work = served.server.faults[follower.venue]
    until(lambda: bool(at_work.windows()) and time.time_ns() > at_work.ended)
    if family in ENDS_CONNECTIONS:
        until(lambda: follower.opened > len(follower.readers))
        assert follower.reasons
    if family in BREAKS_SEQUENCE and follower.venue in NUMBERED:
        until(lambda: any("sequence" in said for said in follower.reasons))
    if family == "untrue":
        until(lambda: State.SUSPECT in follower.states)
    if family == "unheard of":
        until(lambda: bool(follower.dead_letters))
        assert not follower.reasons
    until(
        lambda: (
            follower.is_live(symbol)
            and (follower.venue == "massive" or follower.has(symbol, served.true_book(symbol)))
        )
    )
    assert bool(follower.dead_letters) is (family == "unheard of")
