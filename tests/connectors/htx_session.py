"""An HTX protocol object, a clock, and frames as HTX's documentation shows them."""

import json
import zlib
from collections.abc import Callable
from typing import TypeVar

from connectors.contract import FeedDescription, Told
from connectors.htx import Htx, HtxProtocol
from market.instruments import Instrument

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
VENUE_MS = START // MILLISECOND
VENUE = Htx()

_T = TypeVar("_T")

# As HTX's documentation prints them, without spaces; the refusal was seen in 2023.
DOCUMENTED = {
    "ping": b'{"ping":1492420473027}',
    "acknowledgement": b'{"id":"id1","status":"ok","subbed":"market.btcusdt.mbp.150",'
    b'"ts":1489474081631}',
    "refusal": b'{"status":"error","ts":1684650798105,"id":"id488","err-code":"bad-request",'
    b'"err-msg":"invalid symbol lmrusdt"}',
    "trades": b'{"ch":"market.btcusdt.trade.detail","ts":1489474082831,"tick":{"id":14650745135,'
    b'"ts":1533265950234,"data":[{"amount":0.0099,"ts":1533265950234,'
    b'"id":146507451359183894799,"tradeId":102043495674,"price":401.74,"direction":"buy"}]}}',
    "update": b'{"ch":"market.aidogeusdt.mbp.150","ts":1690948841557,"tick":{"seqNum":155247358,'
    b'"prevSeqNum":155247355,"bids":[],"asks":[[9.486E-11,5.4329174972728E12],'
    b"[9.488E-11,0.0]]}}",
    "empty update": b'{"ch":"market.zecusdt.mbp.150","ts":1585074391470,"tick":'
    b'{"seqNum":100772868478,"prevSeqNum":100772868476,"bids":[],"asks":[]}}',
    "one side": b'{"ch":"market.btcusdt.mbp.5","ts":1573199608679,"tick":{"seqNum":100020146795,'
    b'"prevSeqNum":100020146794,"asks":[[645.140000000000000000,26.755973959140651643]]}}',
    "snapshot": b'{"id":"id2","rep":"market.btcusdt.mbp.150","status":"ok","ts":1698359289261,'
    b'"data":{"seqNum":100020142010,"bids":[[618.37,71.594],[423.33,77.726]],'
    b'"asks":[[650.59,14.909733438479636]]}}',
}


def packed(message: object) -> bytes:
    """Return a frame of HTX: one gzip member."""
    data = message if isinstance(message, bytes) else encoded(message)
    return zlib.compress(data, 6, 31)


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    native = f"{base}{quote}".lower()
    return Instrument(venue="htx", symbol=symbol, native=native, base=base, quote=quote)


def description(channel: str, *symbols: str, **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="htx",
        instruments=tuple(map(instrument, symbols)),
        websocket_url="ws://stream.simulated",
        rest_url="http://rest.simulated",
        options=options,
        channels=(channel,) if channel else (),
    )


def only(kind: type[_T], told: list[Told]) -> list[_T]:
    return [one for one in told if isinstance(one, kind)]


def row(t: object = 1, **changed: object) -> dict[str, object]:
    return {
        "id": 146507451359183894799,
        "ts": VENUE_MS,
        "tradeId": t,
        "amount": 2,
        "price": 100.5,
        "direction": "buy",
    } | changed


def trades(native: str = "btcusdt", *rows: dict[str, object], **changed: object) -> bytes:
    """A message of trades, as its rows are given: HTX puts the newest first."""
    data = list(rows) or [row(**changed)]
    tick = {"id": 14650745135, "ts": VENUE_MS, "data": data}
    return packed({"ch": f"market.{native}.trade.detail", "ts": VENUE_MS, "tick": tick})


def update(native: str = "btcusdt", before: int = 0, last: int = 1, **changed: object) -> bytes:
    tick = {"seqNum": last, "prevSeqNum": before, "bids": [[99, last]], "asks": [[101, 1]]}
    message = {"ch": f"market.{native}.mbp.150", "ts": VENUE_MS, "tick": tick | changed}
    return packed(message)


def snapshot(
    last: int, native: str = "btcusdt", identity: str = "", bids: object = None, asks: object = None
) -> bytes:
    data = {
        "seqNum": last,
        "bids": [[99, 1], [98, 2]] if bids is None else bids,
        "asks": [[101, 1], [102, 2]] if asks is None else asks,
    }
    topic = f"market.{native}.mbp.150"
    return packed({"id": identity, "rep": topic, "status": "ok", "ts": VENUE_MS, "data": data})


def acknowledgement(message: dict[str, object], *, ts: int = VENUE_MS) -> bytes:
    verb = next(verb for verb in ("sub", "unsub") if verb in message)
    said = {"id": message["id"], "status": "ok", f"{verb}bed": message[verb], "ts": ts}
    return packed(said)


def refusal(identity: object, text: str = "invalid symbol btcusdt") -> bytes:
    said = {"status": "error", "ts": VENUE_MS, "id": identity, "err-code": "bad-request"}
    return packed(said | {"err-msg": text})


class Session:
    """One connection and its clock; what goes out is kept by its kind.

    Args:
        channel: `"trade"` or `"book"`.
        symbols: subscribed from the start.
        is_acknowledged: the subscriptions are answered at once.
    """

    def __init__(
        self,
        channel: str = "book",
        *symbols: str,
        is_acknowledged: bool = True,
        **options: int | str | bool,
    ) -> None:
        self.now = START
        self.protocol = HtxProtocol(description(channel, *(symbols or ("BTC-USDT",)), **options))
        self.subscriptions: list[dict[str, object]] = []
        self.requests: list[dict[str, object]] = []
        self.asked_at: list[int] = []
        self.pongs: list[object] = []
        self._answered = 0
        self.do(lambda protocol, now: protocol.opened(now))
        if is_acknowledged:
            self.acknowledge()

    def acknowledge(self) -> list[Told]:
        """Answer every subscription that was not answered, also what goes out only later."""
        told = []
        while self._answered < len(self.subscriptions) or self.protocol._unsent:
            for message in self.subscriptions[self._answered :]:
                self._answered += 1
                told += self.receive(acknowledgement(message))
            if self.protocol._unsent:
                told += self.wait(1)
        return told

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

    def answer(self, last: int, bids: object = None, asks: object = None) -> list[Told]:
        """Answer the oldest request with this snapshot."""
        request = self.requests.pop(0)
        native = str(request["req"]).split(".")[1]
        return self.receive(snapshot(last, native, str(request["id"]), bids, asks))

    def live(self, last: int = 100) -> None:
        """Bring every book to life, with this number."""
        while not self.protocol.is_live:
            self.wait(1)
            while self.requests:
                assert self.answer(last)

    def do(self, action: Callable[[HtxProtocol, int], list[Told]]) -> list[Told]:
        """Steer the protocol and sort what goes out."""
        told = action(self.protocol, self.now)
        for item in self.protocol.outgoing():
            assert isinstance(item, bytes)
            message = json.loads(item)
            if "pong" in message:
                self.pongs.append(message)
            elif "req" in message:
                self.requests.append(message)
                self.asked_at.append(self.now)
            else:
                self.subscriptions.append(message)
        return told
