"""How long an average that decays remembers where it began."""

from math import ceil, log

SHARE = 1e-4
"""A beginning that weighs less than this no longer matters: 0.01 %."""


def settled_after(kept: float) -> int:
    """Return the number of steps after which what was before weighs at most `SHARE`.

    Args:
        kept: share of the average that a step keeps, 0 <= kept < 1.

    Example:
        >>> settled_after(0.5)  # 0.5 ** 14 is 0.00006
        14
    """
    return ceil(log(SHARE) / log(kept)) if kept > 0 else 1
