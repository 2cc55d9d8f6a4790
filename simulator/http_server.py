"""A small HTTP/1.1 server for what websockets cannot do: POST with a body."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11
import msgspec

from simulator.frames import HttpAnswer

READ = 64 * 1024
LARGEST_BODY = 32 * 1024 * 1024


class HttpRequest(msgspec.Struct, frozen=True):
    """A request that came in whole.

    `target` is path and query; `content_type` the header of that name, or empty.
    """

    method: str
    target: str
    content_type: str
    body: bytes


HttpHandler = Callable[[HttpRequest], Awaitable[HttpAnswer | None]]
"""Answers a request; None drops the connection without an answer."""


async def serve_http(handler: HttpHandler, host: str, port: int) -> asyncio.Server:
    """Listen, and answer every request by `handler`; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _talk(handler, reader, writer)
        except (h11.RemoteProtocolError, OSError):
            pass  # the client talks nonsense or went away: nothing to tell it
        finally:
            writer.close()

    return await asyncio.start_server(talk, host, port)


async def _talk(
    handler: HttpHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        request = await _request(connection, reader)
        if request is None:
            return
        answer = await handler(request)
        if answer is None:
            writer.transport.abort()
            return
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        response = h11.Response(
            status_code=answer.status,
            reason=HTTPStatus(answer.status).phrase.encode(),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        for event in (response, h11.Data(data=answer.body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> HttpRequest | None:
    """Return the next request, None when the client has no more."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                return None
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            types = [value for name, value in head.headers if name == b"content-type"]
            return HttpRequest(
                method=head.method.decode(),
                target=head.target.decode(),
                content_type=types[0].decode("latin-1") if types else "",
                body=bytes(body),
            )
        else:
            return None
