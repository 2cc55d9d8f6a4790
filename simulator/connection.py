"""One client of the simulated venue on a real socket: a handshake and frames, or a GET."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame as WebsocketFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from simulator.frames import Binary, Close, Cut, Frame, HttpAnswer, Ping, Text

READ = 64 * 1024
LARGEST_MESSAGE = 256 * 1024
CLOSE_WITHIN_S = 2.0


class Pong(msgspec.Struct, frozen=True):
    """A pong from the client."""

    payload: bytes


class Connection:
    """A socket with the websocket protocol over it, and no decision of its own.

    Args:
        name: the dialect's name for it.
        reader: bytes from the client.
        writer: bytes to the client.
        backlog: bytes that may wait to be sent.
    """

    def __init__(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backlog: int
    ) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._backlog = backlog
        self._protocol = ServerProtocol(max_size=LARGEST_MESSAGE)
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and no close has begun."""
        return self._protocol.state is State.OPEN

    async def request(self) -> Request | None:
        """Wait for the handshake or GET; None when the client went away or talks nonsense."""
        while not self._reader.at_eof():
            self._protocol.receive_data(await self._reader.read(READ))
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    return event
            if self._protocol.handshake_exc is not None:
                break
        self.flush()
        return None

    def accept(self, request: Request) -> bool:
        """Answer a handshake; False when it was none."""
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self.flush()
        return response.status_code == HTTPStatus.SWITCHING_PROTOCOLS

    def answer(self, answer: HttpAnswer) -> None:
        """Answer a GET and let the connection end."""
        headers = Headers(answer.headers)
        headers["Content-Length"] = str(len(answer.body))
        headers["Connection"] = "close"
        status = HTTPStatus(answer.status)
        self._protocol.send_response(Response(status.value, status.phrase, headers, answer.body))
        self.flush()

    async def messages(
        self, hold: Callable[[], Awaitable[bool]]
    ) -> list[Text | Ping | Pong] | None:
        """Wait for what the client sends next; None when the connection has ended.

        A ping has been answered when it is returned. `hold` is awaited between reading and
        looking at what was read, which is lost when it says False.
        """
        data = await self._reader.read(READ)
        if not await hold() and data:
            return []
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        told: list[Text | Ping | Pong] = []
        for event in self._protocol.events_received():
            if isinstance(event, WebsocketFrame):
                match event.opcode:
                    case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                        self._parts.append(bytes(event.data))
                        if event.fin:
                            told.append(Text(b"".join(self._parts)))
                            self._parts.clear()
                    case Opcode.PING:
                        told.append(Ping(bytes(event.data)))
                    case Opcode.PONG:
                        told.append(Pong(bytes(event.data)))
                    case _:
                        pass
        self.flush()
        return told if data and self.is_open else None

    def send(self, frame: Frame) -> None:
        """Encode a frame; it goes out with the next `flush`, except that `Cut` acts at once."""
        try:
            match frame:
                case Text(data=data):
                    self._protocol.send_text(data)
                case Binary(data=data):
                    self._protocol.send_binary(data)
                case Ping(payload=payload):
                    self._protocol.send_ping(payload)
                case Close(code=code, reason=reason):
                    self._protocol.send_close(code, reason)
                case Cut():
                    self.flush()  # what was said before has been on its way
                    self._writer.transport.abort()
        except InvalidState:
            pass  # the client closed it a moment ago; its reader will say so

    def flush(self) -> None:
        """Give to the socket what was encoded; a client that reads too slowly is cut off."""
        writes = self._protocol.data_to_send()
        if not writes or self._writer.transport.is_closing():
            return
        self._writer.write(b"".join(writes))
        if not writes[-1] and self._writer.can_write_eof():
            self._writer.write_eof()
        elif (
            # One large message is no sign of a slow reader.
            self._writer.transport.get_write_buffer_size() > self._backlog + max(map(len, writes))
        ):
            self._writer.transport.abort()

    async def end(self) -> None:
        """Wait a little for what is on its way, then let go of the socket."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._writer.drain()
                while self._protocol.close_expected() and await self._reader.read(READ):
                    pass
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()
