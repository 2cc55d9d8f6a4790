"""A channel that should speak and does not, against one that has nothing to say."""

import pickle
from collections.abc import Iterable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.intervals import SECOND
from market.silence import SAME_MOMENT, ChannelWatch
from tests.drawn_examples import examples

START = 1_700_000_000 * SECOND
HOUR = 3600
FREEZE_AFTER = 180
"""Seconds of normal life before a channel freezes."""


class Line:
    """A channel whose messages come at these times, in seconds, and its watch."""

    def __init__(self, arrivals: Iterable[float], watch: ChannelWatch | None = None) -> None:
        self.watch = watch or ChannelWatch()
        self.moments = 0
        self.last = START
        self.now = 0
        self._arrivals = iter(arrivals)
        self._next = next(self._arrivals, None)

    def second(self) -> bool:
        """Let a second pass; return whether the channel is silent then."""
        self.now += 1
        while self._next is not None and self._next <= self.now:
            at = START + int(self._next * SECOND)
            if not self.moments or at - self.last > SAME_MOMENT:
                self.moments += 1
                self.last = at
            self._next = next(self._arrivals, None)
        return self.watch.look(START + self.now * SECOND, self.moments, self.last)

    def silent_at(self, until: int) -> list[int]:
        """The seconds at which it was called silent."""
        return [self.now for _ in range(until) if self.second()]


def poisson(rate: float, seed: int, *, frozen_from: float = float("inf")) -> Iterator[float]:
    """Arrival times of messages that know nothing of each other."""
    random = Random(seed)
    at = random.expovariate(rate)
    while at < frozen_from:
        yield at
        at += random.expovariate(rate)


def regular(every: float, *pauses: tuple[float, float], until: float = 1e9) -> Iterator[float]:
    """Arrival times at a fixed distance, with pauses given by their start and end."""
    at = 0.0
    while at < until:
        if not any(start <= at < end for start, end in pauses):
            yield at
        at += every


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rate=st.floats(-2.5, 1.5).map(lambda power: 10**power), seed=st.integers(0, 1 << 32))
def test_chance_alone_makes_no_alarm_in_an_hour(rate: float, seed: int) -> None:
    """At the stated probability: less than one alarm in a thousand hours."""
    assert Line(poisson(rate, seed)).silent_at(HOUR) == []


@pytest.mark.parametrize("rate", [0.85, 1.3, 2.5, 5.0])
def test_the_rates_that_are_hardest_to_judge_make_none_in_days(rate: float) -> None:
    line = Line(poisson(rate, seed=17))
    assert line.silent_at(30 * HOUR) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rate=st.floats(5, 60),
    seed=st.integers(0, 1 << 32),
    phase=st.floats(0, 1),
)
def test_a_busy_channel_that_freezes_is_told_within_five_seconds(
    rate: float, seed: int, phase: float
) -> None:
    arrivals = list(poisson(rate, seed, frozen_from=FREEZE_AFTER + phase))
    line = Line(arrivals)
    assert line.silent_at(FREEZE_AFTER) == []
    [first, *_] = line.silent_at(10)
    assert first - arrivals[-1] <= 5


def test_a_channel_without_chance_in_it_is_told_in_four_seconds() -> None:
    line = Line(regular(0.1, until=20))
    assert line.silent_at(40)[0] <= 24


def test_a_slow_or_new_channel_is_never_called_silent() -> None:
    assert Line(regular(2.0, until=300)).silent_at(900) == []
    assert Line(regular(0.1, until=8)).silent_at(60) == []


def test_many_trades_of_one_moment_are_one_message() -> None:
    def bursts() -> Iterator[float]:
        for at in poisson(0.3, seed=3):
            yield from (at + number / 100_000 for number in range(40))

    assert Line(bursts()).silent_at(HOUR) == []


def test_pauses_that_are_usual_are_no_silence() -> None:
    pauses = [(at, at + 2.9) for at in range(20, 600, 20)]
    line = Line(regular(0.05, *pauses, (600.0, 603.9), (700.0, 710.0)))
    assert line.silent_at(690) == []
    assert 704 <= line.silent_at(30)[0] <= 706


def test_it_speaks_again() -> None:
    line = Line(regular(0.1, (60.0, 70.0)))
    silent = line.silent_at(100)
    assert silent[0] in {63, 64}
    assert silent[-1] in {69, 70}


def test_a_silence_in_which_nothing_was_lost_makes_the_next_one_longer() -> None:
    line = Line(regular(0.1, (60.0, 70.0), (100.0, 110.0), (1000.0, 1010.0)))
    silent = line.silent_at(120)
    assert min(silent) - 60 <= 4
    assert 4.5 <= min(at for at in silent if at > 90) - 100 <= 6
    assert min(line.silent_at(1000)) - 1000 <= 4, "it is forgotten after some minutes"


def test_a_silence_in_which_messages_were_lost_changes_nothing() -> None:
    line = Line(regular(0.1, (60.0, 70.0), (100.0, 110.0)))
    line.silent_at(69)
    line.watch.spoke(START + line.now * SECOND, is_broken=True)
    line.watch.pause()
    assert min(line.silent_at(50)) - 100 <= 4


def test_after_a_new_beginning_the_rate_is_still_known() -> None:
    watch = ChannelWatch()
    line = Line(regular(0.1, until=60), watch)
    line.silent_at(60)
    watch.pause()
    line.last = START + 100 * SECOND  # the book was fetched then, and no message came since
    line.now = 100
    line.moments += 1
    assert line.silent_at(10)[0] in {103, 104}


def test_a_clock_that_stood_still_is_no_silence() -> None:
    line = Line(regular(0.1))
    line.silent_at(60)
    line.now += 30  # the process was stopped; what came waits to be read
    watch = line.watch
    assert not watch.look(START + line.now * SECOND, line.moments, line.last)
    assert line.silent_at(60) == []


@given(seed=st.integers(0, 1 << 32), cut=st.integers(1, 90))
@examples(15)
def test_a_copy_goes_on_like_the_original(seed: int, cut: int) -> None:
    arrivals = list(poisson(8, seed, frozen_from=80))
    whole = Line(arrivals)
    expected = whole.silent_at(120)
    line = Line(arrivals)
    silent = line.silent_at(cut)
    line.watch = pickle.loads(pickle.dumps(line.watch))  # noqa: S301 - our own bytes
    assert silent + line.silent_at(120 - cut) == expected
