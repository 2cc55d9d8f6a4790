"""What an indicator over series does with the indicators inside it: feed all of them, or none."""

from indicators.contract import checked
from indicators.series import READ, Series
from market.events import Bar


def warm_up(*series: Series) -> int:
    """Return the bars until every one of them has a value."""
    return max(each.indicator.warm_up for each in series)


def settled(*series: Series) -> int | None:
    """Return the bars until every one of them has settled; None when one never does."""
    longest = 0
    for each in series:
        bars = each.indicator.settled
        if bars is None:
            return None
        longest = max(longest, bars)
    return longest


def update(bar: Bar, *series: Series) -> None:
    """Give them the next closed bar.

    Raises:
        ValueError: a number that one of them reads is NaN, infinite or beyond `LARGEST`; nothing
            has changed then.
    """
    _check(bar, series)
    for each in series:
        each.indicator.update(bar)


def revise(bar: Bar, *series: Series) -> None:
    """Give them the last bar again, corrected.

    Raises:
        ValueError: there is no last bar, or as `update`.
    """
    _check(bar, series)
    for each in series:
        each.indicator.revise(bar)


def _check(bar: Bar, series: tuple[Series, ...]) -> None:
    # Before anyone takes the bar: a second one that refuses it would leave the first one ahead.
    for each in series:
        for name in each.inputs:
            checked(READ[name](bar))
