"""How long an average that decays remembers where it began."""

from math import ceil, log

SHARE = 1e-4
"""A beginning that weighs less than this no longer matters: 0.01 %."""


SHARE_IN_A_QUOTIENT = 1e-6
"""The same for each average of a quotient: where one is small beside the other, a part of 0.01 %
of the larger one is more than 0.01 % of the value."""


def settled_after(kept: float, share: float = SHARE) -> int:
    """Return the number of steps after which what was before weighs at most `share`.

    Args:
        kept: share of the average that a step keeps, 0 <= kept < 1.
        share: of the beginning, above 0 and below 1.

    Example:
        >>> settled_after(0.5)  # 0.5 ** 14 is 0.00006
        14
    """
    return ceil(log(share) / log(kept)) if kept > 0 else 1
