"""Alerts as lines on the terminal: the target that needs no account."""

from datetime import UTC, datetime
from typing import TextIO

from market.intervals import SECOND
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.message import Message

_UNPRINTABLE = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}


class ConsoleTarget:
    """Prints each alert as one block, in one write, so that log lines do not cut it.

    Args:
        stream: where to print, usually `sys.stdout`. Letters that it cannot encode are escaped.
    """

    traits = Traits()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, message: Message, now: int) -> Delivered:
        """Print the message after the time in UTC; further lines are indented.

        Raises:
            DeliveryError: the stream is closed; permanent, nobody reads it any more.
        """
        time = datetime.fromtimestamp(now // SECOND, UTC).strftime("%H:%M:%S")
        # A terminal obeys control characters; an alert has no business giving it orders.
        block = message.text.strip("\n").translate(_UNPRINTABLE).replace("\n", "\n    ")
        try:
            encoding = self._stream.encoding or "utf-8"
            printable = block.encode(encoding, "backslashreplace").decode(encoding)
            self._stream.write(f"ALERT {time} UTC  {printable}\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise DeliveryError(f"console: {error}", failure=Failure.PERMANENT) from error
        return Delivered()

    def abort(self) -> None:
        """Do nothing: a print does not wait for an answer."""

    def close(self) -> None:
        """Do nothing: the stream belongs to whoever gave it."""
