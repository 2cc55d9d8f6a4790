"""A venue's list in pages, behind a key."""

import http.server
import json
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors import VENUES
from flows.instruments import list_instruments
from market.errors import ConfigError

MASSIVE = VENUES["massive"]
KEY = "the-users-key"


class Pages:
    """Three pages; each names the next at the venue's own host, and holds the key if asked to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.is_endless = False

    def answer(self, path: str, header: str) -> tuple[int, bytes]:
        self.asked.append((path, header))
        if header != f"Bearer {KEY}":
            return 401, b'{"status":"ERROR","error":"Unknown API Key"}'
        query = parse_qs(urlsplit(path).query)
        number = int(query.get("cursor", ["0"])[0])
        base = ("BTC", "ETH", "SOL")[number % 3]
        ticker = {"ticker": f"X:{base}USD", "base_currency_symbol": base, "currency_symbol": "USD"}
        page: dict[str, object] = {"status": "OK", "results": [ticker]}
        if number < 2 or self.is_endless:
            following = (number + 1) % 3
            page["next_url"] = f"https://elsewhere.test/v3/reference/tickers?cursor={following}"
        return self.status, json.dumps(page).encode()


@pytest.fixture
def venue() -> Iterator[tuple[str, Pages]]:
    pages = Pages()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/massive", pages
        server.shutdown()
        thread.join()


def test_all_pages_are_read_at_the_host_that_was_named(venue: tuple[str, Pages]) -> None:
    url, pages = venue
    found = list_instruments(MASSIVE, url, key=KEY)
    assert [one.symbol for one in found] == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert [path for path, _ in pages.asked] == [
        "/massive/v3/reference/tickers?market=crypto&active=true&limit=1000",
        "/massive/v3/reference/tickers?cursor=1",
        "/massive/v3/reference/tickers?cursor=2",
    ]
    assert {header for _, header in pages.asked} == {f"Bearer {KEY}"}


def test_a_key_that_is_refused_is_named_by_its_variables(venue: tuple[str, Pages]) -> None:
    with pytest.raises(ConfigError, match="MASSIVE_API_KEY or POLYGON_API_KEY") as caught:
        list_instruments(MASSIVE, venue[0], key="another")
    assert "another" not in str(caught.value)


def test_a_list_that_goes_round_in_circles_is_left(venue: tuple[str, Pages]) -> None:
    venue[1].is_endless = True
    with pytest.raises(ConfigError, match="has no end"):
        list_instruments(MASSIVE, venue[0], key=KEY)
