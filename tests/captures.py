"""Turns captured exchange data into recordings.

    python tests/captures.py hftbacktest CAPTURE.gz OUT.jsonl.gz
    python tests/captures.py cryptofeed WS_FILE HTTP_FILE OUT.jsonl.gz

The captures have no list of instruments: it is made from the symbols that occur in them.
"""

import ast
import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from connectors import VENUES
from connectors.contract import FeedDescription
from connectors.recording import Record, RecordingWriter
from market.instruments import Instrument

SECOND = 1_000_000_000
QUOTES = ("USDT", "BTC", "ETH", "EUR", "USD")
CONN = "binance-0-0.1"


def binance_instrument(native: str) -> Instrument:
    """Name a captured symbol; the real list of instruments is not in the capture."""
    quote = next(quote for quote in QUOTES if native.endswith(quote))
    base = native.removesuffix(quote)
    return Instrument(
        venue="binance", symbol=f"{base}-{quote}", native=native, base=base, quote=quote
    )


def snapshot_url(native: str) -> str:
    """Address under which the protocol asks for this book."""
    return f"{VENUES['binance'].rest_url}/api/v3/depth?symbol={native}&limit=1000"


def opening(natives: list[str], ts: int) -> Record:
    """The record of a connection that subscribes to these symbols."""
    venue = VENUES["binance"]
    description = FeedDescription(
        venue="binance",
        instruments=tuple(map(binance_instrument, natives)),
        websocket_url=venue.websocket_url,
        rest_url=venue.rest_url,
    )
    return Record(ts, CONN, "open", msgspec.json.encode(description))


def answer(ts: int) -> Record:
    """The answer to our subscription: the captured connection named its streams in its address."""
    return Record(ts, CONN, "text", b'{"result":null,"id":1}')


def with_heartbeats(records: Iterator[Record]) -> Iterator[Record]:
    """Add a heartbeat for every second that passes between the records."""
    due = None
    for record in records:
        while due is not None and record.ts >= due:
            yield Record(due, CONN.partition(".")[0], "heartbeat")
            due += SECOND
        yield record
        if due is None:
            due = record.ts + SECOND


def hftbacktest(path: Path) -> Iterator[Record]:
    """Read `<receive time ns> <json>` lines; the one with lastUpdateId is the REST snapshot."""
    with gzip.open(path, "rt") as lines:
        for number, line in enumerate(lines):
            time, _, text = line.strip().partition(" ")
            ts = int(time)
            if number == 0:
                yield opening(["BTCUSDT"], ts - 2)
                yield answer(ts - 1)
            if text.startswith('{"lastUpdateId"'):
                yield Record(ts, CONN, "http", text.encode(), snapshot_url("BTCUSDT"))
            else:
                yield Record(ts, CONN, "text", text.encode())


def cryptofeed(websocket: Path, http: Path) -> Iterator[Record]:
    """Join `<url> -> ts: body` answers and `ts: message` frames by their times."""
    records = []
    natives = []
    for line in http.read_text().splitlines():
        match = re.fullmatch(r"(\S+) -> ([\d.]+): (.*)", line)
        symbol = match and re.search(r"[?&]symbol=(\w+)", match[1])
        if match and symbol:
            natives.append(symbol[1])
            ts = round(float(match[2]) * SECOND)
            records.append(Record(ts, CONN, "http", match[3].encode(), snapshot_url(symbol[1])))
    for line in websocket.read_text().splitlines():
        match = re.match(r"([\d.]+): (.*)", line)
        if match:
            ts = round(float(match[1]) * SECOND)
            text = match[2]
            body = text.encode() if text[:1] in "{[" else ast.literal_eval(text)
            records.append(Record(ts, CONN, "text", body))
    records.sort(key=lambda record: record.ts)
    yield opening(natives, records[0].ts - 2)
    yield answer(records[0].ts - 1)
    yield from records


def write(records: Iterator[Record], out: Path) -> int:
    """Write a recording and return how many records it has."""
    writer = RecordingWriter(out)
    for record in with_heartbeats(records):
        writer.write(record)
    writer.close()
    return writer.records


def main() -> None:
    """Convert what the command line names."""
    match sys.argv[1:]:
        case ["hftbacktest", source, out]:
            count = write(hftbacktest(Path(source)), Path(out))
        case ["cryptofeed", websocket, http, out]:
            count = write(cryptofeed(Path(websocket), Path(http)), Path(out))
        case _:
            sys.exit(__doc__)
    print(json.dumps({"records": count}))


if __name__ == "__main__":
    main()
