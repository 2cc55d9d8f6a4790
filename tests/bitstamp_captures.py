"""Turns cryptofeed's captures of Bitstamp into recordings.

    python tests/bitstamp_captures.py WS_FILE HTTP_FILE OUT.jsonl.gz

Three things of the capture are not as our feed would have met them, and are put right here:

* Its client did not read for six seconds while it fetched the books: what had come by then all
  bears the time of one moment. A message is given the time at which it can have come, a tenth of a
  second after its `microtimestamp`, where that is earlier.
* It fetched each book once, at an address without a query. The answer is given to our request for
  that book, and again where we ask again.
* There is no list of instruments: it is made from the markets that were subscribed to.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from connectors import VENUES
from connectors.contract import FeedDescription, Request
from connectors.feed import Feed
from connectors.recording import Record, RecordingWriter
from market.instruments import Instrument

SECOND = 1_000_000_000
ON_THE_WAY = SECOND // 10
FEED = "bitstamp-0-0"
CONN = f"{FEED}.1"
QUOTES = ("btc", "usd", "eur")


def bitstamp_instrument(native: str) -> Instrument:
    """Name a captured market; the real list of instruments is not in the capture."""
    quote = next(quote for quote in QUOTES if native.endswith(quote))
    base, quote = native.removesuffix(quote).upper(), quote.upper()
    return Instrument(
        venue="bitstamp", symbol=f"{base}-{quote}", native=native, base=base, quote=quote
    )


def opening(natives: list[str], ts: int) -> Record:
    """The record of a connection that follows whole books, as the capture has them."""
    venue = VENUES["bitstamp"]
    description = FeedDescription(
        venue="bitstamp",
        instruments=tuple(map(bitstamp_instrument, natives)),
        websocket_url=venue.websocket_url,
        rest_url=venue.rest_url,
        options={"book": "full"},
    )
    return Record(ts, CONN, "open", msgspec.json.encode(description))


def messages(websocket: Path) -> list[tuple[int, bytes]]:
    """What came over the websocket, by the times at which it can have come."""
    came = []
    for line in websocket.read_text().splitlines():
        match = re.match(r"([\d.]+): (.*)", line)
        if match is None:
            continue
        ts = round(float(match[1]) * SECOND)
        stamp = json.loads(match[2])["data"].get("microtimestamp")
        if stamp is not None:
            ts = min(ts, int(stamp) * 1_000 + ON_THE_WAY)
        came.append((ts, match[2].encode()))
    first = min(ts for ts, _ in came)
    # Acknowledgements bear no time of their own: they came before the first message.
    came = [(first if b'"data":{}' in body else ts, body) for ts, body in came]
    return sorted(came, key=lambda message: message[0])


def answers(http: Path) -> dict[str, tuple[int, bytes]]:
    """REST's books and when they came, by market."""
    found = {}
    for line in http.read_text().splitlines():
        match = re.fullmatch(r"\S+/order_book/(\w+) -> ([\d.]+): (.*)", line)
        if match is not None:
            found[match[1]] = (round(float(match[2]) * SECOND), match[3].encode())
    return found


def cryptofeed(websocket: Path, http: Path) -> Iterator[Record]:
    """Yield the records of the capture, as they come to our feed, which says what it asks for."""
    came, books = messages(websocket), answers(http)
    begin = came[0][0] - SECOND // 10
    record = opening(list(books), begin)
    description = msgspec.json.decode(record.body, type=FeedDescription)
    feed = Feed(FEED, VENUES["bitstamp"], description)
    due = begin + SECOND
    asked: list[Request] = []

    def given(record: Record) -> Record:
        feed.take(record)
        assert not feed.failures()
        asked.extend(item for _, item in feed.outgoing() if isinstance(item, Request))
        return record

    def passing(until: int) -> Iterator[Record]:
        """The seconds up to then, and the answers that come in them."""
        nonlocal due
        while due <= until:
            yield given(Record(due, FEED, "heartbeat"))
            for request in asked[:]:
                ts, body = books[request.subject.rpartition("_")[2]]
                if ts <= due:
                    asked.remove(request)
                    yield given(Record(due + 1, CONN, "http", body, request.url))
            due += SECOND

    yield given(record)
    for ts, body in came:
        yield from passing(ts)
        yield given(Record(max(ts, due - SECOND + 2), CONN, "text", body))


def write(records: Iterator[Record], out: Path) -> int:
    """Write a recording and return how many records it has."""
    writer = RecordingWriter(out)
    for record in records:
        writer.write(record)
    writer.close()
    return writer.records


def main() -> None:
    """Convert what the command line names."""
    match sys.argv[1:]:
        case [websocket, http, out]:
            print(
                json.dumps({"records": write(cryptofeed(Path(websocket), Path(http)), Path(out))})
            )
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
