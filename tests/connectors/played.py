"""Recordings played through the source as the engine does it."""

import threading
from collections.abc import Iterable
from pathlib import Path

from connectors import VENUES as REAL
from connectors.drain import FlowEvent, MicroBatch
from connectors.replay_source import ReplaySource
from tests.connectors.scripted_venue import VENUES


def by_symbol(batches: Iterable[MicroBatch]) -> dict[str, list[FlowEvent]]:
    joined: dict[str, list[FlowEvent]] = {}
    for symbol, events in batches:
        joined.setdefault(symbol, []).extend(events)
    return joined


def replay(
    paths: list[Path],
    *,
    batch: int = 500,
    position: int | None = None,
    controls: list[bytes] | None = None,
    scripted: bool = False,
) -> tuple[list[MicroBatch], list[str]]:
    source = ReplaySource(
        paths,
        VENUES if scripted else REAL,
        batch=batch,
        controls=controls,
        stopping=threading.Event(),
    )
    assert source.list_parts() == ["recording"]
    partition = source.build_part("feeds", "recording", position)
    batches: list[MicroBatch] = []
    while True:
        try:
            batches += partition.next_batch()
        except StopIteration:
            partition.close()
            return batches, source.problems
