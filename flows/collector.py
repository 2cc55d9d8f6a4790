"""The interpreter's cycle collector, set for a stream of short-lived events."""

import gc

YOUNG = 50_000
"""Containers made since the last look; the interpreter's own 700 is a look every 15 diffs."""


def tune_collector() -> None:
    """Look for cycles more rarely.

    Events are freed by their reference counts and form no cycles, so looking often only costs: a
    tenth of the flow's time was spent on it (`docs/decisions/0006-collector.md`). What libraries
    leave behind in cycles is still found, later.
    """
    gc.set_threshold(YOUNG, 10, 10)
