"""A program: stores alerts as a flow does, from its beginning, and may kill itself half way.

python killed_flow.py DSN COUNT [BATCH]     ends in the batch of this number, before its commit
"""

import os
import signal
import sys
import time

import psycopg

from sinks.insertion import insert_alerts
from sinks.rows import Cell

BATCH = 50


def alert_cells(number: int, *, now: int, targets: list[str]) -> list[Cell]:
    """Return the row of an alert; every third is critical, every third a warning."""
    severity = ("critical", "warning", "info")[number % 3]
    symbol = ("BTC-USDT", "ETH-USDT")[number % 2]
    row: list[Cell] = [f"burst/{number}", "burst", "abc", "binance", symbol, "1m", now, now]
    return [*row, severity, f"alert {number}.", {"close": 1.0 + number}, targets, False, "[]"]


def main() -> None:
    dsn, count = sys.argv[1], int(sys.argv[2])
    fatal = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    now = time.time_ns()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for batch, first in enumerate(range(0, count, BATCH)):
            rows = [
                alert_cells(number, now=now + number, targets=["telegram/main"])
                for number in range(first, first + BATCH)
            ]
            with connection.transaction():
                insert_alerts(connection, rows, notify=True)
                if batch == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
