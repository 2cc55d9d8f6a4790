"""Binance in samples."""

import json

from connectors.binance import Binance
from tests.connectors.binance_session import (
    DOCUMENTED_DEPTH,
    DOCUMENTED_SHUTDOWN,
    DOCUMENTED_TRADE,
    depth,
    encoded,
    instrument,
    snapshot,
    trade,
)
from tests.connectors.cases.venue_case import Session, VenueCase


def _streams(method: str, message: bytes) -> list[str]:
    said = json.loads(message)
    return list(said["params"]) if said["method"] == method else []


def _acknowledge(session: Session) -> None:
    for message in session.unanswered:
        session.receive(encoded({"result": None, "id": json.loads(message)["id"]}))


def _live(session: Session) -> None:
    _acknowledge(session)
    session.wait(1.1)
    while session.requests:
        session.answer(snapshot(100))


CASES = (
    VenueCase(
        venue=Binance(),
        instruments=(instrument("BTC-USDT"), instrument("ETH-USDT"), instrument("BNB-BTC")),
        frames={
            "trade": trade("BTCUSDT", 1),
            "depth": depth("BTCUSDT", 101, 101),
            "documented trade": DOCUMENTED_TRADE,
            "documented depth": DOCUMENTED_DEPTH,
            "shutdown": DOCUMENTED_SHUTDOWN,
            "acknowledgement": encoded({"result": None, "id": 1}),
            "refusal": encoded({"error": {"code": 2, "msg": "Invalid request"}, "id": 1}),
        },
        live=_live,
        names=lambda message: _streams("SUBSCRIBE", message),
        dropped=lambda message: _streams("UNSUBSCRIBE", message),
        acknowledge=_acknowledge,
        unknown=(
            encoded({"stream": "btcusdt@news", "data": {"e": "news", "s": "BTCUSDT"}}),
            trade("NOSUCH", 1),
        ),
        torn=(b"", b"{", b"[]", b"\xff\xfe", trade("BTCUSDT", p="no number")),
        gap=(depth("BTCUSDT", 105, 106),),
        instrument_list=encoded(
            {
                "symbols": [
                    {
                        "symbol": "BTCUSDT",
                        "status": "TRADING",
                        "baseAsset": "BTC",
                        "quoteAsset": "USDT",
                        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}],
                    }
                ]
            }
        ),
    ),
)
