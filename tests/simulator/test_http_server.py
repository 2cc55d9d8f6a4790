import asyncio

from simulator.frames import HttpAnswer
from simulator.http_server import HttpRequest, serve_http


async def echo(request: HttpRequest) -> HttpAnswer | None:
    if request.target == "/drop":
        return None
    return HttpAnswer(200, request.method.encode() + b" " + request.body, {"X-A": "b"})


def exchange(*pieces: bytes) -> bytes:
    """Send pieces one by one and return all that comes back."""

    async def scene() -> bytes:
        server = await serve_http(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    return asyncio.run(scene())


def test_a_body_may_come_in_pieces() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
    answer = exchange(head[:10], head[10:] + b"abc", b"def")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nPOST abcdef")


def test_a_connection_is_used_again() -> None:
    request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    assert exchange(request, request).count(b"HTTP/1.1 200 OK") == 2


def test_a_drop_and_nonsense_get_no_answer() -> None:
    assert exchange(b"nonsense\r\n\r\n") == b""
    assert exchange(b"GET /a HTTP/1.1\r\nHost: a\r\n") == b""
