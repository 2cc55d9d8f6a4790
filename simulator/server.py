"""Simulated venues on real sockets: all of them on one port, on the real clock.

The first segment of a path names the venue: `/binance/stream`, `/binance/api/v3/depth`. A dialect
sees the rest. All venues tell of one market.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from urllib.parse import urlsplit

from websockets.http11 import Request

from market.errors import ConfigError
from simulator.connection import Connection, Pong
from simulator.dialects import DIALECTS
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.faults import Faults, load_faults
from simulator.frames import Close, HttpAnswer, Ping, Text
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script import Script, load_script
from simulator.settings import Addresses, SimulatorSettings
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.server import serve_telegram
from simulator.true_book import Change

log = logging.getLogger("simulator.server")

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
MOST_BEHIND = 250 * MILLISECOND
"""How far the market may lag behind the clock before it leaves time out."""
FROZEN_POLL_S = 0.02
START_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05


class _Venue:
    """One venue of the market, and what goes wrong with it."""

    __slots__ = ("connections", "dialect", "faults")

    def __init__(self, dialect: Dialect, faults: Faults) -> None:
        self.dialect = dialect
        self.faults = faults
        self.connections: dict[str, Connection] = {}

    def turn(self, changes: list[Change], now: int) -> None:
        """Tell what happened up to `now`, and send what comes of it."""
        dialect, faults, connections = self.dialect, self.faults, self.connections
        dialect.advance(changes, now)
        touched: dict[str, Connection] = {}
        for name, frame in faults.due(now, tuple(connections), dialect):
            if (connection := connections.get(name)) is not None:
                connection.send(frame)
                touched[name] = connection
        for name, frame in dialect.outgoing():
            connection = connections.get(name)
            if connection is None:
                continue
            for sent in faults.frames(name, frame, now):
                connection.send(sent)
            touched[name] = connection
        for connection in touched.values():
            connection.flush()


class SimulatorServer:
    """Venues and their market, for any number of clients.

    Args:
        settings: everything that can be chosen.

    Raises:
        ConfigError: a script is wrong, or a symbol or a venue is unknown.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._script = load_script(settings.script) if settings.script else Script()
        self._planned = [
            fault
            for name in dict.fromkeys((settings.script, settings.faults))
            if name
            for fault in load_faults(name)
        ]
        self._listings = choose(settings.symbols)
        self._names = choose_venues(settings.venues)
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_client = asyncio.Event()
        self._skipped = 0
        self._market: asyncio.Task[None] | None = None
        self._first_start = time.time_ns()
        self._open_market(self._first_start)

    def _open_market(self, start: int) -> None:
        settings = self._settings
        self._model = MarketModel(
            self._listings,
            seed=settings.seed,
            start=start,
            script=self._script,
            rate=settings.rate,
            past_until=self._first_start,
        )
        options = DialectOptions(
            max_age=int(settings.max_age_s * SECOND),
            depth_interval=settings.depth_interval_ms * MILLISECOND,
            weight_per_minute=settings.weight_per_minute,
            key=settings.key,
        )
        self._venues = {
            name: _Venue(
                DIALECTS[name](self._model, options),
                Faults(self._planned, start=start, venue=name),
            )
            for name in self._names
        }

    @property
    def model(self) -> MarketModel:
        """The market, with its true books."""
        return self._model

    @property
    def faults(self) -> Mapping[str, Faults]:
        """The faults at work, by venue."""
        return {name: venue.faults for name, venue in self._venues.items()}

    @property
    def clients(self) -> int:
        """How many websocket clients are connected."""
        return sum(len(venue.connections) for venue in self._venues.values())

    @property
    def skipped(self) -> int:
        """Nanoseconds of market time left out, because the machine could not keep up."""
        return self._skipped

    def check(self) -> None:
        """Raise what has ended the market, if anything has."""
        if self._market is not None and self._market.done():
            self._market.result()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Addresses]:
        """Listen and let the market run while the context is open; gives the addresses.

        Raises:
            OSError: a port is taken.
        """
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            telegram = ""
            if settings.telegram:
                fake = FakeTelegram(settings.token)
                telegram = await stack.enter_async_context(
                    serve_telegram(fake, settings.host, settings.telegram_port)
                )
            listener = await asyncio.start_server(self._serve, settings.host, settings.port)
            self._market = market = asyncio.create_task(self._run_market())
            port = listener.sockets[0].getsockname()[1]
            try:
                yield Addresses(
                    websocket=f"ws://{settings.host}:{port}",
                    rest=f"http://{settings.host}:{port}",
                    telegram=telegram,
                )
            finally:
                listener.close()
                for venue in self._venues.values():
                    for connection in venue.connections.values():
                        connection.send(Close(1001, "simulator ends"))
                        connection.flush()
                market.cancel()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(market, *self._tasks, return_exceptions=True)

    async def _run_market(self) -> None:
        """Let the market follow the clock."""
        if self._settings.wait_for_client:
            await self._first_client.wait()
        tick = self._settings.tick_ms / 1000
        due = time.monotonic()
        while True:
            now = time.time_ns()
            behind = now - self._model.now
            if behind > MOST_BEHIND:
                self._model.skip(now - MOST_BEHIND // 2)
                self._skipped += behind - MOST_BEHIND // 2
            self._turn(now)
            due = max(due + tick, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def _turn(self, now: int) -> None:
        """Advance everything to `now` and send what comes of it."""
        changes = self._model.advance(now)
        for venue in self._venues.values():
            venue.turn(changes, now)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        name = f"client-{next(self._numbers)}"
        connection = Connection(name, reader, writer, self._settings.backlog_bytes)
        try:
            await self._talk(connection)
        except OSError as error:
            log.info("client went away", extra={"client": name, "reason": str(error)})
        finally:
            if task is not None:
                self._tasks.discard(task)
            await connection.end()

    async def _talk(self, connection: Connection) -> None:
        request = await connection.request()
        if request is None:
            return
        now = time.time_ns()
        name, target = _split(request.path)
        is_handshake = request.headers.get("Upgrade", "").lower() == "websocket"
        if name not in self._venues:
            known = ", ".join(f"/{known}/" for known in self._venues)
            connection.answer(HttpAnswer(404, f"no such venue; there are {known}".encode()))
        elif is_handshake:
            await self._shake_hands(connection, request, name, target, now)
        else:
            venue = self._venues[name]
            if self._settings.wait_for_client and not self._first_client.is_set():
                self._model.postpone(now)
            answer = venue.faults.answer(target, venue.dialect.requested(target, now), now)
            if (delay := venue.faults.delay(now)) > 0:
                await asyncio.sleep(delay / SECOND)
            connection.answer(answer)

    async def _shake_hands(
        self, connection: Connection, request: Request, name: str, target: str, now: int
    ) -> None:
        venue = self._venues[name]
        refusal = venue.faults.refusal(now) or venue.dialect.refusal(target)
        if refusal is not None:
            connection.answer(refusal)
            return
        if not connection.accept(request):
            return
        if self._settings.wait_for_client and not self._first_client.is_set():
            # Nobody has read anything but lists and candles: the market may begin anew, and its
            # past is the same.
            self._open_market(now)
            self._first_client.set()
            venue = self._venues[name]
        venue.connections[connection.name] = connection
        venue.dialect.opened(connection.name, target, now)
        try:
            await _listen(venue, connection)
        finally:
            del venue.connections[connection.name]
            venue.dialect.closed(connection.name)
            venue.faults.closed(connection.name)


async def _listen(venue: _Venue, connection: Connection) -> None:
    name, dialect, faults = connection.name, venue.dialect, venue.faults

    async def hold() -> bool:
        while faults.is_frozen(name):  # noqa: ASYNC110 - the faults know no event loop
            await asyncio.sleep(FROZEN_POLL_S)
        return not faults.is_mute(name)

    while (told := await connection.messages(hold)) is not None:
        now = time.time_ns()
        for message in told:
            match message:
                case Pong(payload=payload):
                    dialect.ponged(name, payload, now)
                case Ping():
                    dialect.pinged(name, now)
                case Text(data=data):
                    dialect.received(name, data, now)


def choose_venues(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return these venues, each once; every one that can be simulated for no names.

    Raises:
        ConfigError: one cannot be simulated.
    """
    for name in names:
        if name not in DIALECTS:
            raise ConfigError(
                f"venue {name!r} cannot be simulated; those that can are {', '.join(DIALECTS)}"
            )
    return tuple(dict.fromkeys(names)) or tuple(DIALECTS)


def _split(path: str) -> tuple[str, str]:
    """Take the venue's name off a path: `/binance/stream?a` is `binance` and `/stream?a`."""
    parts = urlsplit(path)
    name, _, rest = parts.path.removeprefix("/").partition("/")
    return name, f"/{rest}?{parts.query}" if parts.query else f"/{rest}"


def run_server(
    settings: SimulatorSettings,
    *,
    ready: Callable[[Addresses], None],
    stop: threading.Event | None = None,
) -> None:
    """Run a simulator until SIGTERM or SIGINT, or until `stop` is set.

    Signals are only listened to on the main thread.

    Args:
        settings: everything that can be chosen.
        ready: called once, when clients may connect.
        stop: set by another thread to end it.

    Raises:
        ConfigError: a script is wrong, or a symbol or a venue is unknown.
        OSError: a port is taken.
    """
    asyncio.run(_run(settings, ready, stop))


async def _run(
    settings: SimulatorSettings, ready: Callable[[Addresses], None], stop: threading.Event | None
) -> None:
    server = SimulatorServer(settings)
    ended = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
    async with server.running() as addresses:
        ready(addresses)
        while not ended.is_set() and not (stop is not None and stop.is_set()):
            server.check()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_EVERY_S)
    if server.skipped:
        log.warning(
            "the machine could not keep up with the rate",
            extra={"skipped_s": server.skipped / SECOND, "rate": settings.rate},
        )


@contextlib.contextmanager
def simulator_in_thread(settings: SimulatorSettings) -> Iterator[Addresses]:
    """Run a simulator in a thread of its own while the context is open.

    Raises:
        ConfigError: a script is wrong, or a symbol or a venue is unknown.
        TimeoutError: it did not come up.
    """
    SimulatorServer(settings)  # raises here what it would raise in the thread
    stop = threading.Event()
    is_ready = threading.Event()
    found: list[Addresses] = []

    def ready(addresses: Addresses) -> None:
        found.append(addresses)
        is_ready.set()

    thread = threading.Thread(
        target=run_server, args=(settings,), kwargs={"ready": ready, "stop": stop},
        name="simulator", daemon=True,
    )  # fmt: skip
    thread.start()
    try:
        if not is_ready.wait(START_WITHIN_S):
            raise TimeoutError(f"the simulator did not start within {START_WITHIN_S:.0f} s")
        yield found[0]
    finally:
        stop.set()
        thread.join(START_WITHIN_S)
