"""A Massive protocol object, a clock, and the frames that Massive's documentation shows."""

import json
from collections.abc import Callable
from typing import TypeVar

from connectors.contract import FeedDescription, Login, Told
from connectors.massive import Massive, MassiveProtocol
from market.instruments import Instrument

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
VENUE_MS = START // MILLISECOND
VENUE = Massive()

_T = TypeVar("_T")

# As Massive's documentation prints them, each in the array that every frame is.
DOCUMENTED_TRADE = (
    b'[{"ev":"XT","pair":"BTC-USD","p":33021.9,"t":1610462007425,"s":0.01616617,"c":[2],'
    b'"i":14272084,"x":3,"r":1610462007576}]'
)
DOCUMENTED_QUOTE = (
    b'[{"ev":"XQ","pair":"BTC-USD","bp":33052.79,"bs":0.48,"ap":33073.19,"as":0.601,'
    b'"t":1610462411115,"x":1,"r":1610462411128}]'
)
DOCUMENTED_MINUTE = (
    b'[{"ev":"XA","pair":"BCD-USD","v":951.6112,"vw":0.7756,"z":73,"o":0.772,"c":0.784,'
    b'"h":0.784,"l":0.771,"s":1610463240000,"e":1610463300000}]'
)
DOCUMENTED_LEVELS = (
    b'[{"ev":"XL2","pair":"BTC-USD","t":1610462411115,"r":1610462411128,"x":1,'
    b'"b":[[33712.71,0.18635],[33712.7,0.134]],"a":[[33718.23,3.5527483],[33718.24,0.1]]}]'
)
DOCUMENTED_FAIR_VALUE = b'[{"ev":"FMV","fmv":33021.9,"sym":"X:BTC-USD","t":1610462007425}]'


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def status(kind: str, message: str = "") -> bytes:
    return encoded([{"ev": "status", "status": kind, "message": message}])


CONNECTED = status("connected", "Connected Successfully")
AUTHENTICATED = status("auth_success", "authenticated")


def trade(pair: str = "BTC-USD", i: int | str | None = 1, **changed: object) -> bytes:
    one = {"ev": "XT", "pair": pair, "p": 100.5, "t": VENUE_MS, "s": 2, "c": [2], "x": 1}
    one |= {"r": VENUE_MS + 1} | ({} if i is None else {"i": i}) | changed
    return encoded([one])


def quote(pair: str = "BTC-USD", **changed: object) -> bytes:
    one = {"ev": "XQ", "pair": pair, "bp": 99.5, "bs": 1, "ap": 100.5, "as": 2, "t": VENUE_MS}
    return encoded([one | {"x": 1, "r": VENUE_MS + 1} | changed])


def bar(ev: str = "XA", pair: str = "BTC-USD", **changed: object) -> bytes:
    start = VENUE_MS - VENUE_MS % 60_000
    one = {"ev": ev, "pair": pair, "v": 12.5, "vw": 100.25, "z": 0, "o": 100, "c": 101}
    one |= {"h": 102, "l": 99, "s": start, "e": start + (60_000 if ev == "XA" else 1_000)}
    return encoded([one | changed])


def acknowledgement(*params: str, action: str = "subscribed") -> bytes:
    return encoded(
        [{"ev": "status", "status": "success", "message": f"{action} to: {one}"} for one in params]
    )


def instrument(symbol: str) -> Instrument:
    base, _, currency = symbol.partition("-")
    return Instrument(venue="massive", symbol=symbol, native=symbol, base=base, quote=currency)


def description(*symbols: str, **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="massive",
        instruments=tuple(map(instrument, symbols)),
        websocket_url="ws://stream.simulated",
        rest_url="http://rest.simulated",
        options=options,
    )


def only(kind: type[_T], told: list[Told]) -> list[_T]:
    return [one for one in told if isinstance(one, kind)]


class Session:
    """One connection and its clock.

    Args:
        symbols: subscribed from the start.
        is_acknowledged: greeted, logged in and every subscription confirmed.
    """

    def __init__(
        self, *symbols: str, is_acknowledged: bool = True, **options: int | str | bool
    ) -> None:
        self.now = START
        self.protocol = MassiveProtocol(description(*(symbols or ("BTC-USD",)), **options))
        self.messages: list[dict[str, str]] = []
        self.logins = 0
        self.answered = 0
        self.protocol.opened(self.now)
        self._sort()
        if is_acknowledged:
            assert self.receive(CONNECTED) == []
            assert self.receive(AUTHENTICATED) == []
            self.acknowledge()

    @property
    def params(self) -> list[str]:
        """What was asked for, in order."""
        return [param for said in self.messages for param in said["params"].split(",")]

    def acknowledge(self) -> None:
        """Confirm everything that was asked for and not confirmed yet."""
        for message in self.messages[self.answered :]:
            action = message["action"] + "d"
            params = message["params"].split(",")
            assert self.receive(acknowledgement(*params, action=action)) == []
        self.answered = len(self.messages)

    def receive(self, frame: bytes, *, after: int = MILLISECOND) -> list[Told]:
        self.now += after
        return self.do(lambda protocol, now: protocol.received(frame, now))

    def wait(self, seconds: float) -> list[Told]:
        """Let time pass, with a heartbeat a second."""
        end = self.now + int(seconds * SECOND)
        told = []
        while self.now < end:
            self.now = min(self.now + SECOND, end)
            told += self.do(lambda protocol, now: protocol.elapsed(now))
        return told

    def do(self, action: Callable[[MassiveProtocol, int], list[Told]]) -> list[Told]:
        """Steer the protocol."""
        told = action(self.protocol, self.now)
        self._sort()
        return told

    def _sort(self) -> None:
        for item in self.protocol.outgoing():
            if isinstance(item, Login):
                assert json.loads(item.message) == {"action": "auth", "params": "{key}"}
                self.logins += 1
            elif isinstance(item, bytes):
                self.messages.append(json.loads(item))
            else:
                raise TypeError(f"nothing is fetched: {item}")
