import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import supervisor as module
from flows.supervisor import FlowProcesses, Recovery, Signals, Supervisor

STEADY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(60)
"""


class Flow:
    """Stands in for a flow: processes that run a short program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generations: list[FlowProcesses] = []

    def starter(self, *programs: str, count: int = 1) -> Iterator[FlowProcesses]:
        for number, program in enumerate(programs):
            file = self.folder / f"program{number}.py"
            file.write_text(textwrap.dedent(program))
            processes = FlowProcesses(str(file), count=count, program=(sys.executable,))
            self.generations.append(processes)
            yield processes


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    flow = Flow(tmp_path)
    yield flow
    for processes in flow.generations:
        processes.kill()
        processes.wait(5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "STOP_S", 2.0)
    monkeypatch.setattr(module, "_TOGETHER_S", 1.0)


def test_the_end_is_clean_when_it_is_asked_for(flow: Flow) -> None:
    starts = flow.starter(STEADY, count=2)
    runs: list[int] = []

    def turn() -> bool:
        runs.append(1)
        return len(runs) < 5  # by then the interpreter has long set its handler

    with Signals() as signals:
        time_before = time.monotonic()
        supervisor = Supervisor(lambda: next(starts), signals)
        code = supervisor.run(turn)
    assert code in (0, 1)  # SIGTERM may come before the program is ready for it
    assert time.monotonic() - time_before < 5
    assert all(status is not None for status in flow.generations[0].codes())


def test_a_signal_ends_the_run(flow: Flow) -> None:
    starts = flow.starter(STEADY)
    with Signals() as signals:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        Supervisor(lambda: next(starts), signals).run()
        timer.join()
        assert signals.last == signal.SIGINT
    assert all(status is not None for status in flow.generations[0].codes())


def test_a_signal_that_comes_twice_at_once_counts_once() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.count == 1


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_death_starts_all_again_with_new_addresses(flow: Flow) -> None:
    dies = "import sys; sys.exit(3) if '0' in sys.argv else __import__('time').sleep(60)"
    starts = flow.starter(dies, dies, STEADY, count=2)
    with Signals() as signals:
        supervisor = Supervisor(lambda: next(starts), signals)
        supervisor.run(lambda: supervisor.restarts < 2)
    assert supervisor.restarts == 2
    for generation in flow.generations[:2]:
        assert all(code is not None for code in generation.codes())
    commands = {str(generation.children[0].args) for generation in flow.generations}
    assert len(commands) == 3


def test_several_quick_deaths_end_the_run(flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    starts = flow.starter(*["import sys; sys.exit(1)"] * 9)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals).run() == 1
    assert len(flow.generations) == module.QUICK_DEATHS
    assert "giving up" in caplog.text


def test_a_users_mistake_is_not_tried_again(flow: Flow) -> None:
    starts = flow.starter("import sys; sys.exit(2)", STEADY)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals).run() == 2
    assert len(flow.generations) == 1


def test_a_restart_that_meets_an_outage_is_tried_again(flow: Flow) -> None:
    starts = flow.starter("import sys; sys.exit(1)", *["import sys; sys.exit(2)"] * 2, STEADY)
    with Signals() as signals:
        supervisor = Supervisor(lambda: next(starts), signals)
        supervisor.run(lambda: supervisor.restarts < 3)
    assert [one.codes() for one in flow.generations[:3]] == [[1], [2], [2]]
    assert len(flow.generations) == 4


def test_an_outage_after_a_good_run_is_waited_for(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUICK_S", 0.5)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)
    good = "import sys, time; time.sleep(0.6); sys.exit(1)"
    starts = flow.starter(good, *["import os; os._exit(2)"] * 8, STEADY)
    with Signals() as signals:
        supervisor = Supervisor(lambda: next(starts), signals)
        supervisor.run(lambda: supervisor.restarts < 9)
    assert len(flow.generations) == 10


def test_a_mistake_that_stays_after_a_restart_ends_the_run(flow: Flow) -> None:
    starts = flow.starter("import sys; sys.exit(1)", *["import sys; sys.exit(2)"] * 9)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals).run() == 1
    assert len(flow.generations) == module.QUICK_DEATHS


def test_processes_that_come_to_their_end_are_not_started_again(flow: Flow) -> None:
    starts = flow.starter("", STEADY, count=2)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals).run() == 0
    assert len(flow.generations) == 1


def test_without_restart_the_first_death_is_the_end(flow: Flow) -> None:
    starts = flow.starter("import sys; sys.exit(1)", STEADY)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals, restart=False).run() == 1
    assert len(flow.generations) == 1


def test_a_part_that_is_gone_for_good_ends_the_run(flow: Flow) -> None:
    starts = flow.starter(STEADY, STEADY)
    with Signals() as signals:
        supervisor = Supervisor(lambda: next(starts), signals, fault=lambda: "the part is gone")
        assert supervisor.run() == 1
    assert len(flow.generations) == 1
    assert flow.generations[0].codes() != [None]


def test_a_process_that_does_not_end_is_killed(flow: Flow) -> None:
    ready = flow.folder / "ready"
    deaf = f"""
    import pathlib, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path({str(ready)!r}).touch()
    time.sleep(60)
    """
    starts = flow.starter(deaf)
    with Signals() as signals:
        assert Supervisor(lambda: next(starts), signals).run(lambda: not ready.exists()) == 1
    assert flow.generations[0].codes() == [-signal.SIGKILL]


def test_bytewax_is_told_where_its_store_and_its_peers_are(tmp_path: Path) -> None:
    program = tmp_path / "arguments.py"
    program.write_text("import os, sys; print(sys.argv[1:], os.environ['CANDLEWAX_CLUSTER'])")
    with (tmp_path / "output").open("wb") as output:
        processes = FlowProcesses(
            str(program),
            count=2,
            cluster="word",
            recovery=Recovery(folder=Path("store")),
            output=output,
            program=(sys.executable,),
        )
        assert processes.wait(10)
    lines = sorted((tmp_path / "output").read_text().splitlines())
    assert len(lines) == 2
    for number, line in enumerate(lines):
        assert line.startswith("['-r', 'store', '-s', '2', '-b', '0', '-i', ")
        assert f"'-i', '{number}', '-a', '127.0.0.1:" in line
        assert line.endswith(" word")


def test_each_process_has_a_port_of_its_own_for_metrics(tmp_path: Path) -> None:
    program = tmp_path / "arguments.py"
    program.write_text("import os; print(os.environ['BYTEWAX_DATAFLOW_API_PORT'])")
    environ = {**os.environ, "BYTEWAX_DATAFLOW_API_ENABLED": "1"}
    with (tmp_path / "output").open("wb") as output:
        processes = FlowProcesses(
            str(program), count=3, environ=environ, output=output, program=(sys.executable,)
        )
        assert processes.wait(10)
    assert sorted((tmp_path / "output").read_text().split()) == ["3030", "3031", "3032"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs parent-death signals")
def test_no_process_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    steady = tmp_path / "steady.py"
    steady.write_text("import time; time.sleep(60)")
    program = textwrap.dedent(f"""
        import sys
        from flows.supervisor import FlowProcesses, Signals, Supervisor
        def start():
            made = FlowProcesses({str(steady)!r}, count=2, program=(sys.executable,))
            print(*made.pids, flush=True)
            return made
        with Signals() as signals:
            Supervisor(start, signals).run()
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
        parent.wait()
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
