"""The thread that loads the past: whom it asks, when, how often, and what it answers."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from connectors.history import GRACE
from flows import warm_up
from flows.bar_series import MOST_COLLECTED, HistoryWish
from flows.warm_up import LONGEST_PAUSE_S, NEVER, WARNED_AFTER, WORKERS, WarmUp, is_whole
from market.errors import HistoryError
from market.events import Bar, History
from tests.flows.market_events import BTC, START, past

SECOND = 1_000_000_000
DEADLINE_S = 10.0
ANSWER = msgspec.structs.replace(past(0), asked=30)
WISH = HistoryWish(instrument=BTC, interval="1s", bars=30, until=START)


class Rig:
    """A loader with a store and a venue that say what a test wants."""

    def __init__(self) -> None:
        self.now = START + GRACE
        self.stored: list[Bar] = []
        self.sides = True
        self.told: list[tuple[str, History]] = []
        self.asked: list[HistoryWish] = []
        self.answers: list[History | Exception] = []
        self.lock = threading.Lock()
        self.loader = WarmUp(
            stored=lambda _wish: self.stored,
            candles=self.candles,
            tells_sides=lambda _instrument: self.sides,
            tell=self.tell,
            now=self.clock,
        )
        self.loader.start()

    def clock(self) -> int:
        return self.now

    def candles(self, wish: HistoryWish) -> History:
        with self.lock:
            self.asked.append(wish)
            answer = self.answers.pop(0) if self.answers else past(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(self, symbol: str, body: bytes) -> None:
        self.told.append((symbol, msgspec.json.decode(body, type=History)))

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, "it never came"
            threading.Event().wait(0.01)

    def until_tried(self, times: int) -> None:
        """Wait until so many tries failed, and none is under way."""
        self.until(lambda: self.tries() == times)

    def tries(self) -> int:
        with self.loader._lock:
            return sum(each.tries for each in self.loader._orders.values() if each.due < NEVER)

    @property
    def pause_s(self) -> float:
        """How long the last of the orders is put off."""
        with self.loader._lock:
            return (list(self.loader._orders.values())[-1].due - self.now) / SECOND


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(warm_up, "TURN_S", 0.01)
    made = Rig()
    yield made
    made.loader.stop()


def test_what_the_store_has_whole_is_not_asked_of_the_venue(rig: Rig) -> None:
    rig.stored = list(past(0).bars)
    rig.loader.wish(WISH)
    rig.until(lambda: bool(rig.told))
    assert rig.told == [("BTC-USDT", ANSWER)]
    assert rig.asked == []


def test_what_the_store_has_not_whole_comes_from_the_venue(rig: Rig) -> None:
    rig.stored = list(past(0).bars[5:])
    rig.loader.wish(WISH)
    rig.until(lambda: bool(rig.told))
    assert rig.told == [("BTC-USDT", ANSWER)]
    assert rig.asked == [WISH]


def test_stored_bars_tell_sides_only_where_the_venue_does(rig: Rig) -> None:
    rig.stored, rig.sides = list(past(0).bars), False
    rig.loader.wish(WISH)
    rig.until(lambda: bool(rig.told))
    assert not rig.told[0][1].tells_sides


def test_a_refusal_for_good_is_asked_once(rig: Rig) -> None:
    rig.answers = [HistoryError("there are none", is_final=True)]
    rig.loader.wish(WISH)
    rig.until(lambda: bool(rig.told))
    assert len(rig.asked) == 1
    assert rig.told[0][1].bars == ()


def test_an_answer_that_meets_a_bug_of_ours_is_done_without_and_loud(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.answers = [KeyError("nobody foresaw it")] * (WORKERS + 1)
    for number in range(WORKERS + 2):  # the workers are not used up
        wish = msgspec.structs.replace(WISH, interval=f"{number + 1}s")
        rig.loader.wish(wish)
        rig.until(lambda: len(rig.told) > number)  # noqa: B023 - it is called at once
    assert [bool(told.bars) for _, told in rig.told] == [False] * (WORKERS + 1) + [True]
    assert caplog.text.count("KeyError: 'nobody foresaw it'") == WORKERS + 1
    assert rig.loader.progress == (WORKERS + 2, WORKERS + 2)


def test_a_venue_that_wants_time_is_given_it(rig: Rig) -> None:
    rig.answers = [HistoryError("slowly", retry_after_s=300)]
    rig.loader.wish(WISH)
    rig.until(lambda: len(rig.asked) == 1)
    rig.now += 299 * SECOND
    other = msgspec.structs.replace(WISH, interval="5s")
    rig.loader.wish(other)
    rig.until(lambda: bool(rig.told))
    assert rig.asked == [WISH, other]
    rig.now += 2 * SECOND
    rig.until(lambda: len(rig.told) == 2)


def test_nothing_is_asked_before_it_is_over_at_the_venue(rig: Rig) -> None:
    ahead = msgspec.structs.replace(WISH, clock_offset=7 * SECOND)
    rig.loader.wish(ahead)
    other = msgspec.structs.replace(WISH, interval="5s")
    rig.loader.wish(other)
    rig.until(lambda: len(rig.told) == 1)
    assert rig.asked == [other]
    rig.now += 7 * SECOND
    rig.until(lambda: len(rig.told) == 2)
    assert rig.asked == [other, ahead]


def test_wishes_of_the_same_bars_are_fulfilled_with_one_answer(rig: Rig) -> None:
    rig.now = START
    later = msgspec.structs.replace(WISH, until=START + SECOND, bars=3)
    rig.loader.wish(WISH)
    rig.loader.wish(later)
    rig.now = START + GRACE + SECOND
    rig.until(lambda: bool(rig.told))
    assert rig.asked == [msgspec.structs.replace(later, bars=WISH.bars + 1)]


def test_a_venue_that_fails_is_asked_again_ever_more_slowly_until_it_answers(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    fails = WARNED_AFTER + 3
    rig.answers = [HistoryError("not now")] * fails
    rig.loader.wish(WISH)
    for tries in range(1, fails + 1):
        rig.until_tried(tries)
        assert rig.pause_s == min(2.0**tries, LONGEST_PAUSE_S)
        assert rig.told == []
        rig.now += int(rig.pause_s * SECOND)
    rig.until(lambda: bool(rig.told))
    assert rig.told == [("BTC-USDT", ANSWER)]
    assert len(rig.asked) == fails + 1
    assert [each.levelname for each in caplog.records].count("WARNING") == 1


def test_a_venue_is_asked_no_more_when_the_series_has_warmed_up_without(rig: Rig) -> None:
    rig.answers = [HistoryError("not now")] * 2
    rig.loader.wish(WISH)
    rig.until_tried(1)
    rig.now = START + MOST_COLLECTED * SECOND
    rig.until(lambda: bool(rig.told))
    (answer,) = (history for _, history in rig.told)
    assert (answer.bars, answer.until) == ((), WISH.until)
    assert len(rig.asked) == 2
    assert rig.loader.progress == (1, 1)


def test_a_venue_that_fails_keeps_no_other_waiting(rig: Rig) -> None:
    failing = [msgspec.structs.replace(WISH, interval=f"{many}m") for many in (1, 3, 5, 15, 30)]
    rig.answers = [HistoryError("not now")] * len(failing)
    for wish in failing:
        rig.loader.wish(wish)
    rig.until_tried(len(failing))
    rig.loader.stop()
    for thread in rig.loader._threads:
        thread.join()
    rig.now += 3600 * SECOND
    late = msgspec.structs.replace(WISH, interval="1h", until=rig.now - 3600 * SECOND)
    rig.loader.wish(late)
    order = rig.loader._next()
    assert order is not None
    assert order.wish == late


def test_a_venue_that_failed_once_is_believed_the_second_time(rig: Rig) -> None:
    rig.answers = [HistoryError("not now")]
    rig.loader.wish(WISH)
    rig.until(lambda: len(rig.asked) == 1)
    rig.now += 3600 * SECOND
    rig.until(lambda: bool(rig.told))
    assert rig.told == [("BTC-USDT", ANSWER)]


@pytest.mark.parametrize(
    ("bars", "whole"),
    [
        (past(0).bars, True),
        (past(0, count=31).bars, True),
        (past(0, count=29).bars, False),
        (past(-1, count=31).bars, False),
        (past(0).bars[:3] + past(0).bars[4:], False),
        ((*past(0).bars[:-1], msgspec.structs.replace(past(0).bars[-1], gap=True)), False),
        ((*past(0).bars[:-1], msgspec.structs.replace(past(0).bars[-1], partial=True)), False),
        ((), False),
    ],
    ids=["all", "more", "too few", "too old", "a hole", "a gap", "half a bar", "none"],
)
def test_stored_bars_are_whole_when_none_is_missing_or_marked(
    bars: tuple[Bar, ...], whole: bool
) -> None:
    assert is_whole(list(bars), WISH) is whole
