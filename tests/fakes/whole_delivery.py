"""A program: delivers what is in the outbox by the whole configuration, and says all it can.

python whole_delivery.py SECONDS
"""

import logging
import sys
import time
from pathlib import Path

from flows import configuration, logs
from flows.alert_delivery import make_sender
from sinks.redaction import Redactor


def main() -> None:
    told = configuration.load()
    logs.configure(told.settings.log, Redactor(told.secrets), file=told.log_file)
    for name in ("httpx", "httpcore", "telegram", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    print(repr(told), repr(told.channels), told.secrets, flush=True)
    assert told.database_url is not None
    sender = make_sender(told, told.database_url, sys.stdout)
    sender.start()
    deadline = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < deadline and not Path("stop").exists():
        time.sleep(0.05)
    sys.exit(0 if sender.stop() else 1)


if __name__ == "__main__":
    main()
