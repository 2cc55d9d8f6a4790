"""Restore a file, and be killed when the server has been handed the row of a trade.

    python -m tests.fakes.killed_restore FILE TRADE

The address is in KILLED_DSN.
"""

import os
import signal
import sys
from pathlib import Path

import psycopg
from psycopg.abc import Buffer

from migrations.backup import restore

_write = psycopg.Copy.write


def write(self: psycopg.Copy, buffer: Buffer | str) -> None:
    """Write as the driver does; the kill comes behind the trade."""
    _write(self, buffer)
    if isinstance(buffer, bytes) and f"\t{sys.argv[2]}\t".encode() in buffer:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    psycopg.Copy.write = write  # type: ignore[method-assign]
    restore(os.environ["KILLED_DSN"], Path(sys.argv[1]), replace=True)
