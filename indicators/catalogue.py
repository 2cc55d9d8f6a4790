"""The indicators there are: our own, each declared at the end of its file, and those of libraries.

How their names are read is in `indicators.names`.
"""

from indicators import book_imbalance, ema, libraries, rsi
from indicators.kinds import Kind
from indicators.spelling import did_you_mean

_DECLARED: tuple[Kind, ...] = (
    rsi.KIND,
    ema.KIND,
    *book_imbalance.KINDS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _DECLARED}
"""Every kind of our own by its name."""

ALIASES: dict[str, str] = {alias: kind.name for kind in _DECLARED for alias in kind.aliases}
"""Other names that are understood, and what they mean."""


def find_kind(name: str) -> Kind | None:
    """Return the kind that a name or an alias stands for, or None."""
    return KINDS.get(ALIASES.get(name, name)) or libraries.find(name)


def unknown(name: str) -> str:
    """Return what to tell who wrote a name that stands for nothing, with the nearest that does.

    Example:
        >>> unknown("rsii")
        "no indicator 'rsii'; did you mean 'rsi'?"
    """
    library = libraries.library_of(name)
    if not library:
        return f"no indicator {name!r}{did_you_mean(name, (*KINDS, *ALIASES))}"
    reason = libraries.why_not(name)
    if reason:
        return f"no indicator {name!r}: {reason}"
    return f"no indicator {name!r}{did_you_mean(name, libraries.names(library))}"
