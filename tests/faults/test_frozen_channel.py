"""One channel of one symbol stops at the venue, everything else goes on: virtual time."""

import pytest

from connectors import VENUES
from market.events import GapInterval, State
from simulator.dialects import DIALECTS
from simulator.faults import read_faults
from tests.faults.feed_client import SECOND, START, SYMBOLS, Rig
from tests.slow_case import slow

FROZEN, OTHERS = SYMBOLS[0], SYMBOLS[1:]
BEGINS, LASTS = 15, 11
QUICK = ("binance", "massive")
EACH = [venue if venue in QUICK else slow(venue) for venue in sorted(set(VENUES) & set(DIALECTS))]


def frozen(venue: str, channel: str) -> Rig:
    script = (
        f"faults:\n  - {{at: {BEGINS}s, kind: freeze_channel, channel: {channel},"
        f" symbol: {FROZEN}, for: {LASTS}s}}\n"
    )
    faults = read_faults(script, "frozen.yaml")
    return Rig(faults, venue=venue, rate=2.0).run_for(BEGINS + LASTS + 3)


def row(rig: Rig, channel: str) -> GapInterval:
    """The one row of the ledger, as it is in the end."""
    opened, closed = rig.client.ledger
    assert (opened.channel, opened.started, opened.ended) == (channel, closed.started, None)
    return closed


def seconds(ns: int) -> float:
    return (ns - START) / SECOND


@pytest.mark.parametrize("venue", EACH)
def test_a_book_that_stops_is_not_live_until_it_goes_on(venue: str) -> None:
    rig = frozen(venue, "depth")
    [before, after] = rig.client.truth[FROZEN].live
    assert seconds(before[1]) - BEGINS <= 5, "it was called stale in time"
    assert BEGINS + LASTS <= seconds(after[0]) <= BEGINS + LASTS + 2
    assert rig.client.state(FROZEN) is State.LIVE
    for symbol in OTHERS:
        assert len(rig.client.truth[symbol].live) == 1
    closed = row(rig, "book")
    assert closed.reason.startswith("no book messages for 3 s, ")
    assert seconds(closed.started) == pytest.approx(BEGINS, abs=0.5)
    assert closed.ended == after[0]


@pytest.mark.parametrize("venue", EACH)
def test_trades_that_stop_are_a_row_and_marked_bars(venue: str) -> None:
    rig = frozen(venue, "trade")
    for symbol in SYMBOLS:
        assert len(rig.client.truth[symbol].live) == 1, "books are as true as ever"
    closed = row(rig, "trade")
    assert closed.reason.startswith("no trade messages for ")
    assert seconds(closed.started) == pytest.approx(BEGINS, abs=0.5)
    assert closed.ended is not None
    assert BEGINS + LASTS <= seconds(closed.ended) <= BEGINS + LASTS + 1
    marked = [bar for bar in rig.client.bars[FROZEN] if bar.gap and seconds(bar.start) > BEGINS]
    assert marked
    assert not any(bar.gap for symbol in OTHERS for bar in rig.client.bars[symbol])
