"""The queue between reader threads and the flow: bounded, in order; the flow never waits."""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from connectors.contract import Told
from connectors.frame_queue import FrameQueue
from connectors.recording import Record

Item = tuple[Record, list[Told]]


def item(number: int, feed: str = "a-0-0") -> Record:
    return Record(number, f"{feed}.1", "text")


def full(capacity: int, feed: str = "a-0-0") -> FrameQueue:
    frames = FrameQueue(capacity)
    for number in range(capacity):
        assert frames.put(item(number, feed), [], wait_s=0)
    return frames


def numbers(items: list[Item]) -> list[int]:
    return [record.ts for record, _ in items]


def in_thread(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def put_later(frames: FrameQueue, record: Record) -> threading.Event:
    """Append in another thread, which waits for room; the event says that there was some."""
    done = threading.Event()

    def put() -> None:
        if frames.put(record, [], wait_s=30):
            done.set()

    in_thread(put)
    return done


def test_what_goes_in_comes_out_in_order() -> None:
    frames = full(5)
    assert len(frames) == 5
    assert numbers(frames.take(2)) == [0, 1]
    assert numbers(frames.take(10)) == [2, 3, 4]
    assert frames.take(10) == []
    assert frames.high_water == 5


def test_without_room_it_says_so_after_the_wait() -> None:
    frames = full(3)
    began = time.monotonic()
    assert not frames.put(item(9), [], wait_s=0.05)
    assert time.monotonic() - began >= 0.05
    assert len(frames) == 3


def test_a_writer_goes_on_as_soon_as_there_is_room() -> None:
    frames = full(3)
    done = put_later(frames, item(9))
    assert not done.is_set()
    assert numbers(frames.take(1)) == [0]
    assert done.wait(5)
    assert numbers(frames.take(10)) == [1, 2, 9]


def test_what_steers_does_not_wait() -> None:
    frames = full(3)
    frames.put_at_once(Record(9, "", "control"), [])
    assert numbers(frames.take(10)) == [0, 1, 2, 9]


def test_one_feeds_records_are_replaced_and_the_others_stay() -> None:
    frames = FrameQueue(6)
    for number in range(6):
        frames.put(item(number, "a-0-0" if number % 2 else "a-0-1"), [], wait_s=0)
    woken = put_later(frames, item(99, "a-0-1"))
    end = (Record(7, "a-0-0.0", "open"), Record(8, "a-0-0", "close"))
    assert frames.replace("a-0-0", [(record, []) for record in end]) == 3
    assert woken.wait(5), "there is room now"
    assert numbers(frames.take(10)) == [0, 2, 4, 7, 8, 99]


def test_a_feed_is_not_mistaken_for_one_whose_name_begins_like_it() -> None:
    frames = FrameQueue(4)
    frames.put(item(1, "a-0-1"), [], wait_s=0)
    frames.put(item(2, "a-0-10"), [], wait_s=0)
    assert frames.replace("a-0-1", []) == 1
    assert numbers(frames.take(4)) == [2]


def test_room_is_half_of_it() -> None:
    frames = full(10)
    assert not frames.wait_for_room(wait_s=0.01)
    frames.take(5)
    assert not frames.wait_for_room(wait_s=0)
    frames.take(1)
    assert frames.wait_for_room(wait_s=0)
    assert FrameQueue(1).wait_for_room(wait_s=0)


@pytest.mark.parametrize("is_early", [True, False])
def test_when_the_end_has_come_nobody_waits(*, is_early: bool) -> None:
    frames = full(2)
    if is_early:
        frames.release()
    done = put_later(frames, item(9))
    if not is_early:
        frames.release()
    assert done.wait(5)
    assert frames.wait_for_room(wait_s=30)
    assert numbers(frames.take(10)) == [0, 1, 9]


def test_many_writers_keep_their_own_order_and_the_bound() -> None:
    frames = FrameQueue(16)
    count = 500

    def write(feed: int) -> None:
        for number in range(count):
            assert frames.put(item(number, f"f-{feed}-0"), [], wait_s=30)

    threads = [in_thread(partial(write, feed)) for feed in range(4)]
    taken: list[Item] = []
    deadline = time.monotonic() + 30
    while len(taken) < 4 * count and time.monotonic() < deadline:
        taken += frames.take(5)
    for thread in threads:
        thread.join(5)
    for feed in range(4):
        own = [record.ts for record, _ in taken if record.feed == f"f-{feed}-0"]
        assert own == list(range(count))
    assert frames.high_water <= 16
