"""Which processes belong together: what Bytewax was told on its command line.

`flow()` gets no process id from Bytewax, so the same arguments and variables are read here once
more. They decide nothing but who shares a state folder and whether other hosts take part.
"""

import argparse
import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

CLUSTER = "CANDLEWAX_CLUSTER"
"""Set by the supervisor for the processes that it starts: they use what it has started."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The flow processes that work together.

    Attributes:
        name: the same word in all of them and in no other run.
        process: number of this one, from 0.
        addresses: where they listen; empty for a single process.
        workers: of all processes together.
        supervised: a supervisor owns the state folder and starts the embedded parts.
    """

    name: str
    process: int = 0
    addresses: tuple[str, ...] = ()
    workers: int = 1
    supervised: bool = False

    @classmethod
    def of(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> "Cluster":
        """Read the command line of `python -m bytewax.run` and its environment.

        Args:
            arguments: `sys.argv[1:]`.
            environ: the environment.
        """
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        parser.add_argument("-i", "--process-id", type=int)
        parser.add_argument("-a", "--addresses")
        parser.add_argument("-w", "--workers-per-process", type=int)
        try:
            told, _ = parser.parse_known_args(list(arguments))
            process, text, threads = told.process_id, told.addresses, told.workers_per_process
        except argparse.ArgumentError:
            process, text, threads = None, None, None  # Bytewax says what is wrong with it
        if process is None:
            process = _process_of(environ)
        if text is None:
            text = environ.get("BYTEWAX_ADDRESSES") or _hosts_of(environ)
        if threads is None:
            told_by = environ.get("BYTEWAX_WORKERS_PER_PROCESS") or ""
            threads = int(told_by) if told_by.isdigit() else 1
        addresses = tuple(part.strip() for part in text.split(";") if part.strip())
        supervised = environ.get(CLUSTER, "")
        name = supervised or ";".join(addresses) or f"process {os.getpid()}"
        return cls(
            name=name,
            process=process or 0,
            addresses=addresses,
            workers=max(1, len(addresses)) * max(1, threads),
            supervised=bool(supervised),
        )

    def foreign(self) -> str:
        """Return the first address that is not this host's, empty when there is none."""
        return next((address for address in self.addresses if not _is_here(address)), "")


def _process_of(environ: Mapping[str, str]) -> int | None:
    text = environ.get("BYTEWAX_PROCESS_ID") or ""
    if text.isdigit():
        return int(text)
    pod = environ.get("BYTEWAX_POD_NAME") or ""
    number = pod.removeprefix(f"{environ.get('BYTEWAX_STATEFULSET_NAME') or ''}-")
    return int(number) if number.isdigit() else None


def _hosts_of(environ: Mapping[str, str]) -> str:
    file = environ.get("BYTEWAX_HOSTFILE_PATH")
    if not file:
        return ""
    try:
        return ";".join(Path(file).read_text(encoding="utf-8").splitlines())
    except OSError:
        return ""  # Bytewax says that it is not there


def _is_here(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(ipaddress.ip_address(one).is_loopback or _can_bind(one) for one in found)


def _can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def free_addresses(count: int) -> tuple[str, ...]:
    """Return loopback addresses with ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes)
    finally:
        for probe in probes:
            probe.close()
