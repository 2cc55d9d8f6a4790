"""`ClockOffset` on lines that are steady, jammed, wrong, drifting and stepping."""

import copy
import pickle
import random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.clock_offset import AGREEMENT, MEMORY, PLAUSIBLE, SPELL, TOLERANCE, ClockOffset
from market.intervals import SECOND
from tests.drawn_examples import examples

T0 = 1_700_000_000 * SECOND
MILLISECOND = SECOND // 1000
HOUR = 3600 * SECOND
WAY = 40 * MILLISECOND
"""The shortest way of a message."""


class Line:
    """A venue that sends ten messages a second over a line with some noise.

    `ahead` is by how much our clock is ahead of the venue's, ns.
    """

    def __init__(self, *, ahead: int = 0, seed: int = 1) -> None:
        self.offset = ClockOffset()
        self.ahead = ahead
        self.venue_now = T0
        self.random = random.Random(seed)

    def send(self, *, delay: int = 0, wrong: int = 0) -> bool:
        self.venue_now += SECOND // 10
        noise = self.random.randrange(20 * MILLISECOND)
        received = self.venue_now + self.ahead + WAY + noise + delay
        return self.offset.sample(self.venue_now + wrong, received)

    def run(self, seconds: int) -> int:
        """Send for so long; return how many times were not believed."""
        return sum(not self.send() for _ in range(seconds * 10))

    @property
    def error(self) -> int:
        """Estimate less truth, ns; never below 0 on a line that is only late."""
        assert self.offset.value is not None
        return self.offset.value - self.ahead - WAY

    def assert_true(self) -> None:
        assert 0 <= self.error <= 20 * MILLISECOND


@pytest.mark.parametrize("ahead", [0, 10 * SECOND, -10 * SECOND, HOUR, -HOUR])
def test_a_clock_that_is_off_is_measured(ahead: int) -> None:
    line = Line(ahead=ahead)
    line.run(5)
    line.assert_true()
    assert line.offset.venue_time(T0 + ahead) == T0 - WAY - line.error


def test_nothing_is_known_before_some_times_agree() -> None:
    line = Line()
    for _ in range(AGREEMENT - 1):
        line.send()
        assert line.offset.value is None
        assert line.offset.venue_time(T0) is None
        assert not line.offset.is_future(T0 + HOUR, T0)
    line.send()
    line.assert_true()


def test_trades_of_one_time_are_one_witness() -> None:
    offset = ClockOffset()
    for _ in range(10):
        offset.sample(T0, T0 + WAY)
    assert offset.value is None


@pytest.mark.parametrize("wrong", [HOUR, -HOUR, 10 * SECOND, -10 * SECOND, 3 * SECOND])
@pytest.mark.parametrize("place", [0, 1, 2, 5, 200])
def test_one_wrong_time_never_moves_the_estimate(wrong: int, place: int) -> None:
    line = Line()
    for _ in range(place):
        line.send()
    before = line.offset.value
    line.send(wrong=wrong)
    assert line.offset.value == before or line.error <= 20 * MILLISECOND
    for _ in range(AGREEMENT):
        line.send()
    line.assert_true()
    line.run(60)
    line.assert_true()


@pytest.mark.parametrize("wrong", [HOUR, -HOUR], ids=["future", "past"])
def test_a_sweep_of_one_wrong_time_never_moves_the_estimate(wrong: int) -> None:
    line = Line()
    line.run(10)
    before = line.offset.value
    received = line.venue_now + WAY + 20 * MILLISECOND
    for number in range(50):
        line.offset.sample(line.venue_now + wrong, received + number)
    assert line.offset.value == before


@given(
    wrongs=st.lists(st.integers(-HOUR, HOUR), max_size=15),
    ahead=st.sampled_from([0, 10 * SECOND, -HOUR]),
)
@examples(15)
def test_each_wrong_time_among_right_ones_moves_it_by_the_tolerance_at_most(
    wrongs: list[int], ahead: int
) -> None:
    line = Line(ahead=ahead)
    line.run(3)
    lowest = 0  # it remembers for long how low it has been
    for wrong in wrongs:
        line.send(wrong=wrong)
        line.run(2)
        assert lowest - TOLERANCE <= line.error <= 20 * MILLISECOND
        lowest = min(lowest, line.error)


def test_a_wrong_time_is_not_believed_when_it_is_in_the_future_only() -> None:
    line = Line()
    line.run(5)
    assert not line.send(wrong=HOUR)
    assert not line.send(wrong=3 * SECOND)
    assert line.send(wrong=SECOND)
    assert line.send(wrong=-HOUR)
    assert line.offset.is_future(line.venue_now + HOUR, line.venue_now + WAY)
    assert not line.offset.is_future(line.venue_now, line.venue_now + WAY)
    assert not line.offset.is_future(line.venue_now - HOUR, line.venue_now + WAY)


@pytest.mark.parametrize(
    ("wrong", "believed"),
    [(0, True), (10 * SECOND, True), (-10 * SECOND, True), (HOUR, False), (-HOUR, False)],
)
def test_the_very_first_time_is_believed_when_it_is_plausible(
    wrong: int, *, believed: bool
) -> None:
    assert Line().send(wrong=wrong) is believed


def test_times_of_a_clock_that_is_far_off_are_believed_once_they_agree() -> None:
    line = Line(ahead=2 * PLAUSIBLE)
    assert [line.send() for _ in range(AGREEMENT + 1)] == [False, False, True, True]


def test_our_clock_stepping_back_is_followed_within_three_messages() -> None:
    line = Line()
    line.run(30)
    line.ahead -= 10 * SECOND
    assert line.run(10) == AGREEMENT - 1
    line.assert_true()


def test_our_clock_stepping_ahead_is_followed_within_two_spells() -> None:
    line = Line()
    line.run(30)
    line.ahead += 10 * SECOND
    assert line.run(2 * SPELL // SECOND) == 0
    line.assert_true()


@pytest.mark.parametrize("step", [10 * SECOND, -10 * SECOND, HOUR, -HOUR])
def test_any_step_is_followed_and_stays(step: int) -> None:
    line = Line()
    line.run(30)
    line.ahead += step
    line.run(2 * SPELL // SECOND)
    assert line.run(2 * MEMORY * SPELL // SECOND) == 0
    line.assert_true()


@pytest.mark.parametrize("seconds", [1, 5, 20, 120])
def test_a_jam_that_clears_at_once_does_not_move_it(seconds: int) -> None:
    line = Line()
    line.run(30)
    before = line.offset.value
    assert before is not None
    believed = [
        line.send(delay=(seconds * 10 - number) * SECOND // 10) for number in range(seconds * 10)
    ]
    assert all(believed)
    line.assert_true()
    assert abs(line.offset.value - before) <= 20 * MILLISECOND  # type: ignore[operator]


def test_a_line_that_gets_slow_is_followed_and_forgotten_at_once() -> None:
    """Bars wait for their trades meanwhile, and no trade is doubted when it is over."""
    line = Line()
    line.run(30)
    for _ in range(600):
        assert line.send(delay=15 * SECOND)
    assert line.error >= 14 * SECOND
    assert line.send()
    line.assert_true()


def test_a_single_late_message_of_a_quiet_instrument_does_not_move_it() -> None:
    offset = ClockOffset()
    for minute in range(10):
        offset.sample(T0 + minute * 60 * SECOND, T0 + minute * 60 * SECOND + WAY)
    offset.sample(T0 + 601 * SECOND, T0 + 640 * SECOND)
    assert offset.value == WAY
    offset.sample(T0 + 660 * SECOND, T0 + 660 * SECOND + WAY)
    assert offset.value == WAY


@pytest.mark.parametrize("drift", [100, -100], ids=["ahead", "behind"])
def test_a_drift_of_a_hundred_parts_in_a_million_is_followed(drift: int) -> None:
    line = Line()
    line.run(10)
    for second in range(3600):
        line.ahead = second * SECOND * drift // 1_000_000
        assert line.run(1) == 0
        # The estimate is the smallest of up to two spells: it lags by what they drifted.
        assert abs(line.error) <= 25 * MILLISECOND


def test_venue_time_never_runs_ahead_of_the_messages_own_times() -> None:
    """So a heartbeat never closes a bar whose trades are only as late as usual."""
    line = Line(ahead=7 * SECOND)
    line.run(5)
    for _ in range(500):
        line.send()
        received = line.venue_now + line.ahead + WAY
        told = line.offset.venue_time(received)
        assert told is not None
        assert told <= line.venue_now


def test_its_state_is_bounded() -> None:
    line = Line()
    line.run(3 * MEMORY * SPELL // SECOND)
    assert len(line.offset._earlier) == MEMORY


@given(seed=st.integers(0, 10), cut=st.integers(0, 400))
@examples(20)
def test_a_pickle_at_any_cut_changes_nothing(seed: int, cut: int) -> None:
    line, twin = Line(seed=seed), Line(seed=seed)
    for number in range(400):
        if number == cut:
            twin.offset = pickle.loads(pickle.dumps(twin.offset))  # noqa: S301 - our own bytes
        delay = 20 * SECOND if number % 97 == 0 else 0
        wrong = HOUR if number % 31 == 0 else 0
        assert line.send(delay=delay, wrong=wrong) == twin.send(delay=delay, wrong=wrong)
    assert line.offset == twin.offset


def test_a_copy_does_not_follow_the_one_it_was_made_of() -> None:
    line = Line()
    line.run(30)
    taken = copy.copy(line.offset)
    kept = copy.deepcopy(taken)
    line.ahead += HOUR
    line.run(60)
    assert taken == kept
    assert line.offset != taken
