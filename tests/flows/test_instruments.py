import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import VENUES
from flows.instruments import list_instruments, resolve, unknown_venue
from market.errors import ConfigError, UnknownInstrumentError
from market.instruments import Instrument, InstrumentList

BINANCE = VENUES["binance"]

LISTED = b"""{"timezone": "UTC", "serverTime": 1, "rateLimits": [], "exchangeFilters": [],
"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
"isSpotTradingAllowed": true, "filters": [
{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
{"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"}]}]}"""


class Answer:
    """What the venue answers to everything."""

    status = 200
    body = LISTED


@pytest.fixture
def venue() -> Iterator[tuple[str, Answer]]:
    answer = Answer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answer
        server.shutdown()
        thread.join()


def test_a_venues_list_is_read(venue: tuple[str, Answer]) -> None:
    (found,) = list_instruments(BINANCE, venue[0])
    assert (found.id, found.native) == ("binance:BTC-USDT", "BTCUSDT")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (451, b"", "HTTP 451, not available from this country"),
        (418, b"", "HTTP 418, banned"),
        (500, b"the server is on fire", "HTTP 500, the server is on fire"),
        (200, b"<html>", "does not look like the venue's list"),
    ],
)
def test_a_list_that_cannot_be_had_is_told_of(
    status: int, body: bytes, said: str, venue: tuple[str, Answer]
) -> None:
    url, answer = venue
    answer.status, answer.body = status, body
    with pytest.raises(ConfigError, match=said) as told:
        list_instruments(BINANCE, url)
    assert url in str(told.value)


def test_a_venue_that_does_not_answer_is_told_of(venue: tuple[str, Answer], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set feeds\.binance\.rest_url"):
        list_instruments(BINANCE, "http://127.0.0.1:1")


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(venue="binance", symbol=symbol, native=base + quote, base=base, quote=quote)


def test_symbols_are_found_by_any_spelling_and_once() -> None:
    known = InstrumentList(map(instrument, ["BTC-USDT", "ETH-BTC", "LTC-BTC"]))
    found = resolve(["ethbtc", "BTC/USDT", "ETH-BTC", "btcusdt"], known, venue="binance")
    assert [one.symbol for one in found] == ["ETH-BTC", "BTC-USDT"]


def test_one_unknown_symbol_refuses_all() -> None:
    known = InstrumentList(map(instrument, ["BTC-USDT", "ETH-BTC"]))
    with pytest.raises(UnknownInstrumentError, match="BTC-USDT"):
        resolve(["ETH-BTC", "BTC-USDTT"], known, venue="binance")


def test_an_unknown_venue_is_told_with_the_known_ones() -> None:
    assert "known are binance" in str(unknown_venue("binanse", VENUES))
