"""The lock of a folder that one process at a time writes to."""

import contextlib
import fcntl
import os
from pathlib import Path

from market.errors import ConfigError


class SpoolLock:
    """Held until `release`, or until the process ends.

    Args:
        folder: whose lock; it exists.

    Raises:
        ConfigError: another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
            os.close(self._handle)
            raise ConfigError(
                f"{folder}: in use by process {holder or 'unknown'}, which keeps rows there while"
                " the database is away; end it first, or set CANDLEWAX_HOME to another folder"
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._handle)
