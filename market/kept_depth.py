"""How much of the order books is kept: nothing, a whole book now and then, or every change."""

import re

import msgspec

from market.intervals import SECOND

CHECKPOINT_S = 600
"""With every change a whole book is kept so often too: nobody reads a day to know one moment."""
LONGEST_S = 86_400
_SNAPSHOTS = re.compile(r"snapshots (\d{1,6})s")


class KeptDepth(msgspec.Struct, frozen=True, kw_only=True):
    """What of every book is kept.

    Attributes:
        every: ns from one whole book to the next, on round moments of our clock; 0 for none.
        changes: every message of a book is kept too.

    Example:
        >>> KeptDepth.parse("snapshots 60s")
        KeptDepth(every=60000000000, changes=False)
        >>> KeptDepth.parse("off").is_off
        True
    """

    every: int = 0
    changes: bool = False

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept."""
        return not self.every

    @classmethod
    def parse(cls, text: str) -> "KeptDepth":
        """Read `off`, `all` or `snapshots 60s`, of 1 to 86400 seconds.

        Raises:
            ValueError: it is none of them.
        """
        if text == "off":
            return cls()
        if text == "all":
            return cls(every=CHECKPOINT_S * SECOND, changes=True)
        found = _SNAPSHOTS.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= LONGEST_S:
            raise ValueError(
                f'{text!r}: expected "off", "all", or "snapshots 60s" with 1 to {LONGEST_S} seconds'
            )
        return cls(every=int(found[1]) * SECOND)
