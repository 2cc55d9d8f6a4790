"""What a venue's tests supply so that the contract test can drive its protocol.

A venue's case is a module of its name here, `tests/connectors/cases/<venue>.py`, with

    CASES = (VenueCase(...),)

one `VenueCase` for each of the venue's `channel_groups` (one, where everything shares a
connection). `tests/connectors/cases/binance.py` is the example. Frames are written as the venue
sends them, compressed where it compresses; they come from its documentation, never from captures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.contract import FeedDescription, Login, Outgoing, Request, Told, Venue
from market.instruments import Instrument

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
"""Our clock when a session opens, ns."""
REST = "http://rest.simulated"
SOCKET = "ws://stream.simulated"


@dataclass(frozen=True, kw_only=True)
class VenueCase:
    """One connection of a venue, in samples.

    Attributes:
        venue: row of `connectors.VENUES`.
        instruments: at least two; a session follows all but the last, which is subscribed later.
        frames: a sample of every message the venue sends, by a name of the test's choice: each
            row of the docstring's table at least once, for `instruments[0]`.
        live: brings a session that has just opened to life: answers its messages and requests
            until `session.protocol.is_live`. Must serve any number of followed instruments.
        names: the streams that a message of ours subscribes to, as text; empty when it is none.
        dropped: the streams that a message of ours gives up; empty when it is none.
        acknowledge: answers every message of ours that awaits an answer (it may do nothing);
            called after a subscription or an unsubscription at run time.
        unknown: frames of kind (a): a dead letter each, and the connection goes on.
        torn: frames of kind (c): `VenueProtocolError` each, in a live session.
        gap: frames of kind (b), told in a row to a live session: they break the sequence of
            `instruments[0]` and of no other; empty where a venue has no sequence.
        instrument_list: a page of the venue's list that holds at least one instrument.
        options: the venue's own settings.
        channels: the one of `Venue.channel_groups` that is served; empty for all.
    """

    venue: Venue
    instruments: tuple[Instrument, ...]
    frames: Mapping[str, bytes]
    live: Callable[["Session"], None]
    names: Callable[[bytes], list[str]]
    dropped: Callable[[bytes], list[str]]
    acknowledge: Callable[["Session"], None]
    unknown: tuple[bytes, ...]
    torn: tuple[bytes, ...]
    gap: tuple[bytes, ...]
    instrument_list: bytes
    options: Mapping[str, int | str | bool] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    def description(self, *, count: int = -1) -> FeedDescription:
        """Describe a feed of the first `count` instruments, all but the last by default."""
        return FeedDescription(
            venue=self.venue.name,
            instruments=self.instruments[:count],
            websocket_url=SOCKET,
            rest_url=REST,
            options=dict(self.options),
            channels=self.channels,
        )


class Session:
    """One connection and its clock.

    Attributes:
        now: our clock, ns.
        messages: what was sent, a `Login` as it stands.
        requests: what is to be fetched and was not answered yet, oldest first.
        told: everything the protocol told.
    """

    def __init__(self, case: VenueCase) -> None:
        self.case = case
        self.now = START
        self.protocol = case.venue.protocol(case.description())
        self.messages: list[bytes] = []
        self.requests: list[Request] = []
        self.told: list[Told] = []
        self.answered = 0
        """Messages of ours that `acknowledge` has answered: a case may count here."""
        self.take(self.protocol.opened(self.now))

    @property
    def unanswered(self) -> list[bytes]:
        """Return the messages sent since the last call."""
        new = self.messages[self.answered :]
        self.answered = len(self.messages)
        return new

    def receive(self, frame: bytes, *, after: int = MILLISECOND) -> list[Told]:
        """Let one message come, `after` ns later."""
        self.now += after
        return self.take(self.protocol.received(frame, self.now))

    def answer(self, body: bytes, status: int = 200, *, after: int = MILLISECOND) -> list[Told]:
        """Answer the oldest request."""
        self.now += after
        request = self.requests.pop(0)
        return self.take(self.protocol.fetched(request, status, body, self.now))

    def wait(self, seconds: float) -> list[Told]:
        """Let time pass, with a heartbeat a second."""
        end = self.now + int(seconds * SECOND)
        told: list[Told] = []
        while self.now < end:
            self.now = min(self.now + SECOND, end)
            told += self.take(self.protocol.elapsed(self.now))
        return told

    def take(self, told: list[Told]) -> list[Told]:
        """Keep what was told and sort what goes out; call it around any verb of the protocol."""
        self.told += told
        for item in self.protocol.outgoing():
            self._sort(item)
        return told

    def _sort(self, item: Outgoing) -> None:
        if isinstance(item, Request):
            self.requests.append(item)
        else:
            self.messages.append(item.message if isinstance(item, Login) else item)
