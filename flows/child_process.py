"""Child processes that never outlive us.

On Linux the kernel signals a child when the *thread* that started it ends, so children are started
from the main thread. A child has a process group of its own: Ctrl-C on a terminal reaches us
alone, and we end our children in the right order.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _tied_to(parent: int, death_signal: int) -> Callable[[], None] | None:
    """Return what the child does between fork and exec."""
    libc = _libc
    if libc is None:
        return None

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


def start(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child that is told to end when we do, however we end.

    Args:
        command: program and arguments.
        environ: its environment; ours when not given.
        stdout: as for `subprocess.Popen`.
        stderr: as for `subprocess.Popen`.
        death_signal: what the kernel sends it when we are gone.

    Raises:
        RuntimeError: not called from the main thread.
        OSError: the program cannot be started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread: they end with their thread")
    return subprocess.Popen(
        list(command),
        env=None if environ is None else dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        preexec_fn=_tied_to(os.getpid(), death_signal),  # noqa: PLW1509  it calls libc and no more
        process_group=0,
    )


def end(child: subprocess.Popen[bytes], *, grace_s: float, gentle: int = signal.SIGTERM) -> int:
    """End a child: ask, wait, then kill.

    Args:
        child: the child.
        grace_s: seconds that it gets after the signal.
        gentle: the signal that asks.

    Returns:
        Its exit code, negative for a signal.
    """
    if child.poll() is None:
        child.send_signal(gentle)
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
