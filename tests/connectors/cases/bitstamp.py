"""Bitstamp in samples."""

import json
from dataclasses import replace

from connectors.bitstamp import Bitstamp
from market.instruments import Instrument
from tests.connectors.cases.venue_case import START, Session, VenueCase

MICROSECONDS = START // 1_000

# As Bitstamp's documentation prints them.
DOCUMENTED_TRADE = (
    b'{"data":{"id":93215787,"id_str":"93215787","amount":0.014140160000000001,'
    b'"amount_str":"0.01414016","price":12700.0,"price_str":"12700.00","type":1,'
    b'"timestamp":"1562650233","microtimestamp":"1562650233964229","buy_order_id":3709484695,'
    b'"sell_order_id":3709484799},"channel":"live_trades_btcusd","event":"trade"}'
)
DOCUMENTED_BOOK = (
    b'{"data":{"timestamp":"1789457617","microtimestamp":"1789457617906487",'
    b'"bids":[["77188","0.41122"],["77183","0.32386"]],"asks":[["77189","0.41124"]]},'
    b'"channel":"order_book_btcusd","event":"data"}'
)
DOCUMENTED_DIFF = (
    b'{"data":{"timestamp":"1789456316","microtimestamp":"1789456316507635",'
    b'"bids":[["77049","0.00000000"],["77035","2.45710000"]],"asks":[]},'
    b'"channel":"diff_order_book_btcusd","event":"data"}'
)
DOCUMENTED_SNAPSHOT = (
    b'{"timestamp":"1789456316","microtimestamp":"1789456316401022",'
    b'"bids":[["77048","0.10000000"]],"asks":[["77409","1.00000000"]]}'
)
DOCUMENTED_RECONNECT = b'{"event":"bts:request_reconnect","channel":"","data":null}'
DOCUMENTED_ERROR = (
    b'{"event":"bts:error","channel":"","data":{"code":null,"message":"Invalid channel provided."}}'
)
DOCUMENTED_HEARTBEAT = b'{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}'
DOCUMENTED_SUBSCRIBED = (
    b'{"event":"bts:subscription_succeeded","channel":"order_book_btcusd","data":{}}'
)
# As public clients of the interface show it; values are ours.
MARKETS = (
    b'[{"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC","base_decimals":8,'
    b'"counter_currency":"USD","counter_decimals":2,"minimum_order_value":"10",'
    b'"trading":"Enabled","instant_order_counter_decimals":2,'
    b'"instant_and_market_orders":"Enabled","description":"Bitcoin / U.S. dollar",'
    b'"market_type":"SPOT"}]'
)


def encoded(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    native = f"{base}{quote}".lower()
    return Instrument(venue="bitstamp", symbol=symbol, native=native, base=base, quote=quote)


def trade(native: str = "btcusd", number: int = 1, **changed: object) -> bytes:
    data = {"id": number, "id_str": str(number), "amount": 2, "amount_str": "2.00000000"}
    data |= {"price": 100.5, "price_str": "100.50", "type": 0, "timestamp": str(START // 10**9)}
    data |= {"microtimestamp": str(MICROSECONDS), "buy_order_id": 1, "sell_order_id": 2} | changed
    return encoded({"data": data, "channel": f"live_trades_{native}", "event": "trade"})


def order_book(at: int, bids: object = None, asks: object = None) -> dict[str, object]:
    """The body of a book `at` so many microseconds after the start."""
    stamp = MICROSECONDS + at
    return {
        "timestamp": str(stamp // 1_000_000),
        "microtimestamp": str(stamp),
        "bids": [["99", "1"], ["98", "2"]] if bids is None else bids,
        "asks": [["101", "1"], ["102", "2"]] if asks is None else asks,
    }


def book(native: str = "btcusd", at: int = 1, bids: object = None, asks: object = None) -> bytes:
    data = order_book(at, bids, asks)
    return encoded({"data": data, "channel": f"order_book_{native}", "event": "data"})


def diff(native: str = "btcusd", at: int = 1, bids: object = None, asks: object = None) -> bytes:
    data = order_book(at, [] if bids is None else bids, [] if asks is None else asks)
    return encoded({"data": data, "channel": f"diff_order_book_{native}", "event": "data"})


def snapshot(at: int, bids: object = None, asks: object = None) -> bytes:
    return encoded(order_book(at, bids, asks))


def answer(message: bytes) -> bytes:
    """Bitstamp's answer to a message of ours."""
    said = json.loads(message)
    if said["event"] == "bts:heartbeat":
        return DOCUMENTED_HEARTBEAT
    event = said["event"].replace("subscribe", "subscription_succeeded")
    return encoded({"event": event, "channel": said["data"]["channel"], "data": {}})


def _channels(event: str, message: bytes) -> list[str]:
    said = json.loads(message)
    return [said["data"]["channel"]] if said["event"] == event else []


def _acknowledge(session: Session) -> None:
    for message in session.unanswered:
        session.receive(answer(message))


def _natives(session: Session) -> list[str]:
    followed = session.protocol.instruments
    return [one.native for one in session.case.instruments if one.id in followed]


def live(session: Session) -> None:
    """Bring every book to life by its stream."""
    _acknowledge(session)
    for native in _natives(session):
        session.receive(book(native, 0))


def live_in_full(session: Session) -> None:
    """Bring every whole book to life: an update, and a snapshot that knows it."""
    _acknowledge(session)
    for native in _natives(session):
        session.receive(diff(native, -1))
    session.wait(1.1)
    while session.requests:
        session.answer(snapshot(0))


CASE = VenueCase(
    venue=Bitstamp(),
    instruments=(instrument("BTC-USD"), instrument("ETH-USD"), instrument("ETH-BTC")),
    frames={
        "trade": trade("btcusd", 1),
        "book": book("btcusd", 1),
        "documented trade": DOCUMENTED_TRADE,
        "documented book": DOCUMENTED_BOOK,
        "diff of another subscription": DOCUMENTED_DIFF,
        "documented snapshot": DOCUMENTED_SNAPSHOT,
        "reconnect": DOCUMENTED_RECONNECT,
        "heartbeat": DOCUMENTED_HEARTBEAT,
        "acknowledgement": DOCUMENTED_SUBSCRIBED,
        "error": DOCUMENTED_ERROR,
    },
    live=live,
    names=lambda message: _channels("bts:subscribe", message),
    dropped=lambda message: _channels("bts:unsubscribe", message),
    acknowledge=_acknowledge,
    unknown=(
        encoded({"event": "order_created", "channel": "live_orders_btcusd", "data": {"id": 1}}),
        trade("nosuch", 1),
        book("nosuch", 1),
        DOCUMENTED_DIFF,
        DOCUMENTED_ERROR,
        DOCUMENTED_SUBSCRIBED,
        encoded({"news": 1}),
    ),
    torn=(
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        trade("btcusd", price_str="no number"),
        book("btcusd", 1, bids=[["nan", "1"]]),
    ),
    gap=(),
    instrument_list=MARKETS,
)
FULL = replace(CASE, live=live_in_full, options={"book": "full"})
CASES = (CASE,)
