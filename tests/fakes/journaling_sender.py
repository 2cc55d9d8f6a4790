"""A program: a writer without its database, and a sender that kills itself at a chosen point.

python -m tests.fakes.journaling_sender SPOOL POINT

POINT is before (the call), after it, or commit (of its answer to the disk). CHAT_URL and
TELEGRAM_BOT_TOKEN are set. One critical alert for `telegram/main` is fired; nobody comes back.
"""

import os
import sys
import time
from pathlib import Path

from sinks.alert_settings import AlertSettings
from sinks.rows import pack
from sinks.secret import Secret, read_secret
from sinks.sender import Sender
from sinks.settings import StoreSettings
from sinks.spool import Spool
from sinks.telegram.target import TelegramTarget
from sinks.writer import Writer
from tests.fakes.killed_flow import alert_cells
from tests.fakes.killed_sender import Deadly, die

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def die_before_sync(call: int) -> None:
    """Make the process end when something was written to the disk and is not synced."""
    sync = Spool.sync
    left = call

    def deadly(spool: Spool) -> None:
        nonlocal left
        if spool.folder.name.startswith("alerts"):
            left -= 1
            if not left:
                die()
        sync(spool)

    setattr(Spool, "sync", deadly)  # noqa: B010 - mypy knows no other way


def main(spool: str, point: str) -> None:
    token = read_secret("TELEGRAM_BOT_TOKEN", os.environ)
    assert token is not None
    target = TelegramTarget(token, 42, base_url=os.environ["CHAT_URL"])
    writer = Writer(
        NOWHERE, StoreSettings(spool_free_bytes=0), name="store-0", notify=True, spool=Path(spool)
    )
    if point == "commit":
        die_before_sync(3)  # the alert, the attempt, its answer
    sender = Sender(Secret(NOWHERE), {"telegram/main": Deadly(target, point, 1)}, AlertSettings())
    sender.start()
    writer.put(pack("alerts", [alert_cells(0, now=time.time_ns(), targets=["telegram/main"])]))
    time.sleep(30)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
