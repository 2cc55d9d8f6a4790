"""Where the fake Bot API listens."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from simulator.frames import HttpAnswer
from simulator.http_server import HttpRequest, serve_http
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.control import control

START_WITHIN_S = 10.0
_CONTROL = "/control/"


@contextlib.asynccontextmanager
async def serve_telegram(fake: FakeTelegram, host: str, port: int) -> AsyncIterator[str]:
    """Serve a fake Bot API while the context is open; gives its base address.

    A client's base URL is that address and `/bot`.

    Raises:
        OSError: the port is taken.
    """

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        path = urlsplit(request.target).path
        if path.startswith(_CONTROL):
            return control(fake, path.removeprefix(_CONTROL), request)
        return await fake.answer(request)

    server = await serve_http(answer, host, port)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.contextmanager
def telegram_in_thread(fake: FakeTelegram, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a fake Bot API in a thread of its own while the context is open; gives its address.

    Raises:
        TimeoutError: it did not come up.
    """
    loop = asyncio.new_event_loop()
    addresses: list[str] = []
    is_ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serve_telegram(fake, host, port) as address:
            addresses.append(address)
            is_ready.set()
            await stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=run, name="fake-telegram", daemon=True)
    thread.start()
    try:
        if not is_ready.wait(START_WITHIN_S):
            raise TimeoutError(f"the fake Telegram did not start within {START_WITHIN_S:.0f} s")
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_WITHIN_S)
