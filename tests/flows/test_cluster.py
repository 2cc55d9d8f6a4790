import os
from pathlib import Path

import pytest

from flows.cluster import Cluster, free_addresses

TWO = "127.0.0.1:2101;127.0.0.1:2102"


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["flows.crypto", "-i", "1", "-a", TWO], {}),
        (["flows.crypto", "-i1", f"-a{TWO}"], {}),
        (["flows.crypto", "--process-id=1", "--addresses", TWO], {}),
        (["flows.crypto", "-r", "x", "-s", "1", "-b", "0", "-i", "1", "-a", TWO], {}),
        (["flows.crypto"], {"BYTEWAX_PROCESS_ID": "1", "BYTEWAX_ADDRESSES": TWO}),
        (
            ["flows.crypto", "-a", TWO],
            {"BYTEWAX_POD_NAME": "wax-1", "BYTEWAX_STATEFULSET_NAME": "wax"},
        ),
    ],
)
def test_the_cluster_is_read_as_bytewax_reads_it(
    arguments: list[str], environ: dict[str, str]
) -> None:
    cluster = Cluster.of(arguments, environ)
    assert cluster.process == 1
    assert cluster.addresses == ("127.0.0.1:2101", "127.0.0.1:2102")
    assert not cluster.supervised
    assert cluster.name == Cluster.of(["x", "-i0", "-a", TWO], {}).name


def test_a_hostfile_gives_the_addresses(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1:2101\n127.0.0.1:2102\n")
    cluster = Cluster.of(["x", "-i", "0"], {"BYTEWAX_HOSTFILE_PATH": str(hosts)})
    assert cluster.name == TWO


def test_a_single_process_is_a_cluster_of_its_own() -> None:
    cluster = Cluster.of(["flows.crypto", "-w2"], {})
    assert cluster.addresses == ()
    assert str(os.getpid()) in cluster.name


@pytest.mark.parametrize(
    ("arguments", "environ", "workers"),
    [
        (["flows.crypto"], {}, 1),
        (["flows.crypto", "-w", "3"], {}, 3),
        (["flows.crypto", "-i", "1", "-a", "a:1;b:2"], {}, 2),
        (["flows.crypto", "-i", "1", "-a", "a:1;b:2", "-w2"], {}, 4),
        (["flows.crypto"], {"BYTEWAX_WORKERS_PER_PROCESS": "2"}, 2),
        (["flows.crypto"], {"BYTEWAX_WORKERS_PER_PROCESS": "two"}, 1),
    ],
)
def test_the_workers_of_all_processes_are_counted(
    arguments: list[str], environ: dict[str, str], workers: int
) -> None:
    assert Cluster.of(arguments, environ).workers == workers


def test_a_supervisor_names_the_cluster() -> None:
    cluster = Cluster.of(["x", "-i", "0", "-a", TWO], {"CANDLEWAX_CLUSTER": "word"})
    assert cluster.supervised
    assert cluster.name == "word"


def test_wrong_arguments_are_left_to_bytewax() -> None:
    assert Cluster.of(["x", "-i", "one"], {}).process == 0


@pytest.mark.parametrize(
    ("address", "foreign"),
    [
        ("127.0.0.1:1", False),
        ("localhost:1", False),
        ("[::1]:1", False),
        ("192.0.2.7:1", True),  # RFC 5737: nobody's
    ],
)
def test_an_address_on_another_host_is_seen(address: str, foreign: bool) -> None:
    cluster = Cluster(name="x", addresses=(address,))
    assert cluster.foreign() == (address if foreign else "")


def test_free_addresses_differ() -> None:
    addresses = free_addresses(5)
    assert len(set(addresses)) == 5
    assert all(address.startswith("127.0.0.1:") for address in addresses)
