"""Reasons without their particulars, so that they can be counted."""

import re

LONGEST = 60
_NUMBER = re.compile(r"\b\d[\d.,:]*(?<=\d)")


def cause_of(reason: str) -> str:
    """Return what a reason has in common with others of its kind.

    Example:
        >>> cause_of("trade ids 517 to 523 are missing")
        'trade ids N to N are missing'
    """
    return _NUMBER.sub("N", reason)[:LONGEST].strip() or "unknown"
