import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.alert_settings import TelegramSettings
from sinks.pacing import Bucket, Pace, Pacer, Rate
from sinks.telegram.limits import pace_of

RATES = st.builds(
    lambda calls, period, part: Rate(calls, period, burst=max(1, int(calls * part))),
    st.integers(1, 40),
    st.sampled_from([1.0, 3.0, 60.0]),
    st.floats(0, 0.75),
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def most_in(moments: list[float], period: float) -> int:
    """Return the most moments that any stretch of `period` holds, its end left out."""
    ordered = sorted(moments)
    return max(
        (sum(start <= at < start + period for at in ordered) for start in ordered), default=0
    )


@given(rate=RATES, gaps=st.lists(st.floats(0, 20), max_size=80))
def test_no_stretch_of_time_has_more_calls_than_the_limit(rate: Rate, gaps: list[float]) -> None:
    bucket, now, calls = Bucket(rate), 50.0, list[float]()
    for gap in gaps:
        now += gap
        at = bucket.ready_at(now)
        assert at >= now
        now = at
        assert bucket.ready_at(now) <= now + 1e-6
        bucket.spend(now)
        calls.append(now)
    # A hair shorter than the period: the sums of floats may be late by as little.
    assert most_in(calls, rate.period_s * (1 - 1e-9)) <= rate.calls


@given(rate=RATES)
def test_a_steady_caller_gets_what_the_limit_allows(rate: Rate) -> None:
    bucket, now, calls = Bucket(rate), 0.0, 0
    while now < 10 * rate.period_s:
        now = bucket.ready_at(now)
        bucket.spend(now)
        calls += 1
    assert calls >= 10 * max(1, rate.calls - rate.burst) - 1


@given(
    way=st.lists(
        st.tuples(st.sampled_from(["a", "b", "group"]), st.floats(0, 4), st.floats(0, 1)),
        max_size=60,
    )
)
def test_limits_hold_at_the_server_however_long_the_way(
    way: list[tuple[str, float, float]],
) -> None:
    """The server sees a call anywhere between its begin and its end."""
    settings = TelegramSettings()
    chats: dict[str, int | str] = {"a": 1, "b": 2, "group": -3}
    clock = Clock()
    pacer = Pacer(clock)
    seen: dict[str, list[float]] = {name: [] for name in chats}
    for name, length, where in way:
        pace = pace_of(chats[name], settings)
        clock.now += pacer.wait_s(pace)
        while not pacer.begin(pace):
            clock.now += max(pacer.wait_s(pace), 1e-6)
        seen[name].append(clock.now + where * length)
        clock.now += length
        pacer.end(pace)
    short = 1 - 1e-6
    assert most_in(seen["a"], 1.0 * short) <= 1
    assert most_in(seen["b"], 1.0 * short) <= 1
    assert most_in(seen["group"], 60.0 * short) <= 20
    assert most_in([*itertools.chain(*seen.values())], 1.0 * short) <= 30


def test_a_place_takes_one_call_at_a_time_and_gives_back_what_was_not_made() -> None:
    clock = Clock()
    pacer, pace = Pacer(clock), Pace("chat", Rate(10, 1.0, burst=5))
    assert pacer.begin(pace)
    assert not pacer.begin(pace)
    pacer.cancel(pace)
    assert pacer.begin(pace)
    pacer.end(pace)
    assert pacer.begin(pace)


def test_calls_that_go_on_count_for_their_family() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    family = Rate(3, 1.0, burst=2)
    paces = [Pace(f"chat {n}", Rate(100, 1.0, burst=50), "bot", family) for n in range(3)]
    assert pacer.begin(paces[0])
    assert pacer.begin(paces[1])
    assert not pacer.begin(paces[2])
    pacer.end(paces[0])
    assert not pacer.begin(paces[2])
    clock.now += 1.0
    assert pacer.begin(paces[2])


def test_a_second_chat_that_is_limited_means_the_whole_bot() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    one, two, three = (pace_of(chat, TelegramSettings()) for chat in (1, 2, 3))
    pacer.pause(one, 20.0, limited=True)
    assert pacer.wait_s(one) == 20.0
    assert pacer.wait_s(two) == 0
    pacer.pause(two, 30.0, limited=True)
    assert pacer.wait_s(three) == 30.0
    clock.now += 30.0
    assert max(map(pacer.wait_s, (one, two, three))) == 0


def test_no_rate_is_no_limit() -> None:
    pacer, pace = Pacer(Clock()), Pace("console")
    assert all(pacer.begin(pace) for _ in range(100))


@pytest.mark.parametrize(
    ("chat", "rate"),
    [(42, Rate(1, 1.0)), ("42", Rate(1, 1.0)), (-42, Rate(20, 60.0, burst=5))],
)
def test_a_group_is_told_from_a_person(chat: int | str, rate: Rate) -> None:
    assert pace_of(chat, TelegramSettings()).rate == rate
    assert pace_of("@channel", TelegramSettings()).rate == Rate(20, 60.0, burst=5)
