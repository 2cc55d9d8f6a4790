"""Minutes of faults on real sockets: `make soak`, or `python -m bench.soak [--seconds 300]`.

A simulator of all venues with a fault every five seconds, and the shipped flow with an embedded
database in a folder of its own. At the end must hold, or the exit code is 1:

* memory is at most a tenth above what it was after the warm-up, threads and sockets are as many;
* every fault that loses data has its rows in the gap ledger, of its channel and at its time;
* every book is live.

Prints one JSON object as its last line.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psycopg

from bench.whole import read_status, surroundings
from connectors import VENUES
from flows.home import Running
from flows.instruments import list_instruments
from simulator.dialects import DIALECTS

SECONDS = 300.0
WARM_UP_S = 120.0
"""What is remembered longest, how often channels speak, is remembered for two minutes."""
EVERY_S = 5
SETTLE_S = 20.0
"""Without faults at the end: what was broken must be whole again."""
SYMBOLS = 20
START_LIMIT_S = 90
GROWTH = 1.1
PAGE = os.sysconf("SC_PAGE_SIZE")
EARLIER_S, LATER_S = 3.0, 2.0
"""How far from a fault its row may begin: with the last message before it, and we saw the market
open a moment after it did. Together no longer than from one fault to the next."""

FAULTS = (
    "kind: drop, channel: depth, count: 3",
    "kind: drop, channel: trade, count: 3",
    "kind: cut",
    "kind: cut, code: 1012",
    "kind: duplicate, count: 5",
    "kind: reorder, count: 2",
    "kind: delay, for: 2s, delay: 1s",
    "kind: corrupt",
    "kind: unknown",
    "kind: flood",
)
"""One after the other; each is over before the next begins."""
LOSES = {
    "kind: drop, channel: depth, count: 3": "book",
    "kind: drop, channel: trade, count: 3": "trade",
    "kind: cut": "all",
    "kind: cut, code: 1012": "all",
    "kind: corrupt": "all",
}
"""Those that lose data, and of which channel. Of what ends connections every venue has rows; a
lost message is noticed where the venue numbers it, and has a row at one of them at least."""


class Faults:
    """The script: what happens when."""

    def __init__(self, seconds: float) -> None:
        last = seconds - SETTLE_S
        self.planned = [
            (at, text)
            for at, text in zip(
                range(EVERY_S, int(last), EVERY_S), itertools.cycle(FAULTS), strict=False
            )
        ]

    def write(self, path: Path) -> Path:
        """Write it as the simulator reads it."""
        lines = [f"  - {{at: {at}s, {text}}}\n" for at, text in self.planned]
        path.write_text("faults:\n" + "".join(lines))
        return path


class Footprint(msgspec.Struct, frozen=True):
    """What a process holds."""

    rss_mb: float
    threads: int
    sockets: int

    @classmethod
    def of(cls, pid: int) -> "Footprint":
        """Look at a process."""
        folder = Path(f"/proc/{pid}")
        pages = int((folder / "statm").read_text().split()[1])
        sockets = sum(1 for one in _links(folder / "fd") if one.startswith("socket:"))
        return cls(round(pages * PAGE / 2**20, 1), len(list((folder / "task").iterdir())), sockets)


def _links(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        try:
            yield str(entry.readlink())
        except OSError:
            continue  # closed meanwhile


def symbols_of(venue: str, rest_url: str, count: int) -> list[str]:
    """Ask a simulated venue what it trades."""
    found = list_instruments(VENUES[venue], f"{rest_url}/{venue}")
    return [one.symbol for one in found][:count]


def soak(seconds: float) -> dict[str, object]:
    """Run everything and return what was seen; `wrong` says what did not hold."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        faults = Faults(seconds)
        script = faults.write(Path(folder) / "faults.yaml")
        simulator = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulator", "--wait-for-client", "--until-stdin-closes"),
                *("--venues", ",".join(sorted(DIALECTS)), "--faults", str(script)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert simulator.stdin is not None
        assert simulator.stdout is not None
        addresses = json.loads(simulator.stdout.readline())
        feeds = {
            venue: {
                "symbols": symbols_of(venue, addresses["rest"], SYMBOLS),
                "simulated": True,
                "websocket_url": f"{addresses['websocket']}/{venue}",
                "rest_url": f"{addresses['rest']}/{venue}",
            }
            for venue in sorted(DIALECTS)
        }
        environ = {
            **surroundings(),
            "CANDLEWAX_HOME": str(home),
            "CANDLEWAX__FEEDS": json.dumps(feeds),
            "CANDLEWAX__LOG__LEVEL": "warning",
        }
        with (home / "words").open("wb") as words:
            flow = subprocess.Popen(
                [sys.executable, "-m", "bytewax.run", "flows.crypto"],
                env=environ,
                stdout=words,
                stderr=words,
            )
            try:
                return watch(flow, home, faults, seconds)
            finally:
                flow.send_signal(signal.SIGTERM)
                flow.wait(15)
                simulator.stdin.close()
                simulator.wait(5)


def watch(
    flow: "subprocess.Popen[bytes]", home: Path, faults: Faults, seconds: float
) -> dict[str, object]:
    """Look at a running flow until the end, and judge."""
    deadline = time.monotonic() + START_LIMIT_S
    while not read_status(home).trades:
        if flow.poll() is not None or time.monotonic() > deadline:
            raise SystemExit((home / "words").read_text(errors="replace"))
        time.sleep(0.05)
    began, began_ns = time.monotonic(), time.time_ns()
    warm: Footprint | None = None
    most = 0.0
    while time.monotonic() - began < seconds and flow.poll() is None:
        time.sleep(1)
        now = Footprint.of(flow.pid)
        most = max(most, now.rss_mb)
        if warm is None and time.monotonic() - began >= min(WARM_UP_S, seconds * 0.4):
            warm = now
        status = read_status(home)
        print(
            f"\r{time.monotonic() - began:4.0f} s  {now.rss_mb} MB  {now.threads} threads"
            f"  {now.sockets} sockets  {status.book_updates} book updates  {status.gaps} gaps ",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    if flow.poll() is not None or warm is None:
        raise SystemExit((home / "words").read_text(errors="replace"))
    last, status = Footprint.of(flow.pid), read_status(home)
    running = msgspec.json.decode((home / "run.json").read_bytes(), type=Running)
    with psycopg.connect(running.database_url) as connection:
        ledger = connection.execute(
            "SELECT venue, symbol, channel, reason, extract(epoch FROM started_at)"
            " FROM gaps ORDER BY started_at"
        ).fetchall()
    rows = [(row[0], row[2], float(row[4]) - began_ns / 1e9) for row in ledger]
    silent = [
        f"{text} at {at} s: {', '.join(missing)}"
        for at, text in faults.planned
        if text in LOSES and (missing := without_row(rows, at, LOSES[text]))
    ]
    not_live = sorted(name for name, book in status.books.items() if book.state != "live")
    wrong = [
        *([f"memory grew from {warm.rss_mb} to {last.rss_mb} MB"]
          if last.rss_mb > GROWTH * warm.rss_mb else []),
        *([f"threads: {warm.threads}, then {last.threads}"]
          if last.threads != warm.threads else []),
        *([f"sockets: {warm.sockets}, then {last.sockets}"]
          if last.sockets != warm.sockets else []),
        *(f"no row for {one}" for one in silent),
        *(f"not live: {one}" for one in not_live),
    ]  # fmt: skip
    return {
        "seconds": round(time.monotonic() - began, 1),
        "venues": sorted(DIALECTS),
        "books": len(status.books),
        "book_updates": status.book_updates,
        "trades": status.trades,
        "faults": len(faults.planned),
        "ledger_rows": len(ledger),
        "dead_letters": status.dead_letters,
        "warm": msgspec.to_builtins(warm),
        "end": msgspec.to_builtins(last),
        "most_rss_mb": most,
        "wrong": wrong,
    }


def without_row(rows: Sequence[tuple[str, str, float]], at: int, channel: str) -> list[str]:
    """Return the venues whose row of a fault is missing.

    Args:
        rows: venue, channel and beginning, in seconds from the opening of the market.
        at: when the fault was, the same.
        channel: what it lost.
    """
    told: dict[str, set[str]] = {}
    for venue, name, start in rows:
        if at - EARLIER_S <= start < at + LATER_S:
            told.setdefault(venue, set()).add(name)
    if channel != "all":
        return [] if any(channel in names for names in told.values()) else ["any venue"]
    return sorted(set(DIALECTS) - set(told))  # a venue with two connections has rows of channels


def main() -> int:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    told = soak(parser.parse_args().seconds)
    print(json.dumps(told))
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
