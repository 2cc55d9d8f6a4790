"""Ends a call that waits on a socket, from another thread: when it takes too long, or at a stop."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Breaker:
    """Watches over one call at a time.

    Args:
        call_s: seconds that a call may take.
    """

    def __init__(self, call_s: float) -> None:
        self._call_s = call_s
        self._lock = threading.Lock()
        self._wire: socket.socket | None = None
        self._aborted = threading.Event()
        self._late = threading.Event()

    @property
    def is_aborted(self) -> bool:
        """Whether calls are to end, for good."""
        return self._aborted.is_set()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Count the time of a call while the context is open."""
        self._late.clear()
        timer = threading.Timer(self._call_s, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._wire = None

    def watch(self, wire: socket.socket | None) -> None:
        """Name the socket that the call waits on.

        Raises:
            TimeoutError: it is too late for the call to begin.
        """
        with self._lock:
            self._wire = wire
        if self._aborted.is_set() or self._late.is_set():
            raise TimeoutError("too late to begin")

    def abort(self) -> None:
        """End the call that another thread waits in, if any."""
        self._aborted.set()
        self._cut()

    def reason(self, error: Exception) -> str:
        """Return why a call broke off, for people."""
        if self._aborted.is_set():
            return "stopped before the answer came"
        if self._late.is_set():
            return f"no answer in {self._call_s:g} s"
        return str(error) or type(error).__name__

    def _end_late(self) -> None:
        self._late.set()
        self._cut()

    def _cut(self) -> None:
        with self._lock:
            if self._wire is not None:
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket: that one is not to be used from two threads.
                    socket.socket.shutdown(self._wire, socket.SHUT_RDWR)
