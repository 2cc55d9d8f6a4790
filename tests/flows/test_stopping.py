"""The clean end, in a process of its own: signals belong to whole processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import threading, time
from flows import stopping
stopping.HARD_STOP_S = 2.0
stop = stopping.Stopping()
stop.install()
"""


@contextmanager
def program(text: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program that prints `ready` when it can be ended."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


WAITS = "print('ready', flush=True)\nstop.flag.wait(20)\nprint('ended', flush=True)\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_flag_and_what_follows_decides_the_exit_code(
    number: signal.Signals,
) -> None:
    with program(WAITS) as process:
        ready(process)
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "ended\n")


def test_what_does_not_end_is_ended() -> None:
    with program("print('ready', flush=True)\nwhile True: time.sleep(0.01)\n") as process:
        ready(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # a second one changes nothing
        assert process.wait(10) == 1
    assert 0.3 < time.monotonic() - began < 5


def test_a_thread_that_dies_ends_all_of_it_with_exit_code_1() -> None:
    text = "threading.Thread(target=lambda: 1 / 0, name='writer').start()\n" + WAITS
    with program(text) as process:
        out, err = process.communicate(timeout=10)  # it may have ended before we look
    assert (process.returncode, out) == (1, "ready\nended\n")
    assert "thread died: the flow ends" in err
    assert "ZeroDivisionError" in err
