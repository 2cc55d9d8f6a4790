"""The file of messages that no one understood, kept for people to look at."""

import logging
import time
from pathlib import Path

import msgspec

from connectors.contract import DeadLetter
from market.intervals import SECOND

MOST_BYTES = 10_000_000
FRAME_BYTES = 4_000

log = logging.getLogger(__name__)


class DeadLetterFile:
    """Appends dead letters to JSON Lines files, one a day, until each holds `MOST_BYTES`.

    Args:
        folder: made when the first letter comes.
        name: first part of the files' names; the day on which letters came, UTC, is added.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._path = folder
        self._size: int | None = None

    def write(self, letters: list[DeadLetter]) -> None:
        """Append what came; beyond the cap, or without room on disk, letters are only counted."""
        if not letters:
            return
        day = time.strftime("%Y%m%d", time.gmtime(letters[0].ts_recv // SECOND))
        path = self._folder / f"{self._name}-{day}.jsonl"
        if path != self._path:
            self._path, self._size = path, None
        try:
            self._write(letters)
        except OSError as error:
            self._size = MOST_BYTES
            log.warning(
                "cannot keep dead letters",
                extra={"path": str(self._path), "reason": error.strerror},
            )

    def _write(self, letters: list[DeadLetter]) -> None:
        if self._size is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._size = self._path.stat().st_size if self._path.exists() else 0
        if self._size >= MOST_BYTES:
            return
        lines = b"".join(
            msgspec.json.encode(
                {
                    "ts": letter.ts_recv,
                    "venue": letter.venue,
                    "reason": letter.reason,
                    "frame": letter.frame[:FRAME_BYTES].decode(errors="replace"),
                }
            )
            + b"\n"
            for letter in letters
        )
        with self._path.open("ab") as file:
            file.write(lines)
        self._size += len(lines)
