"""A replay whose store does not wait: rows go to the disk while the database is away, as live.

python -m bytewax.run tests.fakes.spooling_replay

Everything else is `flows.replay`: so a test knows what has to be in the database in the end. The
disk is emptied in small pieces, so that a little suffices for many.
"""

import os

from flows import replay
from flows.home import Home
from sinks import writer
from sinks.settings import StoreSettings
from sinks.timescale import TimescaleSink


def spooling(dsn: str, settings: StoreSettings, *, notify: bool, patient: bool) -> TimescaleSink:
    """Make the sink of a live flow where a replay asks for a patient one."""
    assert patient
    return TimescaleSink(dsn, settings, notify=notify, spool=Home.of(os.environ).spool)


writer.COMMIT_ROWS = 100  # type: ignore[attr-defined]
replay.TimescaleSink = spooling  # type: ignore[assignment, attr-defined]
flow = replay.flow
