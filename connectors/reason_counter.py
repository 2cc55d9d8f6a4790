"""A counter by reason that stays small: some reasons hold words of a venue, any words."""

from collections.abc import Sequence

from prometheus_client import Counter

from market.causes import cause_of

MOST_REASONS = 100
"""Reasons that are counted by name; what comes after them is `other`."""


class ReasonCounter:
    """Counts by labels, of which the last is a reason, told without its numbers.

    Args:
        name: of the metric.
        text: what it counts.
        labels: names of the labels before `reason`; the first is the venue.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str] = ("venue",)) -> None:
        self.counter = Counter(name, text, [*labels, "reason"])
        self._known: set[tuple[str, str]] = set()

    def count(self, *labels: str) -> None:
        """Add one; the last of `labels` is the reason in full."""
        *first, reason = labels
        cause = cause_of(reason)
        known = self._known
        if (first[0], cause) not in known:
            if len(known) >= MOST_REASONS:
                cause = "other"
            known.add((first[0], cause))
        self.counter.labels(*first, cause).inc()
