"""How many examples a property is tried on: a few in `make test`, many more in `make test-slow`."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("CANDLEWAX_FUZZ", "1"))


def examples(few: int) -> settings:
    """So many, or `CANDLEWAX_FUZZ` times as many, with no deadline."""
    return settings(max_examples=few * TIMES, deadline=None)
