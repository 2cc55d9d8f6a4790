"""What of books is kept, as people write it."""

import pytest

from market.intervals import SECOND
from market.kept_depth import LONGEST_S, KeptDepth


def test_the_three_ways_are_read() -> None:
    assert KeptDepth.parse("off") == KeptDepth(every=0, changes=False)
    assert KeptDepth.parse("snapshots 5s") == KeptDepth(every=5 * SECOND, changes=False)
    whole = KeptDepth.parse("all")
    assert whole.changes
    assert not whole.is_off


@pytest.mark.parametrize(
    "text", ["", "on", "snapshots", "snapshots 0s", f"snapshots {LONGEST_S + 1}s", "all 60s", "OFF"]
)
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match='expected "off", "all", or "snapshots 60s"'):
        KeptDepth.parse(text)
