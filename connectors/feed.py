"""One feed: the connections of a group of instruments, as a sequence of records.

A feed is told every record of its connections, live or from a recording, and answers with events.
It decides what a connection's end means and how a second connection takes over from the first; it
does no I/O itself, so a recording replayed takes the very same way. It is long because a take-over
touches all that a connection can do.
"""

from collections.abc import Sequence

import msgspec

from connectors.contract import (
    DeadLetter,
    FeedDescription,
    Inherits,
    Outgoing,
    Request,
    Told,
    Venue,
    VenueProtocol,
    caught_up,
)
from connectors.recording import Record
from market.errors import FeedError
from market.events import BookSnapshot, FeedGap, Heartbeat, Quote, Trade, Unsubscribed
from market.instruments import Instrument
from market.intervals import SECOND

OVERLAP = 10 * SECOND
"""How long after a take-over trades that both connections told are recognised."""
WITHHELD = 100_000
"""Events of a connection in waiting; more mean that it will never catch up."""


class Steering(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a `control` record asks of a feed."""

    resync: str = ""
    reason: str = ""
    subscribe: tuple[Instrument, ...] = ()
    unsubscribe: tuple[str, ...] = ()


encode_description = msgspec.json.Encoder().encode
decode_description = msgspec.json.Decoder(FeedDescription).decode
encode_steering = msgspec.json.Encoder().encode
_decode_steering = msgspec.json.Decoder(Steering).decode


class _Connection:
    """A protocol object and what is still open with it."""

    __slots__ = ("asked", "is_broken", "name", "protocol", "withheld")

    def __init__(self, name: str, protocol: VenueProtocol) -> None:
        self.name = name
        self.protocol = protocol
        self.is_broken = False
        self.asked: dict[str, Request] = {}
        self.withheld: list[Told] = []


class Feed:
    """The connections of one group of instruments at one venue, one after the other.

    Args:
        name: `"binance-0"`; connections are named `"binance-0.1"` and so on.
        venue: makes the protocol objects.
        description: what the feed is for.

    While a connection wants to be replaced a second one may be opened: its events are withheld
    until all its books are there, then it takes over in one step, without a gap. Trades that both
    told are passed on once.
    """

    def __init__(self, name: str, venue: Venue, description: FeedDescription) -> None:
        self.name = name
        self.description = description
        self._channel = description.channels[0] if len(description.channels) == 1 else "all"
        self._venue = venue
        self._has_opened = False
        self._current: _Connection | None = None
        self._waiting: _Connection | None = None
        self._previous: _Connection | None = None
        self._failures: list[tuple[str, FeedError]] = []
        self._superseded: list[str] = []
        self._seen: set[tuple[str, str]] | None = None
        self._seen_until: int | None = None
        self.last_failure: tuple[str, FeedError] | None = None
        self._plain: VenueProtocol | None = None
        self._plain_name = ""

    # -- what the shell asks -------------------------------------------------------------------

    @property
    def venue(self) -> Venue:
        """Whose feed it is."""
        return self._venue

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open that is not merely in waiting."""
        return self._current is not None

    @property
    def is_live(self) -> bool:
        """Whether the connection in use has everything it subscribed to."""
        return self._current is not None and self._current.protocol.is_live

    @property
    def wants_replacement(self) -> bool:
        """Whether a second connection should be opened now; never where the venue allows one."""
        current = self._current
        return (
            current is not None
            and self._waiting is None
            and current.protocol.wants_replacement
            and self._venue.connections_at_once != 1
        )

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that the feed carries."""
        return tuple(instrument.id for instrument in self.description.instruments)

    def url(self) -> str:
        """Address for the next connection."""
        return self._venue.protocol(self.description).url

    def outgoing(self) -> list[tuple[str, Outgoing]]:
        """Return what is to be sent or fetched, by connection, and forget it."""
        out: list[tuple[str, Outgoing]] = []
        for connection in (self._current, self._waiting):
            if connection is not None:
                for item in connection.protocol.outgoing():
                    if isinstance(item, Request):
                        connection.asked[item.url] = item
                    out.append((connection.name, item))
        return out

    def failures(self) -> list[tuple[str, FeedError]]:
        """Return the connections that must be closed, and why, and forget them."""
        failures, self._failures = self._failures, []
        return failures

    def superseded(self) -> list[str]:
        """Return the connections that another took over from, and forget them."""
        superseded, self._superseded = self._superseded, []
        return superseded

    # -- what happened -------------------------------------------------------------------------

    def take(self, record: Record) -> list[Told]:
        """Take one record and return what it tells.

        A connection whose protocol broke tells nothing more until its `close` comes.
        """
        plain = self._plain
        kind = record.kind
        if (
            plain is not None
            and (kind == "text" or kind == "binary")  # noqa: PLR1714 - twice as quick as a set
            and record.conn == self._plain_name
        ):
            try:  # nearly every record: no second connection, nothing broken
                return plain.received(record.body, record.ts)
            except FeedError as error:
                assert self._current is not None  # noqa: S101 - for the type checker
                self._fail(self._current, error)
                return []
        told = self._take(record)
        current = self._current
        if current is None or current.is_broken or self._seen is not None:
            self._plain = None
        else:
            self._plain, self._plain_name = current.protocol, current.name
        return told

    def _take(self, record: Record) -> list[Told]:
        match record.kind:
            case "text" | "binary" | "http":
                return self._came(record)
            case "heartbeat":
                return self._beat(record.ts)
            case "open":
                return self._opened(record)
            case "close":
                return self._closed(record)
            case "control":
                return self._steered(record)
            case "begin":
                return self._begun()
            case "sent" | "history":
                return []

    def _came(self, record: Record) -> list[Told]:
        connection = self._find(record.conn)
        if connection is None or connection.is_broken:
            return []
        try:
            if record.kind == "http":
                request = connection.asked.pop(record.url, None)
                if request is None:
                    return [
                        DeadLetter(
                            self.description.venue, "answer to nothing", record.body, record.ts
                        )
                    ]
                told = connection.protocol.fetched(request, record.status, record.body, record.ts)
            else:
                told = connection.protocol.received(record.body, record.ts)
        except FeedError as error:
            self._fail(connection, error)
            return []
        return self._pass_on(connection, told, record.ts)

    def _beat(self, now: int) -> list[Told]:
        if not self._has_opened:
            return []  # a recording knows the feed from its first connection on
        told: list[Told] = []
        for connection in (self._current, self._waiting):
            if connection is None or connection.is_broken:
                continue
            try:
                said = connection.protocol.elapsed(now)
            except FeedError as error:
                self._fail(connection, error)
                continue
            told += self._pass_on(connection, said, now)
        if self._seen_until is not None and now > self._seen_until:
            self._seen = self._seen_until = None
        heard = 0 if self._current is None else self._current.protocol.heard
        told += [
            Heartbeat(instrument=instrument.id, ts_recv=now, heard=heard, channel=self._channel)
            for instrument in self.description.instruments
        ]
        return told

    def _begun(self) -> list[Told]:
        """Know nothing: in a recording, what came before was another process's."""
        self._forget_all()
        self._previous = None
        self._has_opened = False
        return []

    def _opened(self, record: Record) -> list[Told]:
        connection = _Connection(record.conn, self._venue.protocol(self.description))
        current = self._current
        self._has_opened = True
        if (
            current is not None
            and current.protocol.wants_replacement
            and self._waiting is None
            and _number(record.conn) > _number(current.name)
        ):
            self._inherit(connection, current)
            self._waiting = connection
            self._seen, self._seen_until = set(), None
            connection.withheld = connection.protocol.opened(record.ts)
            return []
        # Anything else is a new beginning, also where a recording of a killed process goes on.
        if current is None and self._previous is not None:
            self._inherit(connection, self._previous)
        self._forget_all()
        self._current = connection
        return self._gaps("connecting", record.ts) + connection.protocol.opened(record.ts)

    def _closed(self, record: Record) -> list[Told]:
        waiting = self._waiting
        reason = record.body.decode(errors="replace") or "closed"
        if record.conn == self.name:  # all of it: the flow was too slow, nothing is trusted
            self._forget_all()
            self._previous = None  # it has seen what the flow, and a recording, has not
            return self._gaps(reason, record.ts)
        self._failures = [failure for failure in self._failures if failure[0] != record.conn]
        if waiting is not None and record.conn == waiting.name:
            self._waiting = self._seen = None
            return []
        if self._current is None or record.conn != self._current.name:
            return []
        told = self._gaps(reason, record.ts)
        self._previous = self._current
        self._current = waiting
        self._waiting = None
        if waiting is None:
            self._seen = self._seen_until = None
            return told
        self._seen_until = record.ts + OVERLAP
        withheld, waiting.withheld = waiting.withheld, []
        return told + self._unseen(caught_up(withheld))

    def _steered(self, record: Record) -> list[Told]:
        steering = _decode_steering(record.body)
        told: list[Told] = []
        gone: list[str] = []
        if steering.subscribe or steering.unsubscribe:
            kept = {one.id: one for one in self.description.instruments}
            added = [one for one in steering.subscribe if one.id not in kept]
            kept.update((one.id, one) for one in added)
            gone = [one for one in dict.fromkeys(steering.unsubscribe) if kept.pop(one, None)]
            self.description = msgspec.structs.replace(
                self.description, instruments=tuple(kept.values())
            )
            if self._current is not None:
                told += self._gaps("connecting", record.ts, added)
        for connection in (self._current, self._waiting):
            if connection is None or connection.is_broken:
                continue
            protocol = connection.protocol
            said: list[Told] = []
            if steering.resync:
                said += protocol.resync(steering.resync, steering.reason, record.ts)
            if steering.subscribe:
                said += protocol.subscribe(steering.subscribe, record.ts)
            if steering.unsubscribe:
                said += protocol.unsubscribe(steering.unsubscribe, record.ts)
            told += self._pass_on(connection, said, record.ts)
        told += [Unsubscribed(instrument=one, ts_recv=record.ts) for one in gone]
        return told

    # -- inside --------------------------------------------------------------------------------

    def _find(self, name: str) -> _Connection | None:
        current = self._current
        if current is not None and current.name == name:
            return current
        waiting = self._waiting
        return waiting if waiting is not None and waiting.name == name else None

    def _inherit(self, connection: _Connection, previous: _Connection) -> None:
        """Let a connection know what the one before knew, unless that was another process's."""
        protocol = connection.protocol
        if isinstance(protocol, Inherits) and _number(connection.name) > _number(previous.name):
            protocol.inherit(previous.protocol)

    def _forget_all(self) -> None:
        self._current = self._waiting = self._seen = self._seen_until = None
        self._failures = []

    def _fail(self, connection: _Connection, error: FeedError) -> None:
        connection.is_broken = True
        self._plain = None
        self.last_failure = (connection.name, error)
        self._failures.append(self.last_failure)

    def _pass_on(self, connection: _Connection, told: list[Told], now: int) -> list[Told]:
        if self._seen is None:
            return told
        if connection is self._waiting:
            return self._withhold(connection, told, now)
        return self._unseen(told) if self._seen_until is not None else self._remember(told)

    def _remember(self, told: list[Told]) -> list[Told]:
        """The first connection, while a second one is in waiting: note the trades it told."""
        assert self._seen is not None  # noqa: S101 - for the type checker
        self._seen.update((one.instrument, one.trade_id) for one in told if type(one) is Trade)
        return told

    def _unseen(self, told: list[Told]) -> list[Told]:
        """The second connection, after it took over: leave out trades that the first told."""
        seen = self._seen
        assert seen is not None  # noqa: S101 - for the type checker
        return [
            one
            for one in told
            if type(one) is not Trade or (one.instrument, one.trade_id) not in seen
        ]

    def _withhold(self, waiting: _Connection, told: list[Told], now: int) -> list[Told]:
        """The second connection, before it takes over."""
        waiting.withheld += told
        if waiting.protocol.is_live:
            assert self._current is not None  # noqa: S101 - for the type checker
            self._superseded.append(self._current.name)
            self._current = waiting
            self._waiting = None
            self._seen_until = now + OVERLAP
            withheld, waiting.withheld = waiting.withheld, []
            return self._unseen(caught_up(_without_mended(withheld)))
        if len(waiting.withheld) > WITHHELD:
            self._fail(waiting, FeedError("the second connection lags behind"))
        return []

    def _gaps(
        self, reason: str, now: int, instruments: Sequence[Instrument] | None = None
    ) -> list[Told]:
        """Tell what the feed carries of all its instruments, or of these, to be unknown."""
        return [
            FeedGap(instrument=one.id, ts_recv=now, reason=reason, channel=self._channel)
            for one in (self.description.instruments if instruments is None else instruments)
        ]


def _without_mended(withheld: Sequence[Told]) -> list[Told]:
    """Leave out the breaks of a second connection that are mended when it takes over.

    These are no news: until now the first connection had everything. What was refused to the
    second, and did not come since, is lost with the first.
    """
    kept: list[Told] = []
    spoke: set[tuple[str, str]] = set()
    for event in reversed(withheld):
        if isinstance(event, BookSnapshot | Quote):
            spoke.add((event.instrument, "book"))
        elif type(event) is Trade:
            spoke.add((event.instrument, "trade"))
        elif type(event) is FeedGap and (
            event.channel == "all" or (event.instrument, event.channel) in spoke
        ):
            continue  # `all` is an end of the subscription: the first connection told it too
        kept.append(event)
    return kept[::-1]


def _number(connection: str) -> int:
    """Tell how many connections the feed had before, by the name of one."""
    tail = connection.rpartition(".")[2]
    return int(tail) if tail.isdecimal() else 0
