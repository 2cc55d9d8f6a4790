"""Turns captured HTX data into recordings.

    python tests/htx_captures.py trades WS_FILE OUT.jsonl.gz
    python tests/htx_captures.py books WS_FILE OUT.jsonl.gz

The capture is of 2021 and of one connection to `/ws`: `trade.detail`, and `depth.step0`, whole
books once a second. Candlewax does not subscribe to the latter. `trades` is the capture as it
is, frame by frame. `books` tells the same books in the form of today's `/feed`: a snapshot for a
symbol's first message, and for every later one what changed, with the digits as they were
written, numbered by `version`. So numbers, gzip and the joining of a book are tried on real data;
that HTX's own increments have that form is not.

The capture has no list of instruments: it is made from the symbols that occur in it.
"""

import ast
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from connectors import VENUES
from connectors.contract import FeedDescription
from connectors.feed import encode_description
from connectors.recording import Record, RecordingWriter
from market.instruments import Instrument

SECOND = 1_000_000_000
QUOTES = ("usdt", "husd", "btc", "eth")
ANSWERED_AFTER = 2 * SECOND
"""How long after a symbol's second message its snapshot comes: it has been asked for by then."""

Levels: TypeAlias = dict[str, str]
"""Sizes by price, as they were written."""


def htx_instrument(native: str) -> Instrument:
    """Name a captured symbol; the real list of instruments is not in the capture."""
    quote = next(quote for quote in QUOTES if native.endswith(quote))
    base, quote = native.removesuffix(quote).upper(), quote.upper()
    return Instrument(venue="htx", symbol=f"{base}-{quote}", native=native, base=base, quote=quote)


def frames(path: Path) -> Iterator[tuple[int, str, bytes]]:
    """Yield receive time in ns, `sent` or `binary`, and the bytes."""
    for line in path.read_text().splitlines():
        if sent := re.fullmatch(r"\S+ <- ([\d.]+): (.*)", line):
            yield round(float(sent[1]) * SECOND), "sent", sent[2].encode()
        elif came := re.fullmatch(r"([\d.]+): (b.*)", line):
            yield round(float(came[1]) * SECOND), "binary", ast.literal_eval(came[2])


def symbols(path: Path) -> list[str]:
    """The symbols that the captured client subscribed to."""
    subscribed = re.findall(r'"sub": ?"market\.(\w+)\.', path.read_text())
    return list(dict.fromkeys(subscribed))


def opening(conn: str, channel: str, natives: list[str], ts: int) -> Record:
    """The record of a connection that subscribes to these symbols."""
    venue = VENUES["htx"]
    description = FeedDescription(
        venue="htx",
        instruments=tuple(map(htx_instrument, natives)),
        websocket_url=venue.websocket_url,
        rest_url=venue.rest_url,
        channels=(channel,),
    )
    return Record(ts, conn, "open", encode_description(description))


def trades(path: Path) -> Iterator[Record]:
    """The captured connection as it was, for the trades in it."""
    conn = "htx-0-0.1"
    for number, (ts, kind, data) in enumerate(frames(path)):
        if number == 0:
            yield opening(conn, "trade", symbols(path), ts - 1)
        yield Record(ts, conn, "sent" if kind == "sent" else "binary", data)


def books(path: Path) -> Iterator[Record]:
    """The captured books as snapshots and increments."""
    conn = "htx-0-1.1"
    natives = symbols(path)
    known: dict[str, tuple[int, Levels, Levels]] = {}
    snapshots: list[tuple[int, bytes]] = []
    begun: set[str] = set()
    is_open = False
    for ts, kind, data in frames(path):
        if not is_open:
            is_open = True
            yield opening(conn, "book", natives, ts - 2)
            for native in natives:
                topic = f"market.{native}.mbp.150"
                said = {"id": "", "status": "ok", "subbed": topic, "ts": ts // 1_000_000}
                yield Record(ts - 1, conn, "binary", packed(json.dumps(said)))
        while snapshots and snapshots[0][0] <= ts:
            due, reply = snapshots.pop(0)
            yield Record(due, conn, "binary", reply)
        text = gzip.decompress(data) if kind == "binary" else b""
        if b".depth.step0" not in text or b'"ch"' not in text:
            continue
        message = json.loads(text, parse_float=str, parse_int=str)
        native = message["ch"].split(".")[1]
        tick = message["tick"]
        bids, asks = dict(tick["bids"]), dict(tick["asks"])
        before = known.get(native)
        version = int(tick["version"])
        known[native] = (version, bids, asks)
        if before is None or version <= before[0]:
            continue
        last, old_bids, old_asks = before
        if native not in begun:
            begun.add(native)
            answer = (
                f'{{"id":"","rep":"market.{native}.mbp.150","status":"ok","ts":{message["ts"]},'
                f'"data":{{"seqNum":{last},{sides(old_bids, old_asks)}}}}}'
            )
            snapshots.append((ts + ANSWERED_AFTER, packed(answer)))
        update = (
            f'{{"ch":"market.{native}.mbp.150","ts":{message["ts"]},"tick":{{"seqNum":{version},'
            f'"prevSeqNum":{last},{sides(changes(old_bids, bids), changes(old_asks, asks))}}}}}'
        )
        yield Record(ts, conn, "binary", packed(update))


def changes(before: Levels, after: Levels) -> Levels:
    """What changed; a level that has gone has size 0."""
    changed = {price: size for price, size in after.items() if before.get(price) != size}
    return changed | {price: "0.0" for price in before if price not in after}


def sides(bids: Levels, asks: Levels) -> str:
    """Both sides as JSON, with the digits that they had."""
    told = [
        f'"{name}":[{",".join(f"[{price},{size}]" for price, size in levels.items())}]'
        for name, levels in (("bids", bids), ("asks", asks))
    ]
    return ",".join(told)


def packed(text: str) -> bytes:
    """Return a frame of HTX."""
    return zlib.compress(text.encode(), 6, 31)


def write(records: Iterator[Record], out: Path) -> int:
    """Write a recording, with a heartbeat a second, and return how many records it has."""
    writer = RecordingWriter(out)
    due = 0
    for record in records:
        while due and record.ts >= due:
            writer.write(Record(due, record.feed, "heartbeat"))
            due += SECOND
        writer.write(record)
        due = due or record.ts + SECOND
    writer.close()
    return writer.records


def main() -> None:
    """Convert what the command line names."""
    match sys.argv[1:]:
        case ["trades", source, out]:
            count = write(trades(Path(source)), Path(out))
        case ["books", source, out]:
            count = write(books(Path(source)), Path(out))
        case _:
            sys.exit(__doc__)
    print(json.dumps({"records": count}))


if __name__ == "__main__":
    main()
