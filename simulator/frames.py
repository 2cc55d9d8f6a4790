"""What goes from a venue to a client, before there is a socket."""

from typing import TypeAlias

import msgspec


class Text(msgspec.Struct, frozen=True, gc=False):
    """A websocket text message.

    Attributes:
        data: UTF-8.
        channel: `"depth"`, `"trade"`, or empty for an answer or a notice.
        symbol: `"BTC-USDT"`, or empty.
    """

    data: bytes
    channel: str = ""
    symbol: str = ""


class Binary(msgspec.Struct, frozen=True, gc=False):
    """A websocket binary message; the attributes are those of `Text`."""

    data: bytes
    channel: str = ""
    symbol: str = ""


class Ping(msgspec.Struct, frozen=True, gc=False):
    """A websocket ping; the client's library answers it with a pong."""

    payload: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """The venue ends the connection with a close frame."""

    code: int
    reason: str


class Cut(msgspec.Struct, frozen=True, gc=False):
    """The connection ends without a close frame."""


Frame: TypeAlias = Text | Binary | Ping | Close | Cut


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer to a GET."""

    status: int
    body: bytes
    headers: dict[str, str] = {}
