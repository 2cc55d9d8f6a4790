import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from market.errors import ConfigError
from simulator.dialects import DIALECTS
from simulator.server import SimulatorServer, run_server, simulator_in_thread
from simulator.settings import Addresses, SimulatorSettings
from tests.simulator.reference_client import ReferenceBook

SYMBOLS = ("BTC-USDT", "ETH-BTC")
STREAMS = "/binance/stream?streams=btcusdt@trade/btcusdt@depth@100ms/ethbtc@depth@100ms"


@contextlib.asynccontextmanager
async def running(
    **options: object,
) -> AsyncIterator[tuple[SimulatorServer, Addresses]]:
    settings = SimulatorSettings(symbols=SYMBOLS, **options)  # type: ignore[arg-type]
    server = SimulatorServer(settings)
    async with server.running() as addresses:
        yield server, addresses
        server.check()


@contextlib.asynccontextmanager
async def connected(addresses: Addresses, path: str = STREAMS) -> AsyncIterator[ClientConnection]:
    async with connect(addresses.websocket + path, compression=None, max_queue=None) as websocket:
        yield websocket


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(limited())


async def close_code(websocket: ClientConnection) -> int | None:
    """Read until the end and return the close frame's code, None without such a frame."""
    try:
        while True:
            await websocket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


def test_a_client_on_a_socket_rebuilds_the_true_book() -> None:
    async def scene() -> None:
        async with running(rate=5.0) as (server, addresses), connected(addresses) as websocket:
            book = ReferenceBook()
            trades: list[int] = []
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                event = json.loads(await websocket.recv())["data"]
                if event["e"] == "trade":
                    trades.append(event["t"])
                elif event["s"] == "BTCUSDT":
                    if book.is_live:
                        assert book.update(event)
                        assert not book.is_crossed
                        continue
                    book.waiting.append(event)
                    url = f"{addresses.rest_of('binance')}/api/v3/depth?symbol=BTCUSDT&limit=5000"
                    answer = await get(url)
                    assert book.snapshot(answer.json())
            assert book.is_live
            assert trades == list(range(trades[0], trades[0] + len(trades)))
            # Take the last messages until we have exactly what the market has.
            true = server.model.book("BTC-USDT")
            while book.update_id < true.update_id:
                event = json.loads(await websocket.recv())["data"]
                if event["e"] == "depthUpdate" and event["s"] == "BTCUSDT":
                    true = server.model.book("BTC-USDT")
                    assert book.update(event)
            if book.update_id == true.update_id:
                assert book.bids == dict(true.bids)
                assert book.asks == dict(true.asks)

    run(scene)


def test_rest_and_streams_share_a_port_and_strangers_are_told_so() -> None:
    async def scene() -> None:
        async with running() as (_, addresses):
            assert addresses.rest.partition("//")[2] == addresses.websocket.partition("//")[2]
            info = await get(f"{addresses.rest_of('binance')}/api/v3/exchangeInfo")
            names = [symbol["symbol"] for symbol in info.json()["symbols"]]
            assert names == ["BTCUSDT", "ETHBTC"]
            assert (await get(f"{addresses.rest_of('binance')}/nothing")).status_code == 404
            bad = await get(f"{addresses.rest_of('binance')}/api/v3/depth?symbol=NOPE")
            assert bad.json() == {"code": -1121, "msg": "Invalid symbol."}
            with pytest.raises(InvalidStatus):
                await connect(f"{addresses.websocket}/binance/elsewhere")
            answer = await get(f"{addresses.rest}/atlantis/api")
            assert answer.status_code == 404
            assert "/binance/" in answer.text

    run(scene)


def test_the_chosen_venues_share_a_port_and_the_true_books() -> None:
    async def scene() -> None:
        async with running(venues=("binance",)) as (server, addresses):
            assert set(server.faults) == {"binance"}
            depth = await get(f"{addresses.rest_of('binance')}/api/v3/depth?symbol=BTCUSDT")
            assert depth.json()["lastUpdateId"] <= server.model.true_book("BTC-USDT").update_id
        async with running() as (server, _):
            assert set(server.faults) == set(DIALECTS)

    run(scene)


def test_subscribing_and_unsubscribing_work_while_connected() -> None:
    async def scene() -> None:
        async with (
            running() as (_, addresses),
            connected(addresses, "/binance/stream") as websocket,
        ):
            request = {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
            await websocket.send(json.dumps(request))
            assert json.loads(await websocket.recv()) == {"result": None, "id": 1}
            assert json.loads(await websocket.recv())["stream"] == "btcusdt@trade"
            await websocket.send(json.dumps({**request, "method": "UNSUBSCRIBE", "id": 2}))
            while json.loads(await websocket.recv()) != {"result": None, "id": 2}:
                pass
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await websocket.recv()

    run(scene)


def test_too_many_messages_end_the_connection_with_a_reason() -> None:
    async def scene() -> None:
        async with (
            running() as (_, addresses),
            connected(addresses, "/binance/stream") as websocket,
        ):
            for _ in range(6):
                await websocket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert await close_code(websocket) == 1008

    run(scene)


def faults(folder: Path, fault: str) -> str:
    path = folder / "faults.yaml"
    path.write_text(f"faults: [{fault}]")
    return str(path)


@pytest.mark.parametrize(("code", "expected"), [("", None), (", code: 1012", 1012)])
def test_a_cut_is_seen_with_and_without_a_close_frame(
    tmp_path: Path, code: str, expected: int | None
) -> None:
    async def scene() -> None:
        script = faults(tmp_path, f"{{at: 500ms, kind: cut{code}}}")
        async with running(faults=script) as (_, addresses), connected(addresses) as websocket:
            assert await close_code(websocket) == expected

    run(scene)


def test_one_script_may_hold_moves_and_faults_of_single_venues(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(
        "moves: [{symbol: BTC-USDT, at: 0s, kind: dip, depth: 1%, fall: 1s}]\n"
        "faults: [{at: 700ms, kind: cut, venue: binance}]\n"
    )

    async def scene() -> None:
        async with running(script=str(path), faults="cut", venues=("binance", "htx")) as (
            server,
            addresses,
        ):
            async with connected(addresses) as websocket:
                assert await close_code(websocket) is None
            assert [window.kind for window in server.faults["binance"].windows()] == ["cut"]
            assert server.faults["htx"].windows() == []

    run(scene)


def test_a_frozen_socket_is_silent_to_data_and_to_pings_and_then_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        script = faults(tmp_path, "{at: 300ms, kind: freeze, for: 1500ms}")
        async with running(faults=script) as (_, addresses), connected(addresses) as websocket:
            pauses: list[float] = []
            ids: list[int] = []
            last = time.monotonic()
            while not pauses or max(pauses) < 1.0:
                event = json.loads(await websocket.recv())["data"]
                pauses.append(time.monotonic() - last)
                last = time.monotonic()
                if event["e"] == "trade":
                    ids.append(event["t"])
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            await (await websocket.ping())

    run(scene)


def test_a_client_that_does_not_read_is_cut_and_costs_no_memory() -> None:
    async def scene() -> None:
        async with running(rate=1500.0, backlog_bytes=50_000) as (server, addresses):
            port = int(addresses.rest.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as stream:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stream.sendall(
                    f"GET {STREAMS} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n".encode()
                )
                await until(lambda: server.clients == 1)
                await until(lambda: server.clients == 0)

    run(scene)


async def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_client_that_talks_nonsense_is_let_go() -> None:
    async def scene() -> None:
        async with running() as (server, addresses):
            port = int(addresses.rest.rpartition(":")[2])
            for nonsense in (b"\x00\x01\x02\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b""):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(nonsense)
                writer.write_eof()
                await reader.read()
                writer.close()
            assert server.clients == 0
            assert (await get(f"{addresses.rest_of('binance')}/api/v3/ping")).status_code == 200

    run(scene)


def test_the_market_may_wait_for_its_first_client(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(wait_for_client=True) as (server, addresses):
            opened = server.model.now
            await asyncio.sleep(0.2)
            assert (
                await get(f"{addresses.rest_of('binance')}/api/v3/exchangeInfo")
            ).status_code == 200
            assert server.model.now == opened
            async with connected(addresses) as websocket:
                event = json.loads(await websocket.recv())["data"]
                assert event["E"] * 1_000_000 >= opened + 200_000_000

    run(scene)


def test_a_market_that_cannot_keep_up_leaves_time_out_and_no_id() -> None:
    async def scene() -> None:
        async with running() as (server, addresses), connected(addresses) as websocket:
            await websocket.recv()
            time.sleep(0.6)  # noqa: ASYNC251 - the loop stands still, as on a machine that is too slow
            ids: list[int] = []
            while len(ids) < 10:
                event = json.loads(await websocket.recv())["data"]
                if event["e"] == "trade":
                    ids.append(event["t"])
            assert ids == list(range(ids[0], ids[0] + 10))
            assert server.skipped > 0

    run(scene)


def test_a_server_in_a_thread_is_there_and_then_gone() -> None:
    with simulator_in_thread(SimulatorSettings(symbols=SYMBOLS, telegram=True)) as addresses:
        assert httpx.get(f"{addresses.rest_of('binance')}/api/v3/ping").json() == {}
        assert httpx.get(f"{addresses.telegram}/control/messages").json() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{addresses.rest_of('binance')}/api/v3/ping")


def test_wrong_settings_are_told_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="no such script"):
        SimulatorServer(SimulatorSettings(script="nowhere.yaml"))
    with pytest.raises(ConfigError, match="'atlantis' cannot be simulated"):
        SimulatorServer(SimulatorSettings(venues=("atlantis",)))
    with (
        pytest.raises(ConfigError, match="unknown symbol"),
        simulator_in_thread(SimulatorSettings(symbols=("NOPE",))),
    ):
        pass


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_an_error(taken_port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        run_server(SimulatorSettings(port=taken_port), ready=lambda _: None, stop=threading.Event())
