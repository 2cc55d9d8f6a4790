"""Bybit in samples."""

import json

from connectors.bybit import Bybit
from tests.connectors.bybit_session import (
    DOCUMENTED_ACK,
    DOCUMENTED_DELTA,
    DOCUMENTED_INSTRUMENTS,
    DOCUMENTED_PONG,
    DOCUMENTED_REFUSAL,
    DOCUMENTED_RESTART,
    DOCUMENTED_SNAPSHOT,
    DOCUMENTED_TRADE,
    answer,
    book,
    encoded,
    instrument,
    trade,
)
from tests.connectors.cases.venue_case import Session, VenueCase


def _topics(op: str, message: bytes) -> list[str]:
    said = json.loads(message)
    return list(said["args"]) if said["op"] == op else []


def _acknowledge(session: Session) -> None:
    for message in session.unanswered:
        said = json.loads(message)
        if "req_id" in said:
            session.receive(answer(said["req_id"], op=said["op"]))


def _live(session: Session) -> None:
    _acknowledge(session)
    for one in session.case.instruments:
        if one.id in session.protocol.instruments:
            session.receive(book(one.native, 100, "snapshot"))


CASES = (
    VenueCase(
        venue=Bybit(),
        instruments=(instrument("BTC-USDT"), instrument("ETH-USDT"), instrument("ETH-BTC")),
        frames={
            "trade": trade("BTCUSDT", 1, 2),
            "delta": book("BTCUSDT", 101),
            "snapshot": book("BTCUSDT", 105, "snapshot"),
            "documented trade": DOCUMENTED_TRADE,
            "documented snapshot": DOCUMENTED_SNAPSHOT,
            "documented delta": DOCUMENTED_DELTA,
            "documented restart": DOCUMENTED_RESTART,
            "acknowledgement": DOCUMENTED_ACK,
            "refusal": DOCUMENTED_REFUSAL,
            "pong": DOCUMENTED_PONG,
        },
        live=_live,
        names=lambda message: _topics("subscribe", message),
        dropped=lambda message: _topics("unsubscribe", message),
        acknowledge=_acknowledge,
        unknown=(
            encoded({"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1, "data": {"s": "x"}}),
            trade("NOSUCH", 1),
            book("BTCUSDT", 101, depth=1),
        ),
        torn=(b"", b"{", b"[]", b"\xff\xfe", trade("BTCUSDT", 1, p="no number")),
        gap=(book("BTCUSDT", 105),),
        instrument_list=encoded(DOCUMENTED_INSTRUMENTS),
    ),
)
