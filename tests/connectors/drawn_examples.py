"""How many examples are drawn of any input: a few in `make test`, many more in `make fuzz`."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("CANDLEWAX_FUZZ", "1"))


def examples(few: int) -> settings:
    """So many, or `CANDLEWAX_FUZZ` times as many."""
    return settings(max_examples=few * TIMES, deadline=None)
