"""The settings that change an answer, kept in the recording so that a replay answers the same."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from connectors.recording import Recording
from filters.specs import SpecsChanged
from flows.settings import MarketSettings

FIRST_RECORDS = 10
"""They come before everything else."""


class _Recorded(msgspec.Struct):
    market: MarketSettings


def recorded_settings(market: MarketSettings) -> bytes:
    """Return the body of the `control` record that holds the settings."""
    return msgspec.json.encode(_Recorded(market))


def market_of(paths: Sequence[Path]) -> MarketSettings | None:
    """Return the settings that a recording was made with; None when it does not say.

    Raises:
        RecordingError: one of the files is no recording.
    """
    found = None
    for path in paths:
        for record in islice(Recording(path), FIRST_RECORDS):
            if record.kind == "control" and not record.conn and found is None:
                try:
                    found = msgspec.json.decode(record.body, type=_Recorded).market
                except msgspec.ValidationError:
                    continue
    return found


def symbols_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return what was followed when a recording was made, as far as it says.

    Raises:
        RecordingError: one of the files is no recording.
    """
    found: set[str] = set()
    for change in _changes(paths):
        found.update(change.symbols)
    return tuple(sorted(found))


def primary_of(paths: Sequence[Path]) -> dict[str, str]:
    """Return which venue spoke for which symbol when a recording was made, as far as it says.

    Raises:
        RecordingError: one of the files is no recording.
    """
    found: dict[str, str] = {}
    for change in _changes(paths):
        found.update(change.primary)
    return found


def _changes(paths: Sequence[Path]) -> Iterator[SpecsChanged]:
    for path in paths:
        for record in islice(Recording(path), FIRST_RECORDS):
            if record.kind == "control" and not record.conn:
                try:
                    yield msgspec.json.decode(record.body, type=SpecsChanged)
                except msgspec.ValidationError:
                    continue
