from collections import Counter

from sinks.lost_rows import LostRows
from sinks.row_buffer import Waiting
from sinks.rows import RowBatch


def test_losses_become_one_interval() -> None:
    gone = [
        Waiting(RowBatch("trades", 3, b""), 20, 1.0),
        Waiting(RowBatch("trades", 4, b""), 10, 2.0),
    ]
    first = LostRows.of(gone, at=5.0)
    assert first == LostRows(10, 20, 5.0, Counter(trades=7))
    assert first.joined(None) == first
    both = first.joined(LostRows(15, 30, 4.0, Counter(bars=1, trades=1)))
    assert both == LostRows(10, 30, 5.0, Counter(trades=8, bars=1))
    assert both.reason == "store: 1 rows of bars, 8 rows of trades lost"
