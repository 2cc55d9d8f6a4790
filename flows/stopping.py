"""A clean end: a signal sets a flag, every input ends, what is left goes through, exit code 0."""

import os
import signal
import threading
from types import FrameType

HARD_STOP_S = 5.0
"""A flow that has not ended by then is ended."""


class Stopping:
    """Turns SIGTERM and SIGINT into the end of every input.

    Attributes:
        flag: set once the flow shall end.
    """

    def __init__(self) -> None:
        self.flag = threading.Event()

    def install(self) -> None:
        """Take over the signals; call on the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.flag.is_set():
            return
        self.flag.set()
        timer = threading.Timer(HARD_STOP_S, os._exit, (1,))
        timer.daemon = True
        timer.start()
