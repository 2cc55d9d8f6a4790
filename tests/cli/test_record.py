"""`candlewax record` of every venue at once, from outside, against the embedded simulator.

In two processes: the venue that allows one connection is read by one of them and for both.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from connectors import VENUES
from connectors.placement import owner_of
from connectors.playback import Playback
from connectors.recording import Recording, merged
from flows.status import FlowStatus
from market.events import BookSnapshot, Quote, Trade
from market.instruments import symbol_of, venue_of
from simulator.settings import DEFAULT_KEY

SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
"""Each of two workers owns some."""
ROOT = Path(__file__).resolve().parents[2]


def until(what: Callable[[], bool], process: "subprocess.Popen[str]", within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s"
        time.sleep(0.1)


@pytest.mark.timeout(120)
def test_every_venue_is_recorded_and_its_recording_says_the_same(tmp_path: Path) -> None:
    home = tmp_path / "state"
    feeds = "".join(
        f"[feeds.{name}]\nsymbols = {json.dumps(SYMBOLS)}\nsimulated = true\n" for name in VENUES
    )
    (tmp_path / "candlewax.toml").write_text(feeds)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CANDLEWAX", "DATABASE_URL", "TELEGRAM", "MASSIVE", "POLYGON"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "record", "--processes", "2"],
        cwd=tmp_path,
        env={**kept, "CANDLEWAX_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def statuses() -> list[FlowStatus]:
        files = sorted((home / "status").glob("flow-*.json"))
        return [msgspec.json.decode(file.read_bytes(), type=FlowStatus) for file in files]

    def is_ready() -> bool:
        told = statuses()
        books = [item for status in told for item in status.books.items()]
        live = Counter(venue_of(name) for name, book in books if book.state == "live")
        whole = {name for name, count in live.items() if count == len(SYMBOLS)}
        return whole >= set(VENUES) - {"massive"} and any(status.crossed for status in told)

    try:
        until(is_ready, process, 60)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, words
    assert "Traceback" not in words
    reader = owner_of("massive", 2)
    for worker, status in enumerate(statuses()):
        owned = {symbol for symbol in SYMBOLS if owner_of(symbol, 2) == worker}
        assert {symbol_of(name) for name in status.books} == owned
        assert (status.crossed > 0) == (worker != reader), "massive's alone"
    playback = Playback(VENUES)
    told: dict[str, Counter[type]] = {name: Counter() for name in VENUES}
    for record in merged([Recording(path) for path in (home / "recordings").iterdir()]):
        assert DEFAULT_KEY.encode() not in record.body, "a key is never recorded"
        for event in playback.take(record):
            if isinstance(event, Trade | BookSnapshot | Quote):
                told[venue_of(event.instrument)][type(event)] += 1
    for name in VENUES:
        assert told[name][Trade] > 0, name
        assert told[name][Quote if name == "massive" else BookSnapshot] >= 2, name
