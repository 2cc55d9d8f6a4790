"""Which worker owns a key: against Python's own SipHash-1-3, and against Bytewax itself."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.placement import owner_of, siphash13

BASES = ("BTC", "ETH", "SOL", "币安人生", "1000SATS", "é")
KEYS = [f"{base}-{quote}" for base in BASES for quote in ("USDT", "BTC", "EUR", "FDUSD", "")]
KEYS += [f"C{number}-USDT" for number in range(120)]

FLOW = """
import sys
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition

KEYS = open({keys!r}, encoding="utf-8").read().split("\\n")

class Partition(StatelessSourcePartition):
    def __init__(self, is_first):
        self.left = is_first
    def next_batch(self):
        if not self.left:
            raise StopIteration
        self.left = False
        return [(key, 1) for key in KEYS]

class Source(DynamicSource):
    def build(self, step, index, count):
        return Partition(index == count - 1)

class Logic(StatefulBatchLogic):
    def on_batch(self, values):
        return values, StatefulBatchLogic.RETAIN
    def snapshot(self):
        return None

class Out(StatelessSinkPartition):
    def __init__(self, index):
        self.file = open({out!r} + str(index), "a", encoding="utf-8")
    def write_batch(self, items):
        self.file.writelines(key + "\\n" for key, _ in items)
    def close(self):
        self.file.close()

class Sink(DynamicSink):
    def build(self, step, index, count):
        return Out(index)

flow = Dataflow("placement")
keyed = op.stateful_batch("keyed", op.input("in", flow, Source()), lambda _: Logic())
op.output("out", keyed, Sink())
"""


def test_the_hash_is_siphash_1_3_with_zero_keys() -> None:
    """Python hashes bytes with it, and with zero keys when its seed is zero."""
    assert sys.hash_info.algorithm == "siphash13"
    samples = [bytes(range(length)) for length in range(1, 70)] + [b"BTC-USDT\xff", b"\xff" * 200]
    program = f"print([hash(sample) & (2**64 - 1) for sample in {samples!r}])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.strip() == str([siphash13(sample) for sample in samples])


@given(st.text(max_size=40), st.integers(1, 64))
def test_every_key_has_an_owner(key: str, workers: int) -> None:
    assert 0 <= owner_of(key, workers) < workers
    assert owner_of(key, 1) == 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    (tmp_path / "keys").write_text("\n".join(KEYS), encoding="utf-8")
    path = tmp_path / "placed.py"
    program = FLOW.format(keys=str(tmp_path / "keys"), out=str(tmp_path / "worker-"))
    path.write_text(program, encoding="utf-8")
    return path


def found(folder: Path, workers: int) -> dict[str, int]:
    return {
        key: index
        for index in range(workers)
        for key in (folder / f"worker-{index}").read_text(encoding="utf-8").splitlines()
    }


def run(flow_file: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bytewax.run", "placed:flow", *arguments],
        cwd=flow_file.parent,
        env={**os.environ, "PYTHONPATH": str(flow_file.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_keys_land_where_we_say_with_three_workers_in_one_process(flow_file: Path) -> None:
    process = run(flow_file, "-w3")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    assert found(flow_file.parent, 3) == {key: owner_of(key, 3) for key in KEYS}


def test_keys_land_where_we_say_in_two_processes(flow_file: Path) -> None:
    addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(2))
    processes = [run(flow_file, "-i", str(index), "-a", addresses) for index in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    placed = found(flow_file.parent, 2)
    assert placed == {key: owner_of(key, 2) for key in KEYS}
    assert set(placed.values()) == {0, 1}
