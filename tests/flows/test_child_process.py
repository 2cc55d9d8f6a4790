import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from flows import child_process

WAITS = [sys.executable, "-c", "import time; time.sleep(60)"]


def is_gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_a_child_that_listens_ends_gently() -> None:
    child = child_process.start(WAITS)
    assert child_process.end(child, grace_s=5) == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed() -> None:
    deaf = textwrap.dedent("""
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(60)
    """)
    child = child_process.start([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"ready\n"
        assert child_process.end(child, grace_s=0.1) == -signal.SIGKILL


def test_a_child_has_a_process_group_of_its_own() -> None:
    child = child_process.start(WAITS)
    try:
        assert os.getpgid(child.pid) == child.pid
    finally:
        child_process.end(child, grace_s=5)


def test_a_child_is_not_started_from_a_thread() -> None:
    caught: list[Exception] = []

    def try_it() -> None:
        try:
            child_process.start(WAITS)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    assert len(caught) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs parent-death signals")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    program = textwrap.dedent(f"""
        import time
        from flows import child_process
        child = child_process.start({WAITS!r})
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        grandchild = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    assert is_gone(grandchild)
