"""Bytes that nobody can use, in files for people to look at: bounded, and what came first stays."""

import logging
from collections.abc import Callable
from pathlib import Path

SET_ASIDE_BYTES = 1024 * 1024
"""What may be set aside where the limit is less."""
SET_ASIDE_FILES = 1000

_log = logging.getLogger(__name__)


class SetAside:
    """A folder of such files.

    Args:
        folder: made when the first one comes.
        limit: bytes that they may have together.
        keep_free: bytes that stay free on the disk.
        free: bytes that are free on the disk of a folder.
    """

    def __init__(
        self, folder: Path, *, limit: int, keep_free: int, free: Callable[[Path], int]
    ) -> None:
        self._folder = folder
        self._limit = max(limit, SET_ASIDE_BYTES)
        self._keep_free = keep_free
        self._free = free

    def keep(self, name: str, data: bytes) -> None:
        """Write a file, if there is room for it; either way the log tells."""
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            reason = self._is_full(len(data))
            if not reason:
                path.write_bytes(data)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            _log.error(
                "damaged or refused rows cannot be set aside",
                extra={"path": str(path), "bytes": len(data), "reason": reason},
            )
        else:
            _log.error(
                "damaged or refused rows are set aside",
                extra={"path": str(path), "bytes": len(data)},
            )

    def _is_full(self, size: int) -> str:
        sizes = [each.stat().st_size for each in self._folder.iterdir()]
        if len(sizes) >= SET_ASIDE_FILES or sum(sizes) + size > self._limit:
            return f"{self._folder.name} is full: look at its files, then remove them"
        if self._keep_free and self._free(self._folder) < self._keep_free + size:
            return "the disk is nearly full"
        return ""
