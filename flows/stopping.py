"""A clean end: a signal sets a flag, every input ends, what is left goes through, exit code 0."""

import atexit
import logging
import os
import signal
import sys
import threading
from types import FrameType

from sinks.unexpected import ERRORS

HARD_STOP_S = 5.0
"""A flow that has not ended by then is ended."""

log = logging.getLogger(__name__)


class Stopping:
    """Turns SIGTERM and SIGINT into the end of every input.

    A thread that dies of a bug ends the flow too, loudly: exit code 1.

    Attributes:
        flag: set once the flow shall end.
    """

    def __init__(self) -> None:
        self.flag = threading.Event()
        self._failed = False

    def install(self) -> None:
        """Take over the signals; call on the main thread, before anything is registered there."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        threading.excepthook = self._died
        atexit.register(self._last)  # registered first, so it runs last

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.flag.is_set():
            return
        self._end()

    def _died(self, died: threading.ExceptHookArgs) -> None:
        name = died.thread.name if died.thread is not None else "a thread"
        trace = (died.exc_type, died.exc_value, died.exc_traceback)
        log.critical("thread died: the flow ends", exc_info=trace, extra={"thread_name": name})  # type: ignore[arg-type]
        ERRORS.labels(name).inc()
        self._failed = True
        self._end()

    def _end(self) -> None:
        self.flag.set()
        timer = threading.Timer(HARD_STOP_S, os._exit, (1,))
        timer.daemon = True
        timer.start()

    def _last(self) -> None:
        if self._failed:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(1)
