"""The nearest known name to one that a person mistyped."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.55
"""Below this likeness (0 to 1) a guess would mislead."""


def nearest(word: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """Return the known name most like `word`, or None when none is like it."""
    by_folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str:
    """Return `"; did you mean 'x'?"`, to end a message with, or an empty text."""
    name = nearest(word, known, cutoff=cutoff)
    return "" if name is None else f"; did you mean {name!r}?"
