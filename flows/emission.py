"""Outputs as lines: what `--emit`, `--out` and `--digest` show.

A line is a JSON object with `kind` and `key`. Lines of one kind and key are in the order in which
they came about, whatever the batches and workers were; a digest is over exactly that.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.market_output import FilterOutput, MarketOutput
from market.errors import ConfigError

KINDS = ("events", "books", "bars", "features", "alerts", "endings")
"""What can be emitted."""

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct):
    kind: str
    key: str
    value: object


class _Head(msgspec.Struct):
    kind: str
    key: str


_head = msgspec.json.Decoder(_Head).decode


def read_kinds(text: str) -> frozenset[str]:
    """Read a list such as `"bars,alerts"`.

    Raises:
        ConfigError: one of them is no kind.
    """
    kinds = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        raise ConfigError(f"--emit {unknown[0]}: expected some of {', '.join(KINDS)}")
    return kinds


def market_lines(output: MarketOutput, kinds: frozenset[str]) -> Iterator[bytes]:
    """Write what the market told, of the kinds that are wanted."""
    if "events" in kinds:
        for event in output.events:
            yield _encode(_Line("events", event.instrument, event))
    if "books" in kinds:
        for top in output.tops:
            yield _encode(_Line("books", top.instrument, top))
    if "bars" in kinds:
        for bar in output.bars:
            yield _encode(_Line("bars", f"{bar.instrument} {bar.interval}", bar))
    if "features" in kinds:
        for feature in output.features:
            key = f"{feature.instrument} {feature.interval} {feature.name}"
            yield _encode(_Line("features", key, feature))


def alert_lines(output: FilterOutput, kinds: frozenset[str]) -> Iterator[bytes]:
    """Write the alerts and their ends, when they are wanted."""
    if "alerts" in kinds:
        for alert in output.alerts:
            yield _encode(_Line("alerts", f"{alert.spec} {alert.series}", alert))
    if "endings" in kinds:
        for ended in output.ended:
            yield _encode(_Line("endings", f"{ended.spec} {ended.series}", ended))


def digest(lines: Iterable[bytes]) -> str:
    """Return the digest of emitted lines and how many there are of each kind.

    SHA-256 over the lines of each kind and key in their order, then over the sorted list of these.
    """
    hashes: dict[tuple[str, str], hashlib._Hash] = {}
    counts: Counter[str] = Counter()
    for line in lines:
        head = _head(line)
        counts[head.kind] += 1
        found = hashes.get((head.kind, head.key))
        if found is None:
            found = hashes[head.kind, head.key] = hashlib.sha256()
        found.update(line.strip())
        found.update(b"\n")
    whole = hashlib.sha256()
    for (kind, key), part in sorted(hashes.items()):
        whole.update(f"{kind} {key} {part.hexdigest()}\n".encode())
    told = " ".join(f"{kind}={counts[kind]}" for kind in KINDS if counts[kind])
    return f"{whole.hexdigest()} records={sum(counts.values())} {told}".rstrip()


class LineSink(FixedPartitionedSink[list[bytes], int]):
    """Writes lines to one file; after a resume it goes on exactly where the snapshot was.

    Expects `(symbol, [line, …])`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_parts(self) -> list[str]:
        """One file, one partition."""
        return ["lines"]

    def part_fn(self, _item_key: str) -> int:
        """Everything goes there."""
        return 0

    def build_part(
        self, _step_id: str, _for_part: str, resume_state: int | None
    ) -> "StatefulSinkPartition[list[bytes], int]":
        """Open the file, cut to where it was."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        length = file.seek(0, 2)
        wanted = resume_state or 0
        if length < wanted:
            log.error(
                "lines are missing: the file is shorter than when the flow was stopped",
                extra={"path": str(self._path), "bytes": length, "expected": wanted},
            )
        file.truncate(min(wanted, length))
        return _LinePartition(file)


class _LinePartition(StatefulSinkPartition[list[bytes], int]):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)

    def write_batch(self, values: list[list[bytes]]) -> None:
        """Append the lines."""
        for lines in values:
            for line in lines:
                self._size += self._file.write(line) + self._file.write(b"\n")
        self._file.flush()

    def snapshot(self) -> int:
        """Return the file's length."""
        self._file.flush()
        return self._size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
