"""What a venue's dialect must offer, and what wire, server and faults may rely on.

Most faults act on frames and need nothing of a dialect. What only a venue can do wrong is one of
the small contracts at the end: a dialect that has its method is asked, for one that has not
`simulator.faults` does the nearest thing that it can do alone, or nothing.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from simulator.frames import Binary, Frame, HttpAnswer, Text
from simulator.true_book import Change


class DialectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What can be chosen for any venue; a dialect takes what it knows.

    Attributes:
        max_age: ns after which a connection is cut.
        depth_interval: ns between two messages of a fast book stream.
        weight_per_minute: REST weight that a client may use.
        key: the key that a venue with keys accepts.
        connections: connections that one client may hold; 0 for what the venue allows.
    """

    max_age: int = 24 * 3600 * 1_000_000_000
    depth_interval: int = 100 * 1_000_000
    weight_per_minute: int = 6000
    key: str = "simulated-key"
    connections: int = 0


class Dialect(Protocol):
    """One venue, as its clients see it, for any number of connections.

    It has no socket, thread or clock: it is told what happened and asked what to send. `conn` is
    any name that is unique among open connections; `now` is the venue's clock in ns UTC.
    """

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no streams; None to let it in."""
        ...

    def opened(self, conn: str, path: str, now: int) -> None:
        """A client connected to `path`, query included."""
        ...

    def received(self, conn: str, data: bytes, now: int) -> None:
        """A client sent a text message."""
        ...

    def ponged(self, conn: str, payload: bytes, now: int) -> None:
        """A client sent a pong."""
        ...

    def pinged(self, conn: str, now: int) -> None:
        """A client sent a ping; whoever holds the socket has answered it."""
        ...

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more. Unknown ones are ignored."""
        ...

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of `target`: path and query."""
        ...

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Time passed up to `now`, and this is what happened in the market meanwhile."""
        ...

    def outgoing(self) -> list[tuple[str, Frame]]:
        """Return what is to be sent, in order, and forget it."""
        ...

    def shut_down(self, now: int, grace: int) -> None:
        """Announce the end of all connections, and end them `grace` ns later."""
        ...

    def falsify_book(self, symbol: str) -> None:
        """Put a level into the symbol's next book message that crosses the book."""
        ...

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trade with a time `ahead` ns too late."""
        ...


@runtime_checkable
class TellsUnknown(Protocol):
    """Can say what nobody has heard before."""

    def unknown_message(self, conn: str) -> Text | Binary:
        """Return a message for this connection: the venue's envelope, and a kind it never had."""
        ...


@runtime_checkable
class JumpsSequence(Protocol):
    """Has ids in its book messages that can jump; without it a book message is left out."""

    def jump_sequence(self, symbol: str) -> None:
        """Break the chain of ids at the symbol's next book message; nothing else is wrong."""
        ...


@runtime_checkable
class RefusesKeys(Protocol):
    """Wants a key; without it nothing can be refused."""

    def refuse_keys(self, until: int) -> None:
        """Refuse every login up to `until`, ns UTC, as the venue refuses a wrong key."""
        ...


@runtime_checkable
class RefusesSymbols(Protocol):
    """Can act as if it did not have a symbol."""

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Treat new subscriptions up to `until`, ns UTC, as those of a symbol it never had.

        It refuses them or is silent, as the venue is; those that are there go on.
        """
        ...


@runtime_checkable
class EndsOldConnections(Protocol):
    """Ends connections for their age in a way of its own; without it they end with code 1001."""

    def end_old(self, now: int) -> None:
        """End every connection now as the venue does when one is too old."""
        ...


@runtime_checkable
class LimitsConnections(Protocol):
    """Says in its own words that there are too many connections.

    Without it those that are open end and new ones are answered with HTTP 429.
    """

    def limit_connections(self, now: int, until: int) -> None:
        """Let nobody stay up to `until`, ns UTC, as if another client held the only place."""
        ...
