"""Massive's own bars and those that we make of its trades, in virtual time."""

from market.events import Bar
from tests.faults.feed_client import Rig

SYMBOL = "BTC-USD"


def bars(*intervals: str) -> list[Bar]:
    rig = Rig(venue="massive", symbols=(SYMBOL,), bars=intervals, aggregates=True)
    rig.run_for(200)
    assert rig.client.dead_letters == 0
    return [bar for bar in rig.client.bars[SYMBOL] if bar.interval == "1m"]


def test_the_venues_bars_are_those_that_its_trades_make() -> None:
    theirs, ours = bars("5s"), bars("1m")
    assert {bar.count for bar in theirs} == {0}
    assert min(bar.count for bar in ours) > 100
    whole = {bar.start: bar for bar in ours if not bar.partial}
    compared = [(bar, whole[bar.start]) for bar in theirs if bar.start in whole]
    assert len(compared) >= 2
    for their, our in compared:
        assert (their.open, their.high, their.low) == (our.open, our.high, our.low)
        assert their.close == our.close
        assert abs(their.volume - our.volume) < 1e-6
        assert abs(their.vwap - our.vwap) < 1e-6 * our.vwap


def test_bars_are_told_once_where_we_make_them_ourselves() -> None:
    starts = [bar.start for bar in bars("1m")]
    assert len(starts) == len(set(starts)) >= 2
