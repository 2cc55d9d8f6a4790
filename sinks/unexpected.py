"""Errors that nobody foresaw, in threads that shall outlive them."""

import logging
from types import TracebackType
from typing import Self

from prometheus_client import Counter

ERRORS = Counter(
    "candlewax_thread_errors_total",
    "Errors that nobody foresaw, in threads beside the flow; each is in the log with its traceback",
    ["thread"],
)


class Contained:
    """A context in which a bug costs what it was doing, and not the thread.

    The bug is loud: logged with its traceback, and counted. What ends a thread or a task on purpose
    (`CancelledError`, `SystemExit`, `KeyboardInterrupt`) passes.

    Args:
        log: of the caller.
        thread: name of the thread, for the metric.
        message: what was being done, for the log.
        facts: more of it.

    Attributes:
        failed: whether an error was contained.
    """

    def __init__(
        self, log: logging.Logger, thread: str, message: str, **facts: str | int | None
    ) -> None:
        self._log = log
        self._thread = thread
        self._message = message
        self._facts = facts
        self.failed = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        """End; return whether there was an error, which goes no further."""
        if not isinstance(error, Exception):
            return False
        ERRORS.labels(self._thread).inc()
        self._log.error(self._message, exc_info=error, extra=self._facts)
        self.failed = True
        return True
