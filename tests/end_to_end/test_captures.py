"""Captured Binance data through the real flow, against what an independent reference computed."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from flows.output import lines_of
from market.events import Bar, BookTop, Level, State
from tests import captures as convert
from tests.end_to_end.flow_runs import connected, replay_run

Best: TypeAlias = tuple[Level, Level]
HFTBACKTEST = "binance/hftbacktest_spot_btcusdt_20240808.gz"
CRYPTOFEED = "binance/cryptofeed_BINANCE.ws.1.0"
CRYPTOFEED_HTTP = "binance/cryptofeed_BINANCE.http.0.0"


class BookLine(msgspec.Struct):
    kind: str
    key: str
    value: BookTop


class BarLine(msgspec.Struct):
    kind: str
    key: str
    value: Bar


@pytest.fixture(scope="module")
def expected(captures: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((captures / "expected.json").read_bytes())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def hftbacktest(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = tmp_path_factory.mktemp("captures") / "hftbacktest.jsonl.gz"
    convert.write(convert.hftbacktest(captures / HFTBACKTEST), recording)
    return recording


@pytest.fixture(scope="module")
def replayed(hftbacktest: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    home = tmp_path_factory.mktemp("replayed")
    with replay_run(home, [hftbacktest], emit=["books", "bars"]) as run:
        assert run.wait() == [0]
    return list(lines_of(home / "out.jsonl"))


def books(lines: list[bytes]) -> list[BookTop]:
    return [
        msgspec.json.decode(line, type=BookLine).value
        for line in lines
        if line.startswith(b'{"kind":"books"')
    ]


def bars(lines: list[bytes]) -> list[Bar]:
    return [
        msgspec.json.decode(line, type=BarLine).value
        for line in lines
        if line.startswith(b'{"kind":"bars"')
    ]


def book_tickers(path: Path) -> Iterator[tuple[int, Best]]:
    """The venue's own best bid and ask: update id, then price and size of both."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if "@bookTicker" in line:
                data = json.loads(line.partition(" ")[2])["data"]
                bid, ask = (
                    (float(data["b"]), float(data["B"])),
                    (float(data["a"]), float(data["A"])),
                )
                yield data["u"], (bid, ask)


def levels(texts: list[list[str]]) -> list[Level]:
    return [(float(price), float(size)) for price, size in texts]


def test_every_depth_update_shows_what_book_ticker_says(
    captures: Path, replayed: list[bytes]
) -> None:
    tickers = sorted(book_tickers(captures / HFTBACKTEST))
    at = 0
    compared = wrong = 0
    for top in books(replayed)[1:]:  # the first is the snapshot
        while at + 1 < len(tickers) and tickers[at + 1][0] <= top.sequence:
            at += 1
        assert tickers[at][0] <= top.sequence
        compared += 1
        wrong += (top.bids[0], top.asks[0]) != tickers[at][1]
    assert (compared, wrong) == (3449, 0)


def test_every_book_is_live_and_in_the_venues_order(replayed: list[bytes]) -> None:
    tops = books(replayed)
    began = [top.state for top in tops].index(State.LIVE)
    assert began < 10, "only what came before the first snapshot is told late"
    assert {top.state for top in tops[began:]} == {State.LIVE}
    ids = [top.sequence for top in tops]
    assert ids == sorted(set(ids))


def test_the_last_book_is_the_expected_one(replayed: list[bytes], expected: dict) -> None:  # type: ignore[type-arg]
    last = books(replayed)[-1]
    final = expected[HFTBACKTEST]["final"]
    assert last.sequence == expected[HFTBACKTEST]["last_u"]
    assert last.bids == levels(final["bids"])[:10]
    assert last.asks == levels(final["asks"])[:10]


def test_minute_bars_are_the_expected_ones(replayed: list[bytes], expected: dict) -> None:  # type: ignore[type-arg]
    minutes = [bar for bar in bars(replayed) if bar.interval == "1m"]
    assert all(bar.revision == 0 and not bar.gap for bar in minutes)
    wanted = {bar["start_ms"] * 1_000_000: bar for bar in expected[HFTBACKTEST]["bars_1m"]}
    # The capture ends within its last minute, and a replay does not close what is not over.
    assert [bar.start for bar in minutes] == sorted(wanted)[: len(minutes)]
    assert len(wanted) - len(minutes) <= 1
    for bar in minutes:
        want = wanted[bar.start]
        assert (bar.open, bar.high, bar.low, bar.close) == tuple(
            float(want[name]) for name in ("o", "h", "l", "c")
        )
        assert bar.volume == pytest.approx(float(want["v"]), rel=1e-12)
        assert bar.count == want["n"]
    assert [bar.partial for bar in minutes] == [True] + [False] * (len(minutes) - 1)


def test_second_bars_hold_every_trade_of_the_minutes(replayed: list[bytes]) -> None:
    minutes = [bar for bar in bars(replayed) if bar.interval == "1m"]
    seconds = [bar for bar in bars(replayed) if bar.interval == "1s"]
    for minute in minutes:
        within = [bar for bar in seconds if minute.start <= bar.start < minute.end]
        assert sum(bar.count for bar in within) == minute.count
        assert sum(bar.volume for bar in within) == pytest.approx(minute.volume, rel=1e-12)


def test_every_trade_is_stored_once(hftbacktest: Path, tmp_path: Path, database: str) -> None:
    with replay_run(tmp_path / "home", [hftbacktest], emit=["bars"], store=database) as run:
        assert run.wait() == [0]
    with connected(database) as connection:
        trades = connection.execute(
            "SELECT count(*), count(DISTINCT trade_id) FROM trades"
        ).fetchone()
        gaps = connection.execute("SELECT count(*) FROM gaps").fetchone()
    assert trades == (9757, 9757)
    assert gaps == (0,)


def test_four_symbols_bridge_their_snapshots_without_a_gap(
    captures: Path,
    tmp_path: Path,
    expected: dict,  # type: ignore[type-arg]
) -> None:
    recording = tmp_path / "cryptofeed.jsonl.gz"
    convert.write(convert.cryptofeed(captures / CRYPTOFEED, captures / CRYPTOFEED_HTTP), recording)
    with replay_run(tmp_path / "home", [recording], emit=["books", "events"]) as run:
        assert run.wait() == [0]
    lines = list(lines_of(tmp_path / "home" / "out.jsonl"))
    gaps = [line for line in lines if b'"type":"FeedGap"' in line and b"connecting" not in line]
    assert gaps == []
    tops: dict[str, list[BookTop]] = {}
    for top in books(lines):
        tops.setdefault(top.instrument, []).append(top)
    wanted = {
        convert.binance_instrument(native).id: want for native, want in expected[CRYPTOFEED].items()
    }
    assert len(wanted) == 4
    for name, want in wanted.items():
        last = tops[name][-1]
        assert last.sequence == want["last_u"]
        assert last.bids == levels(want["bids"])[:10]
        assert last.asks == levels(want["asks"])[:10]
        assert {top.state for top in tops[name]} == {State.LIVE}
