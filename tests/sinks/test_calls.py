"""When a target may be called, and how long it is left alone; clocks of our own."""

import pytest

from sinks import calls
from sinks.calls import Calls
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.message import MOST, Message
from sinks.outbox_row import OutboxRow
from sinks.pacing import Pace, Pacer, Rate

A, B = "telegram/a", "telegram/b"


class Chat:
    """Answers as told."""

    def __init__(self, *outcomes: DeliveryError | RuntimeError, digests: bool = True) -> None:
        self.traits = Traits(pace=Pace("chat", Rate(1, 1.0)), digests=digests)
        self.outcomes = list(outcomes)

    def send(self, message: Message, now: int) -> Delivered:
        if self.outcomes:
            raise self.outcomes.pop(0)
        return Delivered(f"{message.body} {now}")

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


class Plain(Chat):
    """The same, with no limit."""

    def __init__(self, *outcomes: DeliveryError) -> None:
        super().__init__(*outcomes)
        self.traits = Traits(keeps_quiet=True)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def row(target: str) -> OutboxRow:
    return OutboxRow(
        id=1, alert_key="k", target=target, severity="info", text="x", state="sending",
        attempts=1, fired_at=1,
    )  # fmt: skip


def make(made: Calls, target: str) -> calls.Attempt:
    assert made.begin(target)
    return made.make([row(target)], Message(body="x"), now=7)


def busy(retry_after_s: float | None = None) -> DeliveryError:
    return DeliveryError("busy", failure=Failure.RETRY, retry_after_s=retry_after_s)


def test_a_target_is_ready_again_when_its_pace_says_so() -> None:
    clock = Clock()
    made = Calls({A: Chat(), B: Plain()}, Pacer(clock))
    assert made.names == made.ready == [A, B]
    assert made.quiet == [B]
    assert make(made, A) == ([row(A)], Delivered("x 7"), 0.0)
    make(made, B)
    assert made.ready == [B]
    assert not made.begin(A)
    assert made.wait_s(5.0) == pytest.approx(1.0)
    assert made.wait_s(0.5) == 0.5
    clock.now += 1.0
    assert made.ready == [A, B]


def test_a_cancelled_call_takes_no_time() -> None:
    made = Calls({A: Chat()}, Pacer(Clock()))
    assert made.begin(A)
    assert made.ready == []
    made.cancel(A)
    assert made.ready == [A]


def test_failures_in_a_row_pause_longer_and_an_answer_ends_that() -> None:
    clock = Clock()
    refused = DeliveryError("never", failure=Failure.PERMANENT)
    silent = DeliveryError("no answer", failure=Failure.UNKNOWN)
    made = Calls({B: Plain(*[busy()] * 7, refused, silent, busy(33.0))}, Pacer(clock))
    pauses = []
    for _ in range(11):
        attempt = make(made, B)
        pauses.append(attempt.pause_s)
        assert (made.ready == []) == (attempt.pause_s > 0)
        clock.now += attempt.pause_s
    assert pauses == [*calls.BACKOFF_S, calls.BACKOFF_S[-1], 0.0, 0.5, 33.0, 0.0]


def test_a_bug_of_a_target_gives_its_place_back() -> None:
    clock = Clock()
    made = Calls({A: Chat(RuntimeError("a bug"))}, Pacer(clock))
    with pytest.raises(RuntimeError, match="a bug"):
        make(made, A)
    clock.now += 1.0
    assert made.ready == [A]


@pytest.mark.parametrize(
    ("count", "digests", "together"),
    [(1, True, 1), (4, True, 1), (5, True, 5), (5, False, 1), (40, True, MOST)],
)
def test_many_alerts_go_together_where_the_target_takes_them(
    count: int, digests: bool, together: int
) -> None:
    made = Calls({A: Chat(digests=digests)}, Pacer(Clock()))
    assert made.together(A, range(count), enough=5) == list(range(together))
