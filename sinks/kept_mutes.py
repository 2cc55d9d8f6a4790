"""The mutes that held last, for when the database cannot be asked."""

import logging
import os
from pathlib import Path

import msgspec
import psycopg

from sinks.alert_facts import AlertFacts
from sinks.mutes import Mute, active_mutes

_log = logging.getLogger(__name__)


class KeptMutes:
    """What was muted when the database last said so; used by the sender's thread only.

    Args:
        file: where it outlives the process; None for memory alone. Several processes may have the
            same: each writes the whole of it.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._mutes = _read(file) if file is not None else []
        self._kept: list[Mute] | None = None

    def refresh(self, connection: psycopg.Connection, *, now: int) -> None:
        """Ask the database what is muted.

        Args:
            connection: any.
            now: our clock, ns UTC.
        """
        self._mutes = active_mutes(connection, now=now)
        if self._file is None or self._mutes == self._kept:
            return
        part = self._file.with_suffix(f".{os.getpid()}.part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.encode(self._mutes))
            part.replace(self._file)
        except OSError as error:  # it matters only to a start without a database
            _log.warning("cannot keep what is muted", extra={"reason": error.strerror})
        self._kept = self._mutes

    def muting(self, facts: AlertFacts, target: str, *, now: int) -> Mute | None:
        """Return the mute that an alert for a target is silenced by; None for none.

        Args:
            facts: of the alert.
            target: its name.
            now: our clock, ns UTC.
        """
        for mute in self._mutes:
            if (
                (mute.ends_at is None or mute.ends_at > now)
                and mute.target in (None, target)
                and mute.spec in (None, facts.spec)
                and mute.symbol in (None, facts.symbol)
            ):
                return mute
        return None


def _read(file: Path) -> list[Mute]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Mute])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("cannot read what was muted", extra={"reason": str(error)})
        return []
