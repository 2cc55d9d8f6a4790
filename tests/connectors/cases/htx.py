"""HTX in samples: a case for its trades and one for its books."""

import json

from connectors.htx import Htx
from tests.connectors.cases.venue_case import Session, VenueCase
from tests.connectors.htx_session import (
    DOCUMENTED,
    acknowledgement,
    encoded,
    instrument,
    packed,
    refusal,
    row,
    snapshot,
    trades,
    update,
)


def _topics(verb: str, message: bytes) -> list[str]:
    said = json.loads(message)
    return [said[verb]] if verb in said else []


def _acknowledge(session: Session) -> None:
    for message in session.unanswered:
        said = json.loads(message)
        if "sub" in said or "unsub" in said:
            session.receive(acknowledgement(said))


def _live(session: Session) -> None:
    answered = 0
    while not session.protocol.is_live:
        for message in session.messages[answered:]:
            answered += 1
            said = json.loads(message)
            if "sub" in said:
                session.receive(acknowledgement(said))
            elif "req" in said:
                session.receive(snapshot(100, said["req"].split(".")[1], said["id"]))
        session.wait(1)
    session.answered = answered


_INSTRUMENTS = (instrument("BTC-USDT"), instrument("ETH-USDT"), instrument("BNB-BTC"))
_LIST = encoded(
    {
        "status": "ok",
        "data": [
            {
                "base-currency": "btc",
                "quote-currency": "usdt",
                "price-precision": 2,
                "amount-precision": 6,
                "symbol-partition": "main",
                "symbol": "btcusdt",
                "state": "online",
                "value-precision": 8,
            }
        ],
    }
)
_SAME = {
    "ping": packed(DOCUMENTED["ping"]),
    "acknowledgement": packed(DOCUMENTED["acknowledgement"]),
    "refusal": packed(DOCUMENTED["refusal"]),
    "refusal of the first": refusal("1"),
}
_UNKNOWN = (
    packed({"ch": "market.btcusdt.news", "ts": 1, "tick": {}}),
    packed({"ch": "market.nosuch.trade.detail", "ts": 1, "tick": {"data": []}}),
    packed({"hello": 1}),
)
_TORN = (
    b"",
    b"{}",
    b"\x1f\x8b",
    packed(b"[]"),
    packed(b"{"),
    packed(b"\xff"),
    packed(DOCUMENTED["ping"])[:-3],
    packed(DOCUMENTED["ping"]) + b"more",
    packed({"ping": "soon"}),
)

CASES = (
    VenueCase(
        venue=Htx(),
        instruments=_INSTRUMENTS,
        channels=("trade",),
        frames={
            "trade": trades("btcusdt", t=1),
            "trades of one order": trades("btcusdt", row(7), row(6)),
            "documented trades": packed(DOCUMENTED["trades"]),
            **_SAME,
        },
        live=_live,
        names=lambda message: _topics("sub", message),
        dropped=lambda message: _topics("unsub", message),
        acknowledge=_acknowledge,
        unknown=_UNKNOWN,
        torn=(*_TORN, trades("btcusdt", price="no number")),
        gap=(),
        instrument_list=_LIST,
    ),
    VenueCase(
        venue=Htx(),
        instruments=_INSTRUMENTS,
        channels=("book",),
        frames={
            "update": update("btcusdt", 100, 101),
            "empty update": update("btcusdt", 100, 101, bids=[], asks=[]),
            "documented update": packed(DOCUMENTED["update"]),
            "documented snapshot": packed(DOCUMENTED["snapshot"]),
            **_SAME,
        },
        live=_live,
        names=lambda message: _topics("sub", message),
        dropped=lambda message: _topics("unsub", message),
        acknowledge=_acknowledge,
        unknown=(*_UNKNOWN, packed(DOCUMENTED["one side"])),
        torn=(*_TORN, update("btcusdt", 100, 101, bids=[[0, 1]])),
        gap=(update("btcusdt", 105, 106),),
        instrument_list=_LIST,
    ),
)
