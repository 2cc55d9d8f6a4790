"""Logging: one set-up for every process of the program.

The standard library's `logging`, nothing else: modules log under their own names and give facts
through `extra={}`. Here is decided what they become: aligned text on a terminal, one JSON object
a line elsewhere. Secrets are taken out of the finished line, after every argument, fact and
traceback is in it.
"""

import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec

from flows.settings import LogSettings
from sinks.redaction import Redactor

QUIET = ("alembic", "asyncio", "httpcore", "httpx", "telegram", "websocket", "websockets")
"""Libraries that speak up only when something is wrong; some tell tokens when they tell more."""
SILENT = ("pandas_ta_classic",)
"""It warns of each frame that is too short for an indicator; we say `warming(n of m)` of that."""

_PLAIN = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
)
_encode = msgspec.json.Encoder(enc_hook=str).encode


def _facts(record: logging.LogRecord) -> dict[str, object]:
    """Return what a caller gave as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, then the facts.

    Args:
        redactor: takes the secrets out.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": self._redactor.redact(record.getMessage()),
        }
        for name, value in _facts(record).items():
            line[name] = self._redactor.redact(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = self._redactor.redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self._redactor.redact(record.stack_info)
        # Once more over the whole: a fact may hold a secret deeper inside.
        return self._redactor.redact(_encode(line).decode())


class ConsoleFormatter(logging.Formatter):
    """A line for people: local time, level, logger, message, facts.

    Args:
        redactor: takes the secrets out.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it when there is one."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        facts = "".join(f"  {name}={value}" for name, value in _facts(record).items())
        text = (
            f"{moment:%H:%M:%S}.{int(record.msecs):03d} {record.levelname.lower():7} "
            f"{record.name}: {record.getMessage()}{facts}"
        )
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return self._redactor.redact(text)


def configure(
    settings: LogSettings,
    redactor: Redactor,
    *,
    file: Path | None = None,
    stream: TextIO | None = None,
) -> None:
    """Set up the logging of this process, in place of what was set up before.

    Args:
        settings: the `[log]` section.
        redactor: knows the secrets.
        file: JSON lines are added to this file too; it may be rotated by moving it away.
        stream: where lines go; standard error when not given.
    """
    stream = sys.stderr if stream is None else stream
    people = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    console = logging.StreamHandler(stream)
    console.setFormatter(ConsoleFormatter(redactor) if people else JsonFormatter(redactor))
    handlers: list[logging.Handler] = [console]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = logging.handlers.WatchedFileHandler(file, encoding="utf-8")
        lines.setFormatter(JsonFormatter(redactor))
        handlers.append(lines)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name, level in settings.levels.items():
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)
