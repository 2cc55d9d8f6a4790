"""What a recording is of, as its venues listed it when it was made."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from connectors.feed import decode_description
from connectors.recording import Recording
from market.errors import RecordingError
from market.instruments import Instrument

FIRST_RECORDS = 1000
"""Connections are opened at the beginning."""


def recorded_instruments(paths: Sequence[Path]) -> list[Instrument]:
    """Return the instruments that the connections at the beginning of recordings were for.

    Raises:
        RecordingError: one of the files is no recording, or an `open` record is none.
    """
    found: dict[str, Instrument] = {}
    for path in paths:
        for record in islice(Recording(path), FIRST_RECORDS):
            if record.kind != "open":
                continue
            try:
                description = decode_description(record.body)
            except ValueError as error:
                raise RecordingError(f"open record: {error}", path=str(path)) from error
            found |= {one.id: one for one in description.instruments}
    return list(found.values())
