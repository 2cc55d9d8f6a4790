import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from simulator.__main__ import main


@contextmanager
def simulator(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [
        sys.executable,
        "-m",
        "simulator",
        "--symbols",
        "BTC-USDT",
        "--venues",
        "binance",
        *options,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_its_addresses_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    with simulator("--telegram", "--script", "demo", "--faults", "cut") as (process, addresses):
        assert set(addresses) == {"websocket", "rest", "telegram"}
        assert httpx.get(f"{addresses['rest']}/binance/api/v3/ping").json() == {}
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert errors == ""


def test_it_ends_when_its_input_closes() -> None:
    with simulator("--until-stdin-closes") as (process, addresses):
        assert set(addresses) == {"websocket", "rest"}
        process.communicate(timeout=10)
        assert process.returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux call")
def test_it_dies_with_its_parent() -> None:
    code = (
        "import subprocess, sys, os, signal\n"
        "child = subprocess.Popen([sys.executable, '-m', 'simulator', '--symbols', 'BTC-USDT',"
        " '--die-with-parent'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    read_end, write_end = os.pipe()  # its write end is closed when the last process has ended
    parent = subprocess.run(
        [sys.executable, "-c", code], pass_fds=(), stdout=subprocess.PIPE, stderr=write_end,
        timeout=30, check=False, text=True,
    )  # fmt: skip
    os.close(write_end)
    assert parent.returncode == -signal.SIGKILL
    assert int(parent.stdout) > 0
    with os.fdopen(read_end) as errors:
        assert errors.read() == ""


def test_a_wrong_script_ends_with_2_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("moves: [{symbol: BTC-USDT}]")
    assert main(["--script", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port=-1", "--port=x", "--rate=0", "--rate=nan", "--shout"])
def test_a_wrong_option_ends_with_2(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err


def test_a_taken_port_ends_with_2_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert main(["--symbols", "BTC-USDT", "--port", str(port)]) == 2
    assert "--port" in capsys.readouterr().err
