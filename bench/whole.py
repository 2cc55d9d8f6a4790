"""The whole way, measured: simulator → socket → reader → flow → COPY → PostgreSQL.

`python -m bench.whole [--seconds 15] [--rate 40]` starts a simulator of twenty symbols and the
shipped flow with an embedded database in a folder of their own, and prints one JSON object:
messages a second and for each second of the flow's CPU, rows, and the time from the socket to the
alert's row for a spec that fires often.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import psycopg

from flows.configuration import SECRETS
from flows.home import Running
from flows.status import FlowStatus

SPEC = """version: 1
filters:
  - id: bench
    source: {stream: book, symbols: ["*"]}
    when: [book.imbalance(10) > 0]
    cooldown: 1s
    severity: info
    notify:
      - to: console
"""
SECONDS = 15.0
RATE = 40.0
SYMBOLS = 20
START_LIMIT_S = 60
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_status(home: Path) -> FlowStatus:
    """Return what the flow has counted; zeros before it has begun."""
    file = home / "status" / "flow-0.json"
    if not file.exists():
        return FlowStatus()
    return msgspec.json.decode(file.read_bytes(), type=FlowStatus)


def measure(seconds: float, rate: float, symbols: int) -> dict[str, float]:
    """Run everything once and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (home / "specs").mkdir(parents=True)
        (home / "specs" / "bench.yaml").write_text(SPEC)
        simulator = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulator", "--venues", "binance"),
                *("--rate", str(rate), "--until-stdin-closes"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert simulator.stdin is not None
        assert simulator.stdout is not None
        addresses = json.loads(simulator.stdout.readline())
        names = listed(addresses["rest"] + "/binance")[:symbols]
        feed = {
            "symbols": names,
            "websocket_url": addresses["websocket"] + "/binance",
            "rest_url": addresses["rest"] + "/binance",
        }
        environ = {
            **surroundings(),
            "CANDLEWAX_HOME": str(home),
            "CANDLEWAX__FEEDS": json.dumps({"binance": feed}),
            "CANDLEWAX__FILTERS__FOLDER": str(home / "specs"),
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
                return figures(flow.pid, home, seconds)
            finally:
                flow.send_signal(signal.SIGTERM)
                flow.wait(15)
                simulator.stdin.close()
                simulator.wait(5)


def surroundings() -> dict[str, str]:
    """Return our environment without what would change the run, or lead it to a real database."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CANDLEWAX", *SECRETS))
    }


def listed(rest_url: str) -> list[str]:
    """Return the symbols that the simulator trades."""
    info = httpx.get(f"{rest_url}/api/v3/exchangeInfo").json()
    return [one["symbol"] for one in info["symbols"]]


def figures(pid: int, home: Path, seconds: float) -> dict[str, float]:
    """Watch a running flow for a while."""
    deadline = time.monotonic() + START_LIMIT_S
    while read_status(home).trades < 100 and time.monotonic() < deadline:
        time.sleep(0.2)
    if not read_status(home).trades:
        words = (home / "words").read_text(errors="replace")
        raise SystemExit(f"no trade came within {START_LIMIT_S} s; the flow said:\n{words}")
    before, cpu, began = read_status(home), cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    after, used, lasted = read_status(home), cpu_seconds(pid) - cpu, time.monotonic() - began
    messages = after.trades + after.book_updates - before.trades - before.book_updates
    running = msgspec.json.decode((home / "run.json").read_bytes(), type=Running)
    with psycopg.connect(running.database_url) as connection:
        waits = [
            row[0]
            for row in connection.execute(
                "SELECT extract(epoch FROM created_at - fired_at) * 1000 FROM outbox"
            )
        ]
    waits = sorted(map(float, waits))
    return {
        "seconds": round(lasted, 1),
        "messages_per_second": round(messages / lasted),
        "messages_per_cpu_second": round(messages / used),
        "cpu_share": round(used / lasted, 2),
        "rows_per_second": round(
            (sum(after.rows_written.values()) - sum(before.rows_written.values())) / lasted
        ),
        "gaps": after.gaps,
        "alerts": len(waits),
        "socket_to_alert_row_p50_ms": round(statistics.median(waits), 1) if waits else 0,
        "socket_to_alert_row_p99_ms": round(waits[int(len(waits) * 0.99)], 1) if waits else 0,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    options = parser.parse_args()
    print(json.dumps(measure(options.seconds, options.rate, options.symbols)))


if __name__ == "__main__":
    main()
