"""A Bybit protocol object, a clock, and the frames that Bybit's documentation shows."""

import json
from collections.abc import Callable

from connectors.bybit import Bybit, BybitProtocol
from connectors.contract import FeedDescription, Told
from market.instruments import Instrument

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
VENUE_MS = START // MILLISECOND
VENUE = Bybit()

# As Bybit's documentation prints them.
DOCUMENTED_TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":'
    b'1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","i":"20f43950-d8dd-5b31-'
    b'9112-a178eb6023af","BT":false,"RPI":false,"seq":1783284617}]}'
)
DOCUMENTED_SNAPSHOT = (
    b'{"topic":"orderbook.50.BTCUSDT","ts":1672304484978,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["16493.50","0.006"],["16493.00","0.100"]],"a":[["16611.00","0.029"]],"u":18521288,'
    b'"seq":7961638724},"cts":1672304484976}'
)
DOCUMENTED_DELTA = (
    b'{"topic":"orderbook.50.BTCUSDT","ts":1672304485000,"type":"delta","data":{"s":"BTCUSDT",'
    b'"b":[["16493.00","0"]],"a":[],"u":18521289,"seq":7961638730},"cts":1672304484998}'
)
DOCUMENTED_RESTART = (
    b'{"topic":"orderbook.50.BTCUSDT","ts":"1772694601512","type":"delta","data":{"s":"BTCUSDT",'
    b'"b":[["16400.00","1"]],"a":[["16700.00","1"]],"u":1,"seq":7961640000},"cts":1772694601510}'
)
DOCUMENTED_ACK = (
    b'{"success":true,"ret_msg":"subscribe","conn_id":"2324d924-aa4d-45b0-a858-7b8be29ab52b",'
    b'"req_id":"10001","op":"subscribe"}'
)
DOCUMENTED_REFUSAL = (
    b'{"success":false,"ret_msg":"Invalid symbol :[publicTrade.NOPEUSDT]","conn_id":'
    b'"2324d924-aa4d-45b0-a858-7b8be29ab52b","req_id":"10002","op":"subscribe"}'
)
DOCUMENTED_PONG = (
    b'{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a",'
    b'"op":"ping"}'
)
DOCUMENTED_INSTRUMENTS = {
    "retCode": 0,
    "retMsg": "OK",
    "result": {
        "category": "spot",
        "list": [
            {
                "symbolId": 9,
                "symbol": "BTCUSDT",
                "baseCoin": "BTC",
                "quoteCoin": "USDT",
                "innovation": "0",
                "status": "Trading",
                "marginTrading": "utaOnly",
                "stTag": "0",
                "lotSizeFilter": {
                    "basePrecision": "0.000001",
                    "quotePrecision": "0.0000001",
                    "minOrderQty": "0.000011",
                    "maxOrderQty": "83",
                    "minOrderAmt": "5",
                    "maxOrderAmt": "8000000",
                    "maxLimitOrderQty": "83",
                    "maxMarketOrderQty": "41.5",
                    "postOnlyMaxLimitOrderSize": "60000",
                },
                "priceFilter": {"tickSize": "0.1"},
                "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
                "symbolType": "",
            }
        ],
    },
    "retExtInfo": {},
    "time": 1760027412300,
}


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(venue="bybit", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote)


def description(*symbols: str, **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="bybit",
        instruments=tuple(map(instrument, symbols)),
        websocket_url="ws://stream.simulated",
        rest_url="http://rest.simulated",
        options=options,
    )


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def trade(native: str = "BTCUSDT", *ids: object, **changed: object) -> bytes:
    rows = [
        {"T": VENUE_MS, "s": native, "S": "Buy", "v": "2", "p": "100.5", "i": str(one)}
        | {"BT": False, "RPI": False, "seq": 7}
        | changed
        for one in ids or ("1",)
    ]
    message = {"topic": f"publicTrade.{native}", "ts": VENUE_MS, "type": "snapshot", "data": rows}
    return encoded(message)


def book(
    native: str = "BTCUSDT",
    u: int = 100,
    kind: str = "delta",
    *,
    b: object = None,
    a: object = None,
    ts: int = 0,
    depth: int = 50,
    **changed: object,
) -> bytes:
    ts = ts or VENUE_MS + u
    data = {"s": native, "b": [["99", str(u)]] if b is None else b}
    data |= {"a": [["101", "1"]] if a is None else a, "u": u, "seq": 7} | changed
    message = {"topic": f"orderbook.{depth}.{native}", "ts": ts, "type": kind, "data": data}
    return encoded(message | {"cts": ts - 2})


def answer(number: object, *, op: str = "subscribe", refusal: str = "") -> bytes:
    text = refusal or ("subscribe" if op == "subscribe" else "")
    said = {"success": not refusal, "ret_msg": text, "conn_id": "c-1", "req_id": str(number)}
    return encoded(said | {"op": op})


class Session:
    """One connection and its clock.

    Args:
        symbols: subscribed from the start.
        is_acknowledged: subscriptions are answered at once.
        options: the venue's own.
    """

    def __init__(
        self, *symbols: str, is_acknowledged: bool = True, **options: int | str | bool
    ) -> None:
        symbols = symbols or ("BTC-USDT",)
        self.now = START
        self.protocol = BybitProtocol(description(*symbols, **options))
        self.messages: list[dict] = []  # type: ignore[type-arg]
        self._answered = 0
        self.protocol.opened(self.now)
        self._sort()
        if is_acknowledged:
            self.acknowledge()

    def requests(self, *, since: int = 0) -> list[tuple[str, tuple[str, ...]]]:
        """What was asked for, without pings."""
        return [(one["op"], tuple(one["args"])) for one in self.messages[since:] if "args" in one]

    def acknowledge(self) -> None:
        """Answer what was sent."""
        for message in self.messages[self._answered :]:
            self._answered += 1
            if "req_id" in message:
                assert self.receive(answer(message["req_id"], op=message["op"])) == []

    def live(self, u: int = 100) -> "Session":
        """Bring every book to life, with this update id."""
        for one in self.protocol._books.values():
            assert self.receive(book(one.native, u, "snapshot", depth=self.protocol._depth))
        assert self.protocol.is_live
        return self

    def receive(self, frame: bytes, *, after: int = MILLISECOND) -> list[Told]:
        self.now += after
        return self._told(lambda: self.protocol.received(frame, self.now))

    def wait(self, seconds: float, *, pongs: bool = True) -> list[Told]:
        """Let time pass, with a heartbeat a second."""
        end = self.now + int(seconds * SECOND)
        told = []
        while self.now < end:
            self.now = min(self.now + SECOND, end)
            before = len(self.messages)
            told += self._told(lambda: self.protocol.elapsed(self.now))
            if pongs and {"op": "ping"} in self.messages[before:]:
                told += self.receive(DOCUMENTED_PONG, after=0)
        return told

    def do(self, action: Callable[[BybitProtocol, int], list[Told]]) -> list[Told]:
        """Steer the protocol."""
        return self._told(lambda: action(self.protocol, self.now))

    def _told(self, action: Callable[[], list[Told]]) -> list[Told]:
        told = action()
        self._sort()
        return told

    def _sort(self) -> None:
        for item in self.protocol.outgoing():
            assert isinstance(item, bytes)
            self.messages.append(json.loads(item))
