"""A process that writes rows as a flow does, for tests that kill it.

python -m tests.fakes.writing_process DSN SPOOL FIRST COUNT

Hands over COUNT trades from FIRST on in batches of 100, a barrier after each 5,000; tells how many
are safe ("safe N": in the database or on the disk) and, once the disk is empty, ends. What keeps it
from starting is told as the program tells it: "error: " and the exit code 2.
"""

import sys
import time
from pathlib import Path

from market.errors import ConfigError
from sinks.rows import pack
from sinks.settings import StoreSettings
from sinks.writer import Writer

START = 1_732_112_220_000_000_000
EPOCH_ROWS = 5_000


def main(dsn: str, spool: str, first: int, count: int) -> int:
    """Write, tell, and end when everything is in the database."""
    settings = StoreSettings(spool_free_bytes=0)
    try:
        writer = Writer(dsn, settings, name="store-0", notify=True, spool=Path(spool))
    except ConfigError as error:
        print(f"error: {error}", flush=True)
        return 2
    print("open", flush=True)
    for number in range(first, first + count, 100):
        rows = [
            ("binance", "BTC-USDT", START + each * 1000, str(each), 1.5, 2.0, "buy", START)
            for each in range(number, number + 100)
        ]
        writer.put(pack("trades", rows))
        if (number + 100 - first) % EPOCH_ROWS == 0 and writer.barrier(0.2):
            print(f"safe {number + 100}", flush=True)
    while (state := writer.spool_state()) is not None and state.rows:
        time.sleep(0.01)
    writer.close(2.0)
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
