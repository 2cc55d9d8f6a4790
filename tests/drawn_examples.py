"""How many examples a property is tried on, and whether they are the same ones every time.

The gate draws the same examples for the same code: it says what a change broke, and nothing else.
`make fuzz` draws new ones and finds what nobody thought of; what it finds becomes an `@example`.
"""

import os

from hypothesis import settings

TIMES = int(os.environ.get("CANDLEWAX_FUZZ", "1"))
ANEW = os.environ.get("CANDLEWAX_DRAW") == "anew"


def examples(few: int) -> settings:
    """So many, or `CANDLEWAX_FUZZ` times as many, with no deadline."""
    return settings(max_examples=few * TIMES, deadline=None, derandomize=not ANEW)
