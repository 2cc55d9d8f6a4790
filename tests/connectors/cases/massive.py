"""Massive in samples."""

import json

from connectors.massive import Massive
from tests.connectors.cases.venue_case import Session, VenueCase
from tests.connectors.massive_session import (
    AUTHENTICATED,
    CONNECTED,
    DOCUMENTED_FAIR_VALUE,
    DOCUMENTED_LEVELS,
    DOCUMENTED_QUOTE,
    DOCUMENTED_TRADE,
    acknowledgement,
    bar,
    encoded,
    instrument,
    quote,
    status,
    trade,
)


def _params(action: str, message: bytes) -> list[str]:
    said = json.loads(message)
    return said["params"].split(",") if said["action"] == action else []


def _acknowledge(session: Session) -> None:
    for message in session.unanswered:
        for action in ("subscribe", "unsubscribe"):
            for param in _params(action, message):
                session.receive(acknowledgement(param, action=f"{action}d"))


def _live(session: Session) -> None:
    session.receive(CONNECTED)
    session.receive(AUTHENTICATED)
    _acknowledge(session)
    for followed in session.case.instruments:
        if followed.id in session.protocol.instruments:
            session.receive(quote(followed.native))


CASES = (
    VenueCase(
        venue=Massive(),
        instruments=(instrument("BTC-USD"), instrument("ETH-USD"), instrument("SOL-USD")),
        frames={
            "trade": trade(),
            "quote": quote(),
            "minute": bar("XA"),
            "second": bar("XAS"),
            "documented trade": DOCUMENTED_TRADE,
            "documented quote": DOCUMENTED_QUOTE,
            "greeting": CONNECTED,
            "login": AUTHENTICATED,
            "acknowledgement": acknowledgement("XT.BTC-USD", "XQ.BTC-USD"),
            "not authorized": status("error", "not authorized"),
            "key refused": status("auth_failed", "authentication failed"),
            "login too late, refused": status("auth_timeout", "too late"),
            "place refused": status("max_connections", "Maximum number of connections exceeded."),
        },
        live=_live,
        names=lambda message: _params("subscribe", message),
        dropped=lambda message: _params("unsubscribe", message),
        acknowledge=_acknowledge,
        unknown=(DOCUMENTED_LEVELS, DOCUMENTED_FAIR_VALUE, trade("NO-SUCH"), encoded([{}])),
        torn=(b"", b"{", b"{}", b"[1]", b"\xff\xfe", trade(p="no number"), quote(t="x")),
        gap=(),  # a quote has no sequence
        instrument_list=encoded(
            {
                "results": [
                    {
                        "ticker": "X:BTCUSD",
                        "name": "Bitcoin - United States Dollar",
                        "market": "crypto",
                        "locale": "global",
                        "active": True,
                        "currency_symbol": "USD",
                        "currency_name": "United States Dollar",
                        "base_currency_symbol": "BTC",
                        "base_currency_name": "Bitcoin",
                        "last_updated_utc": "2026-11-20T00:00:00Z",
                    }
                ],
                "status": "OK",
                "count": 1,
                "next_url": "https://api.massive.com/v3/reference/tickers?cursor=YWN0aXZl",
            }
        ),
        options={"aggregates": True},
    ),
)
