"""A program: a sender that kills itself at a chosen point, or serves until it is killed.

python killed_sender.py POINT [CALL]

POINT is before (the call), after (it), commit (of its answer) or never; CALL counts from 1.
CHAT_DSN and CHAT_URL are set, PER_S where messages are limited.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

import psycopg

from sinks import outbox
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.delivery import Delivered, Target
from sinks.message import Message
from sinks.outbox_row import OutboxRow
from sinks.secret import Secret, read_secret
from sinks.sender import Sender
from sinks.telegram.limits import pace_of
from sinks.telegram.target import TelegramTarget


class Deadly:
    """Ends the process, as `kill -9` does, before or after a call of the target it covers."""

    def __init__(self, target: Target, point: str, call: int) -> None:
        self._target = target
        self.traits = target.traits
        self._point = point
        self._left = call

    def send(self, message: Message, now: int) -> Delivered:
        self._left -= 1
        if self._point == "before" and not self._left:
            die()
        delivered = self._target.send(message, now)
        if self._point == "after" and not self._left:
            die()
        return delivered

    def abort(self) -> None:
        self._target.abort()

    def close(self) -> None:
        self._target.close()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_commit(call: int) -> None:
    """Make the process end when an answer has been written and not been committed."""
    record = outbox.record_sent
    left = call

    def deadly(
        connection: psycopg.Connection, rows: Sequence[OutboxRow], message_id: str | None
    ) -> int:
        nonlocal left
        left -= 1
        with connection.transaction():
            done = record(connection, rows, message_id)
            if not left:
                die()
        return done

    outbox.record_sent = deadly


def main() -> None:
    # Everything there is to say, from everybody: what of it holds the token is the test's matter.
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    token = read_secret("TELEGRAM_BOT_TOKEN", os.environ)
    assert token is not None
    point, call = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    per_s = os.environ.get("PER_S")
    target = TelegramTarget(
        token,
        42,
        base_url=os.environ["CHAT_URL"],
        pace=pace_of(42, TelegramSettings(private_per_s=int(per_s))) if per_s else None,
    )
    print(repr(token), repr(target), flush=True)
    if point == "commit":
        die_before_commit(call)
    sender = Sender(
        Secret(os.environ["CHAT_DSN"]),
        {"telegram/main": Deadly(target, point, call)},
        AlertSettings() if per_s else AlertSettings(digest_from=1000),
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    sender.start()
    stopped.wait()
    sys.exit(0 if sender.stop() else 1)


if __name__ == "__main__":
    main()
