"""A little of `make fuzz`, and that it would see what is wrong."""

import pytest

from connectors import VENUES
from market.book import Book
from market.events import Level
from simulator.dialects import DIALECTS
from tests.faults import fuzz

SLOW = pytest.mark.slow
SIMULATED = sorted(set(VENUES) & set(DIALECTS))


@pytest.mark.parametrize(
    ("venue", "seed"),
    [
        # `test_every_venue.py` has each fault at each venue, one at a time.
        pytest.param(venue, seed, marks=() if (venue, seed) == ("binance", 1) else SLOW)
        for venue in SIMULATED
        for seed in (1, 2, 3, 4)
    ],
)
def test_drawn_faults_leave_no_wrong_book_that_is_called_live(venue: str, seed: int) -> None:
    told = fuzz.run((venue, seed))
    assert told.is_good, told
    assert told.updates > 500


def test_the_same_seed_is_the_same_run() -> None:
    assert fuzz.run(("binance", 3)) == fuzz.run(("binance", 3))


def test_a_book_that_forgets_removals_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    change = Book.change

    def forgetful(self: Book, bids: list[Level], asks: list[Level], sequence: int) -> bool:
        return change(self, [level for level in bids if level[1]], asks, sequence)

    monkeypatch.setattr(Book, "change", forgetful)
    told = fuzz.run(("binance", 1))
    assert told.undetected
    assert not told.is_good
    assert "--venue binance --seed 1" in told.words[0]


def test_the_last_line_has_its_five_figures() -> None:
    told = fuzz.Told(updates=10, faults=2, marked=3, live=95.0, outside=100.0)
    assert told.line() == "updates=10 faults=2 marked=3 live_share=0.9500 undetected=0"
