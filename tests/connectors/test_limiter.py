"""Budgets of a host, with a clock that is moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES
from connectors.contract import Limits
from connectors.limiter import Budget, HostLimiter, limiter_of

SECOND = 1_000_000_000
SMALL = Limits(connects=2, connects_per_s=0.5, weight=10, weight_per_s=2.0)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def limiter(clock: Hand) -> HostLimiter:
    return HostLimiter(SMALL, clock)


def test_what_is_there_is_spent_at_once_and_then_earned(clock: Hand, limiter: HostLimiter) -> None:
    assert [limiter.connect() for _ in range(3)] == [0.0, 0.0, 2.0]
    clock.wait(1)
    assert limiter.connect() == 1.0
    clock.wait(1)
    assert limiter.connect() == 0.0
    assert limiter.connect() == 2.0


def test_requests_are_counted_by_their_weight(clock: Hand, limiter: HostLimiter) -> None:
    assert limiter.ask(8) == 0.0
    assert limiter.ask(5) == 1.5
    assert limiter.ask(2) == 0.0
    clock.wait(100)
    assert limiter.ask(10) == 0.0, "no more is saved than a full budget"
    assert limiter.ask(1) == 0.5


def test_more_than_a_full_budget_costs_a_full_one(clock: Hand, limiter: HostLimiter) -> None:
    assert limiter.ask(500) == 0.0
    assert limiter.ask(500) == 5.0
    clock.wait(5)
    assert limiter.ask(500) == 0.0


def test_connections_and_requests_have_budgets_of_their_own(limiter: HostLimiter) -> None:
    assert limiter.ask(10) == 0.0
    assert limiter.connect() == 0.0


def test_a_refusal_stops_everything_and_then_begins_slowly(
    clock: Hand, limiter: HostLimiter
) -> None:
    limiter.refused(60)
    limiter.refused(10)
    assert (limiter.connect(), limiter.ask()) == (60.0, 60.0)
    clock.wait(60)
    assert (limiter.connect(), limiter.ask()) == (2.0, 0.5)


def test_all_feeds_of_a_process_share_the_limiter_of_a_host() -> None:
    one, other = VENUES["binance"], VENUES["htx"]
    first = limiter_of(one, "wss://one.example/stream?x=1")
    assert limiter_of(one, "wss://one.example/other") is first
    assert limiter_of(one, "wss://two.example/stream") is not first
    assert limiter_of(other, "wss://one.example/stream") is not first


def test_every_venue_lets_us_in_and_answers() -> None:
    for venue in VENUES.values():
        assert min(venue.limits.connects, venue.limits.weight) >= 1
        assert min(venue.limits.connects_per_s, venue.limits.weight_per_s) > 0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 12)), max_size=60))
def test_no_more_is_ever_spent_than_was_there_and_earned(steps: list[tuple[float, int]]) -> None:
    budget, now, spent = Budget(10, 2.0, 0), 0, 0.0
    for wait, amount in steps:
        now += int(wait * SECOND)
        later = budget.spend(amount, now)
        if later == 0.0:
            spent += min(amount, 10)
        else:
            assert 0 < later <= 5
        assert spent <= 10 + 2.0 * now / SECOND + 1e-6
