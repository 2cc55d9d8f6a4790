"""How much room recordings and dead letters may take: the oldest files go."""

import logging
import time
from pathlib import Path

from flows.home import Home
from sinks.settings import RetentionSettings

IN_USE_S = 3600.0
"""A file that was written to within this time is kept: it may still be open."""
GIGABYTE = 1_000_000_000

_log = logging.getLogger(__name__)


def prune_home(home: Home, settings: RetentionSettings) -> list[Path]:
    """Remove the oldest recordings and dead letters of a state folder, as far as they are too much.

    Args:
        home: the state folder.
        settings: how much there may be.

    Returns:
        What was removed.
    """
    now = time.time()
    removed = prune(home.recordings, int(settings.recordings_gb * GIGABYTE), now=now)
    return removed + prune(home.dead, int(settings.dead_letters_gb * GIGABYTE), now=now)


def prune(folder: Path, limit: int, *, now: float) -> list[Path]:
    """Remove the oldest files of a folder until those left are within a limit.

    Files that may still be written to are never removed; while they alone are over the limit a
    warning says so.

    Args:
        folder: may be missing.
        limit: bytes; 0 for no limit.
        now: our clock, seconds since 1970.

    Returns:
        What was removed, the oldest first.
    """
    if not limit or not folder.is_dir():
        return []
    files = []
    for path in folder.rglob("*"):
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue  # another process of ours was quicker
        if path.is_file() and not path.is_symlink():
            files.append((facts.st_mtime, path, facts.st_size))
    whole = sum(size for _, _, size in files)
    removed: list[Path] = []
    for written, path, size in sorted(files):
        if whole <= limit or now - written < IN_USE_S:
            break
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(
                "an old file cannot be removed",
                extra={"file": str(path), "reason": str(error.strerror)},
            )
            continue
        whole -= size
        removed.append(path)
    if removed:
        _log.info("removed old files", extra={"folder": str(folder), "files": len(removed)})
    if whole > limit:
        _log.warning(
            "files take more room than they may, and none of them can go",
            extra={"folder": str(folder), "bytes": whole, "limit": limit},
        )
    return removed
