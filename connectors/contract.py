"""What a venue's file must offer, and what the rest may rely on.

A protocol is one connection's worth of a venue without the connection: it is told what happened
and asked what to do. It has no socket, thread, clock, queue, randomness or log.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from market.events import Bar, BookDelta, BookSnapshot, FeedGap, MarketEvent, Trade
from market.instruments import Instrument


class Request(msgspec.Struct, frozen=True):
    """A GET that a protocol asks its shell to make.

    `subject` is the instrument it is for; the answer comes back through `fetched`. `weight` is
    what the venue counts it as, where it counts requests by weight.
    """

    url: str
    subject: str
    weight: int = 1


KEY = b"{key}"
"""Stands in a `Login` for the user's key."""


class Login(msgspec.Struct, frozen=True):
    """A message that needs the user's key.

    A protocol never sees a key: the shell puts it in the place of `KEY` as it sends, and what is
    recorded is the message as it stands here.
    """

    message: bytes


Outgoing: TypeAlias = bytes | Request | Login
"""What a protocol asks its shell to do: send a text message, make a GET, send a login."""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A message we do not know, kept aside: counted by `reason`, never fatal."""

    venue: str
    reason: str
    frame: bytes
    ts_recv: int


Told: TypeAlias = MarketEvent | DeadLetter
"""What a protocol makes of what it is told."""


def caught_up(told: Sequence[Told]) -> list[Told]:
    """Mark what is past among events that are told late, all at once.

    Only the last message of each book says what the book is now, and none before a gap in it.
    """
    marked: list[Told] = []
    current: set[str] = set()
    for event in reversed(told):
        if isinstance(event, FeedGap) and event.channel != "trade":
            current.add(event.instrument)
        if isinstance(event, BookSnapshot | BookDelta):
            if event.instrument in current:
                marked.append(msgspec.structs.replace(event, catching_up=True))
                continue
            current.add(event.instrument)
        marked.append(event)
    return marked[::-1]


class FeedDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What one feed is for; it is written with each `open` of a recording.

    Attributes:
        venue: name in `connectors.VENUES`.
        instruments: what to subscribe to, as the venue's list has them.
        websocket_url: base address of the venue's streams.
        rest_url: base address of its REST interface.
        options: the venue's own settings, by name.
        channels: what of `Venue.channel_groups` this feed carries; empty for everything.
    """

    venue: str
    instruments: tuple[Instrument, ...]
    websocket_url: str
    rest_url: str
    options: dict[str, int | str | bool] = {}
    channels: tuple[str, ...] = ()


class VenueProtocol(Protocol):
    """One connection of a venue.

    Every method takes `now`, our clock in ns UTC. `received` and `fetched` may raise
    `VenueProtocolError`, `elapsed` any `FeedError`: the connection is then closed and this object
    thrown away. They return a list, so that a message that fails half way tells nothing.
    """

    @property
    def url(self) -> str:
        """Address to connect to."""
        ...

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether every instrument has been subscribed and has its book."""
        ...

    @property
    def heard(self) -> int:
        """Our clock when the venue last said something that shows that its books are true."""
        ...

    @property
    def wants_replacement(self) -> bool:
        """Whether another connection should take over before this one ends."""
        ...

    def opened(self, now: int) -> list[Told]:
        """The transport is open: subscribe."""
        ...

    def received(self, data: bytes, now: int) -> list[Told]:
        """One websocket message came."""
        ...

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> list[Told]:
        """An HTTP answer came; `status` 0 means that none did and `body` says why."""
        ...

    def elapsed(self, now: int) -> list[Told]:
        """Time has passed; called about once a second."""
        ...

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        ...

    def resync(self, instrument: str, reason: str, now: int) -> list[Told]:
        """Fetch this instrument's book again and leave the others alone."""
        ...

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> list[Told]:
        """Add instruments while the connection is up."""
        ...

    def unsubscribe(self, instruments: Sequence[str], now: int) -> list[Told]:
        """Drop instruments, by id, while the connection is up."""
        ...


@runtime_checkable
class Inherits(Protocol):
    """A protocol that wants to know what the connection before it knew.

    For a venue whose ids go on from one connection to the next: a snapshot older than what was
    told already is a stale one, and nothing else may show it.
    """

    def inherit(self, previous: VenueProtocol) -> None:
        """Take over what outlives a connection; called once, before `opened`."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue allows one process: at most half of an address's share, so that two fit.

    Attributes:
        connects: connections that may be opened at once.
        connects_per_s: connections a second in the long run.
        weight: requests at once, each counted with its weight.
        weight_per_s: requests a second in the long run.
    """

    connects: int = 20
    connects_per_s: float = 1.0
    weight: int = 20
    weight_per_s: float = 5.0


class Candles(Protocol):
    """A venue's bars of the past, by GET; it makes no request itself, as a protocol does not.

    Bars are told as the venue's own trades would make them: `count` is 0 where it is not told,
    `buy_volume` one half where `tells_sides` is False, `notional` volume times a typical price
    where the venue does not tell quote volume. A bar in which nothing traded may be there, with a
    volume of 0, or be left out.
    """

    @property
    def intervals(self) -> Mapping[str, str]:
        """Our names of the intervals that it has, aligned as ours are, and its own ones."""
        ...

    @property
    def is_ranged(self) -> bool:
        """Whether a range of time can be asked for; else the answer is the newest ones."""
        ...

    @property
    def tells_sides(self) -> bool:
        """Whether it says how much of a volume was bought."""
        ...

    @property
    def weight(self) -> int:
        """What the venue counts one request as."""
        ...

    def most(self, interval: str) -> int:
        """Return how many bars one answer holds at most."""
        ...

    def url(
        self, rest_url: str, instrument: Instrument, interval: str, start: int, end: int
    ) -> str:
        """Address of the bars that start in `[start, end)`, ns UTC, both starts of bars.

        The answer may hold others too, and the one that is forming. There is no key in it.
        """
        ...

    def read(self, body: bytes, instrument: Instrument, interval: str) -> list[Bar]:
        """Read an answer: bars in ascending order, each start once.

        Raises:
            VenueProtocolError: it is none, or the venue's error.
        """
        ...

    def is_rate_limit(self, body: bytes) -> bool:
        """Whether an answer says that too much was asked, where its HTTP status does not."""
        ...


class TradeWalk(Protocol):
    """One walk through an instrument's trades of the past; it makes no request itself.

    It is asked what to fetch and told the answer, until it asks for nothing more. Trades are those
    of the venue's own stream, under the same ids; their times may have another precision.
    """

    @property
    def covered(self) -> tuple[int, int]:
        """`[start, end)`, ns UTC, of which every trade has been told by now."""
        ...

    def request(self) -> Request | None:
        """What to fetch next; None at the end."""
        ...

    def answered(self, body: bytes, now: int) -> list[Trade]:
        """Take the answer; return the trades of the wanted range in it, by time.

        Args:
            body: of the answer, whose HTTP status was good.
            now: our clock, ns, for `ts_recv`.

        Raises:
            VenueProtocolError: it is none, or the venue's error.
        """
        ...


class PastTrades(Protocol):
    """A venue's trades of the past, by GET."""

    @property
    def keeps(self) -> str:
        """How much of the past can be had, for people: `"the last 24 hours"`."""
        ...

    def walk(
        self, rest_url: str, instrument: Instrument, start: int, end: int, now: int
    ) -> TradeWalk:
        """Begin a walk through `[start, end)`, ns UTC."""
        ...

    def is_rate_limit(self, body: bytes) -> bool:
        """Whether an answer says that too much was asked, where its HTTP status does not."""
        ...


class Venue(Protocol):
    """What a venue's file declares, one row of `connectors.VENUES`."""

    @property
    def name(self) -> str:
        """Lower-case name, the first part of its instrument ids."""
        ...

    @property
    def websocket_url(self) -> str:
        """Base address of the public streams."""
        ...

    @property
    def rest_url(self) -> str:
        """Base address of the public REST interface."""
        ...

    @property
    def instruments_per_connection(self) -> int:
        """How many instruments one connection may carry by the venue's limits."""
        ...

    @property
    def connections_at_once(self) -> int:
        """How many connections one account or address may hold; 0 where there is no such limit."""
        ...

    @property
    def limits(self) -> Limits:
        """How often one process may connect and ask; the defaults where the venue says nothing."""
        ...

    @property
    def channel_groups(self) -> tuple[tuple[str, ...], ...]:
        """Channels (`"trade"`, `"book"`) that share a connection; a group for each connection."""
        ...

    @property
    def key_names(self) -> tuple[str, ...]:
        """Environment variables that may hold the user's key; empty where none is needed."""
        ...

    @property
    def market_page(self) -> str:
        """Address of a market's page for people; empty where there is none.

        It has `{base}` and `{quote}`, or `{base_lower}` and `{quote_lower}`, for the assets.
        """
        ...

    @property
    def candles(self) -> Candles | None:
        """Its bars of the past; None where it has none."""
        ...

    @property
    def past_trades(self) -> PastTrades | None:
        """Its trades of the past; None where it has none."""
        ...

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """Say what is wrong with the venue's own settings and what to write; empty if nothing."""
        ...

    def instruments_url(self, rest_url: str) -> str:
        """Address of the list of instruments."""
        ...

    def more_instruments_url(self, body: bytes) -> str:
        """Address of the page that follows this one; empty when it is the last."""
        ...

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read that list: the instruments that trade now.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        ...

    def protocol(self, description: FeedDescription) -> VenueProtocol:
        """Make the protocol object of one connection."""
        ...
