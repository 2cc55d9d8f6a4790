"""A venue whose messages say what its protocol object shall do: for feeds, readers and replays."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.contract import (
    DeadLetter,
    FeedDescription,
    Limits,
    Outgoing,
    Request,
    Told,
    VenueProtocol,
)
from market.errors import StaleFeedError, VenueProtocolError, VenueRefusalError
from market.events import BookDelta, BookSnapshot, FeedGap, Side, Trade
from market.instruments import Instrument

SECOND = 1_000_000_000


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue="scripted", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote
    )


def description(
    *symbols: str, websocket_url: str = "ws://nowhere", silence_s: int = 0
) -> FeedDescription:
    return FeedDescription(
        venue="scripted",
        instruments=tuple(map(instrument, symbols or ("BTC-USDT",))),
        websocket_url=websocket_url,
        rest_url=websocket_url.replace("ws", "http", 1),
        options={"silence_s": silence_s},
    )


def say(**what: object) -> bytes:
    """A message of the venue; see `ScriptedProtocol.received`."""
    return json.dumps(what).encode()


class ScriptedProtocol:
    """Does what a message says: `trade=ID`, `book=SEQUENCE`, `delta=SEQUENCE`, `gap=REASON`,
    `refused=REASON`, `letter=REASON`, `get=PATH`, `replace=1`, `wrong=TEXT`, `refuse=SECONDS`,
    `bug=TEXT`.

    Options: `silence_s` ends a connection that says nothing for so long.
    """

    def __init__(self, described: FeedDescription) -> None:
        self.url = f"{described.websocket_url}/stream"
        self.wants_replacement = False
        self.heard = 0
        self.rest_url = described.rest_url
        self.silence = int(described.options.get("silence_s", 0)) * SECOND
        self.known = {one.id: one for one in described.instruments}
        self.books: set[str] = set()
        self.refused: set[str] = set()
        self.out: list[Outgoing] = []
        self.inherited: ScriptedProtocol | None = None

    @property
    def instruments(self) -> Sequence[str]:
        return tuple(self.known)

    @property
    def is_live(self) -> bool:
        return self.books | self.refused == set(self.known)

    def inherit(self, previous: VenueProtocol) -> None:
        assert isinstance(previous, ScriptedProtocol)
        self.inherited = previous

    def opened(self, now: int) -> list[Told]:
        self.heard = now
        self.out.append(b"subscribe " + ",".join(self.known).encode())
        return []

    def received(self, data: bytes, now: int) -> list[Told]:
        self.heard = now
        try:
            message: dict[str, Any] = json.loads(data)
        except ValueError as error:
            raise VenueProtocolError(f"not a message: {error}", frame=data) from error
        name = message.get("of", next(iter(self.known)))
        told: list[Told] = []
        for kind, value in message.items():
            match kind:
                case "trade":
                    told.append(self._trade(name, value, now))
                case "book":
                    self.books.add(name)
                    told.append(
                        BookSnapshot(
                            instrument=name, ts_event=now, ts_recv=now, sequence=value,
                            bids=[(99.0, 1.0)], asks=[(101.0, 1.0)],
                        )
                    )  # fmt: skip
                case "delta":
                    told.append(
                        BookDelta(
                            instrument=name, ts_event=now, ts_recv=now, sequence=value,
                            bids=[(99.0, float(value))], asks=[],
                        )
                    )  # fmt: skip
                case "gap" | "refused":
                    self.books.discard(name)
                    if kind == "refused":
                        self.refused.add(name)
                    told.append(FeedGap(instrument=name, ts_recv=now, reason=value, channel="book"))
                case "letter":
                    told.append(DeadLetter("scripted", value, data, now))
                case "get":
                    self.out.append(Request(url=f"{self.rest_url}{value}", subject=name))
                case "replace":
                    self.wants_replacement = True
                case "wrong":
                    raise VenueProtocolError(value, frame=data)
                case "refuse":
                    raise VenueRefusalError("refused", retry_after_s=value)
                case "bug":
                    raise LookupError(value)
                case _:
                    pass
        return told

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> list[Told]:
        if status != 200:
            return [DeadLetter("scripted", f"status {status}", body, now)]
        return self.received(body, now)

    def elapsed(self, now: int) -> list[Told]:
        if self.silence and now - self.heard > self.silence:
            raise StaleFeedError("scripted", now - self.heard)
        return []

    def outgoing(self) -> list[Outgoing]:
        out, self.out = self.out, []
        return out

    def resync(self, name: str, reason: str, now: int) -> list[Told]:
        if name not in self.books:
            return []
        self.books.discard(name)
        return [FeedGap(instrument=name, ts_recv=now, reason=reason, channel="book")]

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> list[Told]:
        self.known.update({one.id: one for one in instruments})
        self.out.append(b"more")
        return []

    def unsubscribe(self, instruments: Sequence[str], now: int) -> list[Told]:
        gone = [name for name in instruments if self.known.pop(name, None)]
        self.books.difference_update(gone)
        return [FeedGap(instrument=name, ts_recv=now, reason="unsubscribed") for name in gone]

    def _trade(self, name: str, number: int, now: int) -> Trade:
        return Trade(
            instrument=name, ts_event=now, ts_recv=now, price=100.0, size=1.0, side=Side.BUY,
            trade_id=str(number),
        )  # fmt: skip


class ScriptedVenue:
    name = "scripted"
    websocket_url = "ws://nowhere"
    rest_url = "http://nowhere"
    instruments_per_connection = 2
    connections_at_once = 0
    limits = Limits()
    channel_groups = (("trade", "book"),)
    candles = None
    past_trades = None
    key_names = ()
    market_page = ""

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        del options
        return ""

    def more_instruments_url(self, body: bytes) -> str:
        del body
        return ""

    def instruments_url(self, rest_url: str) -> str:
        return f"{rest_url}/instruments"

    def read_instruments(self, body: bytes) -> list[Instrument]:
        return [instrument(name) for name in json.loads(body)]

    def protocol(self, described: FeedDescription) -> ScriptedProtocol:
        return ScriptedProtocol(described)


VENUES = {"scripted": ScriptedVenue()}
