"""`candlewax record` of every venue at once, from outside, against the embedded simulator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors import VENUES
from connectors.playback import Playback
from connectors.recording import Recording
from market.events import BookSnapshot, Quote, Trade
from market.instruments import venue_of
from simulator.settings import DEFAULT_KEY

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
        f'[feeds.{name}]\nsymbols = ["BTC-USDT", "ETH-USDT"]\nsimulated = true\n' for name in VENUES
    )
    (tmp_path / "candlewax.toml").write_text(feeds)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CANDLEWAX", "DATABASE_URL", "TELEGRAM", "MASSIVE", "POLYGON"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "record"],
        cwd=tmp_path,
        env={**kept, "CANDLEWAX_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def live() -> Counter[str]:
        try:
            status = json.loads((home / "status" / "flow-0.json").read_bytes())
        except FileNotFoundError:
            return Counter()
        books = status["books"].items()
        return Counter(venue_of(name) for name, book in books if book["state"] == "live")

    try:
        with_books = set(VENUES) - {"massive"}
        until(lambda: {name for name, count in live().items() if count == 2} >= with_books,
              process, 60)  # fmt: skip
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, words
    assert "Traceback" not in words
    [path] = (home / "recordings").iterdir()
    playback = Playback(VENUES)
    told: dict[str, Counter[type]] = {name: Counter() for name in VENUES}
    for record in Recording(path):
        assert DEFAULT_KEY.encode() not in record.body, "a key is never recorded"
        for event in playback.take(record):
            if isinstance(event, Trade | BookSnapshot | Quote):
                told[venue_of(event.instrument)][type(event)] += 1
    for name in VENUES:
        assert told[name][Trade] > 0, name
        assert told[name][Quote if name == "massive" else BookSnapshot] >= 2, name
