import io
import os

import pytest

from sinks.console import ConsoleTarget
from sinks.delivery import Delivered, DeliveryError, Failure
from sinks.message import Message

NOON = 1_700_000_000_000_000_000


class Recorder(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.flushes = 0

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)

    def flush(self) -> None:
        self.flushes += 1


def test_an_alert_is_one_block_in_one_write() -> None:
    stream = Recorder()
    assert ConsoleTarget(stream).send(Message(body="RSI 28.1\nclose 70000"), NOON) == Delivered(
        None
    )
    assert stream.writes == ["ALERT 22:13:20 UTC  RSI 28.1\n    close 70000\n"]
    assert stream.flushes == 1


def test_control_characters_do_not_reach_the_terminal() -> None:
    stream = Recorder()
    ConsoleTarget(stream).send(Message(body="a\x1b[2Jb\rc\x9bd"), NOON)
    assert stream.writes == ["ALERT 22:13:20 UTC  a [2Jb c d\n"]


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    ConsoleTarget(stream).send(Message(body="RSI ↓ 28 \ud800"), NOON)
    assert raw.getvalue().endswith(b"RSI \\u2193 28 \\ud800\n")


def test_a_closed_stream_is_a_permanent_failure() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryError) as caught:
        ConsoleTarget(stream).send(Message(body="x"), NOON)
    assert caught.value.failure is Failure.PERMANENT


def test_a_broken_pipe_is_a_permanent_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with pytest.raises(DeliveryError, match="Broken pipe"):
        ConsoleTarget(stream).send(Message(body="x"), NOON)
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_the_sender_may_end_it() -> None:
    target = ConsoleTarget(io.StringIO())
    target.abort()
    target.close()
