"""The indicators there are, each declared at the end of its own file.

How their names are read is in `indicators.names`.
"""

from indicators import (
    band_touch,
    book_imbalance,
    crosses,
    divergence,
    ema,
    peak,
    rsi,
    zero_cross,
    zone,
)
from indicators.kinds import Kind

_DECLARED: tuple[Kind, ...] = (
    rsi.KIND,
    ema.KIND,
    crosses.KIND,
    zero_cross.KIND,
    zone.KIND,
    band_touch.KIND,
    peak.KIND,
    divergence.KIND,
    *book_imbalance.KINDS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _DECLARED}
"""Every kind of our own by its name."""

ALIASES: dict[str, str] = {alias: kind.name for kind in _DECLARED for alias in kind.aliases}
"""Other names that are understood, and what they mean."""


def find_kind(name: str) -> Kind | None:
    """Return the kind that a name or an alias stands for, or None."""
    return KINDS.get(ALIASES.get(name, name))
