"""A program: a sender that kills itself at a chosen point, or serves until it is killed.

python killed_sender.py POINT      POINT: before, after, never; CHAT_DSN and CHAT_URL are set
"""

import logging
import os
import signal
import sys
import threading

from sinks.alert_settings import AlertSettings
from sinks.delivery import Delivered, Target
from sinks.message import Message
from sinks.secret import Secret, read_secret
from sinks.sender import Sender
from sinks.telegram.target import TelegramTarget


class Deadly:
    """Ends the process, as `kill -9` does, before or after the call of the target it covers."""

    def __init__(self, target: Target, point: str) -> None:
        self._target = target
        self.traits = target.traits
        self._point = point

    def send(self, message: Message, now: int) -> Delivered:
        if self._point == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        delivered = self._target.send(message, now)
        if self._point == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return delivered

    def abort(self) -> None:
        self._target.abort()

    def close(self) -> None:
        self._target.close()


def main() -> None:
    # Everything there is to say, from everybody: what of it holds the token is the test's matter.
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    token = read_secret("TELEGRAM_BOT_TOKEN", os.environ)
    assert token is not None
    target = TelegramTarget(token, 42, base_url=os.environ["CHAT_URL"])
    print(repr(token), repr(target), flush=True)
    sender = Sender(
        Secret(os.environ["CHAT_DSN"]),
        {"telegram/main": Deadly(target, sys.argv[1])},
        AlertSettings(),
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    sender.start()
    stopped.wait()
    sys.exit(0 if sender.stop() else 1)


if __name__ == "__main__":
    main()
