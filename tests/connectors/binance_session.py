"""A Binance protocol object, a clock, and the frames that Binance's documentation shows."""

import json
from collections.abc import Callable
from typing import TypeVar

from connectors.binance import Binance, BinanceProtocol
from connectors.contract import FeedDescription, Request, Told
from market.instruments import Instrument

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
VENUE_MS = START // MILLISECOND
REST = "http://rest.simulated"

_T = TypeVar("_T")

# As Binance's documentation prints them.
DOCUMENTED_TRADE = (
    b'{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,'
    b'"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}}'
)
DOCUMENTED_DEPTH = (
    b'{"stream":"bnbbtc@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC",'
    b'"U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}'
)
DOCUMENTED_SNAPSHOT = (
    b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],'
    b'"asks":[["4.00000200","12.00000000"]]}'
)
DOCUMENTED_PARTIAL = (
    b'{"stream":"bnbbtc@depth20@100ms","data":{"lastUpdateId":160,"bids":[["0.0024","10"]],'
    b'"asks":[]}}'
)
DOCUMENTED_SHUTDOWN = (
    b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'
)


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue="binance", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote
    )


def description(*symbols: str, **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="binance",
        instruments=tuple(map(instrument, symbols)),
        websocket_url="ws://stream.simulated",
        rest_url=REST,
        options=options,
    )


def only(kind: type[_T], told: list[Told]) -> list[_T]:
    return [one for one in told if isinstance(one, kind)]


def trade(native: str = "BTCUSDT", t: int = 1, **changed: object) -> bytes:
    data = {"e": "trade", "E": VENUE_MS, "s": native, "t": t, "p": "100.5", "q": "2", "T": VENUE_MS}
    data |= {"m": False, "M": True} | changed
    return encoded({"stream": f"{native.lower()}@trade", "data": data})


def depth(native: str = "BTCUSDT", first: int = 1, last: int = 1, **changed: object) -> bytes:
    data = {"e": "depthUpdate", "E": VENUE_MS, "s": native, "U": first, "u": last}
    data |= {"b": [["99", str(last)]], "a": [["101", "1"]]} | changed
    return encoded({"stream": f"{native.lower()}@depth@100ms", "data": data})


def snapshot(last: int, bids: object = None, asks: object = None) -> bytes:
    return encoded(
        {
            "lastUpdateId": last,
            "bids": [["99", "1"], ["98", "2"]] if bids is None else bids,
            "asks": [["101", "1"], ["102", "2"]] if asks is None else asks,
        }
    )


def partial(native: str = "BTCUSDT", last: int = 1, *, levels: int = 20) -> bytes:
    return encoded(
        {
            "stream": f"{native.lower()}@depth{levels}@100ms",
            "data": {"lastUpdateId": last, "bids": [["99", "1"]], "asks": [["101", "1"]]},
        }
    )


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


class Session:
    """One connection and its clock; what comes out is sorted into messages and requests.

    Args:
        symbols: subscribed from the start.
        is_acknowledged: the subscription is answered at once.
    """

    def __init__(
        self,
        *symbols: str,
        is_acknowledged: bool = True,
        max_age_s: int = 0,
        **options: int | str | bool,
    ) -> None:
        symbols = symbols or ("BTC-USDT",)
        self.now = START
        self.protocol = BinanceProtocol(description(*symbols, max_age_s=max_age_s, **options))
        self.messages: list[dict[str, object]] = []
        self.requests: list[Request] = []
        self._answered = 0
        self.protocol.opened(self.now)
        self._sort()
        if is_acknowledged:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Answer what was sent, also what goes out only later."""
        while self._answered < len(self.messages) or self.protocol._unsent:
            for message in self.messages[self._answered :]:
                self._answered += 1
                if message["id"]:
                    assert self.receive(encoded({"result": None, "id": message["id"]})) == []
            if self.protocol._unsent:
                self.wait(1)

    def receive(self, frame: bytes, *, after: int = MILLISECOND) -> list[Told]:
        self.now += after
        return self._told(lambda: self.protocol.received(frame, self.now))

    def wait(self, seconds: float) -> list[Told]:
        """Let time pass, with a heartbeat a second."""
        end = self.now + int(seconds * SECOND)
        told = []
        while self.now < end:
            self.now = min(self.now + SECOND, end)
            told += self._told(lambda: self.protocol.elapsed(self.now))
        return told

    def answer(self, body: bytes, status: int = 200, *, after: int = MILLISECOND) -> list[Told]:
        """Answer the oldest request."""
        self.now += after
        request = self.requests.pop(0)
        return self._told(lambda: self.protocol.fetched(request, status, body, self.now))

    def live(self, last: int = 100) -> None:
        """Bring every book to life, with this update id."""
        self.wait(1.1)
        while self.requests:
            assert self.answer(snapshot(last))
        assert self.protocol.is_live

    def do(self, action: Callable[[BinanceProtocol, int], list[Told]]) -> list[Told]:
        """Steer the protocol."""
        return self._told(lambda: action(self.protocol, self.now))

    def _told(self, action: Callable[[], list[Told]]) -> list[Told]:
        told = action()
        self._sort()
        return told

    def _sort(self) -> None:
        for item in self.protocol.outgoing():
            if isinstance(item, Request):
                self.requests.append(item)
            elif isinstance(item, bytes):
                self.messages.append(json.loads(item))
            else:
                raise TypeError(f"Binance needs no key: {item}")


VENUE = Binance()
