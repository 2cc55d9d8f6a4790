"""What the benchmark of indicators compares is alike."""

from bench.indicators import SIX, WARM, bars, by_name, handles, ours
from indicators.names import create_for_bars


def test_every_row_runs_over_bars_that_warm_all_of_the_six() -> None:
    given = bars(WARM + 20)
    for name in SIX:
        indicator = create_for_bars(name)
        for bar in given[:WARM]:
            indicator.update(bar)
        assert None not in indicator.values
    assert all(row() > 0 for row in (by_name(given), ours(given, SIX), handles(given)))
