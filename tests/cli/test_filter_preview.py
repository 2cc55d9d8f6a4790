"""`candlewax filters preview`: what a person sees and may get wrong."""

import json
import re
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli.main import USER_MISTAKE, main
from connectors import VENUES
from flows.backfill import Backfilled, backfill
from flows.instruments import list_instruments
from market.events import Bar
from market.instruments import Instrument, InstrumentList
from sinks.stored_bars import fill_in, stream_bars
from tests.end_to_end.wire_recording import record_wire

MINUTE = 60_000_000_000
INSTRUMENT = Instrument(
    venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT"
)
SPECS = """\
version: 1
filters:
  - id: above
    source: {stream: bar, symbols: [BTC-USDT], interval: %s}
    when: close > 100
    cooldown: 3m
  - id: lopsided
    source: {stream: book, symbols: ["*"]}
    when: imbalance(10) > 0.2
    cooldown: 5s
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    write("1m")


def write(interval: str) -> None:
    Path("specs").mkdir(exist_ok=True)
    Path("specs/mine.yaml").write_text(SPECS % interval)
    Path("candlewax.toml").write_text(
        '[filters]\nfolder = "specs"\n'
        + "".join(f'[feeds.{name}]\nsymbols = ["BTC-USD"]\nsimulated = true\n' for name in VENUES)
    )


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the last 40 minutes of one instrument: every fifth closes above 100."""
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        now = time.time_ns() // MINUTE * MINUTE
        fill_in(connection, INSTRUMENT, [_bar(now, ago) for ago in range(40, 0, -1)])
    return database


def _bar(now: int, ago: int) -> Bar:
    close = 101.0 if ago % 5 == 0 else 99.0
    start = now - ago * MINUTE
    return Bar(
        instrument=INSTRUMENT.id,
        interval="1m",
        start=start,
        end=start + MINUTE,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
        buy_volume=0.5,
        notional=close,
        count=1,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["abvoe"], "specs or the database; did you mean 'above'?"),
        (["nothing.yaml"], "nothing.yaml: no such file"),
        (["above", "--last", "soon"], "'soon' is no length of time"),
        (["above", "--from", "1h", "--to", "2h"], "no time between"),
        (["above", "--vary", "close < 1"], "no part of this field and operator; did you mean"),
        (["above", "--vary", "klose > 1"], "--vary 'klose > 1'"),
        (["above", "--after", "0s"], "--after: expected times above 0"),
        (["lopsided"], "it looks at every change of the book"),
        (["lopsided", "--recording", "none.jsonl.gz"], "none.jsonl.gz: no such recording"),
        (["above", "--symbols", "doge"], "doge"),
        (["above", "--venue", "kraken"], "nothing is stored of BTC-USDT at kraken"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(
    arguments: list[str], words: str, configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filters", "preview", *arguments]) == USER_MISTAKE
    assert words in capsys.readouterr().err


def test_it_says_how_often_when_and_what_came_after(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--last", "45m", "--vary", "close > 102", "--after", "1m,2m"]
    assert main(["filters", "preview", "above", *given]) == 0
    told = capsys.readouterr().out
    assert "above: close > 100" in told
    # How many fit into 45 minutes depends on when the test comes to it.
    said = re.search(r"would have fired ([789]) times; the longest burst ([789])", told)
    assert said is not None
    assert said[1] == said[2]
    assert "binance:BTC-USDT" in told
    assert re.search(r"1m later: mean -198\.0, median -198\.0, higher after 0% of [789]", told)
    assert f"with close > 102: {said[1]} -> 0" in told
    assert "is no promise" in told
    assert "days are stored" not in told


def test_what_is_not_stored_is_told(configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "preview", "above", "--last", "7d"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"0\.0(2[789]|3\d?) of 7\.0 days are stored \(1m bars\); --fetch", told)


def test_bars_that_are_not_stored_are_made_of_smaller_ones(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("5m")
    assert main(["filters", "preview", "above", "--last", "30m", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (above,) = told["previews"]
    with psycopg.connect(configured, autocommit=True) as connection:
        minutes = list(stream_bars(connection, INSTRUMENT.id, "1m", start=0, end=time.time_ns()))
    closes = [bar.close for bar in minutes if bar.end % (5 * MINUTE) == 0]
    assert told["stored"][0]["source"] == "1m"
    # All closes are the same, as are the places of the minutes above 100 in their five.
    assert above["fired"] == (1 if closes[0] > 100 else 0)
    assert above["by_series"]["binance:BTC-USDT"]["looked"] in (4, 5, 6)


def test_a_file_of_several_is_tried_as_far_as_it_can_be(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filters", "preview", "specs/mine.yaml", "--last", "40m"]) == 0
    told = capsys.readouterr()
    assert "above: close > 100" in told.out
    assert "note: lopsided: it looks at every change of the book" in told.err


def test_a_filter_of_the_database_is_tried_too(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (SPECS % "1m").replace("version: 1\n", "version: 1\ndefine: {high: close > 100}\n")
    Path("specs/mine.yaml").write_text(text.replace("high:", "lofty:"))
    line = "BTC-USDT lofty"
    assert main(["filters", "add", line, "--id", "stored", "--cooldown", "3m"]) == 0
    capsys.readouterr()
    given = ["--last", "40m", "--json"]
    assert main(["filters", "preview", "stored", *given]) == 0
    (stored,) = json.loads(capsys.readouterr().out)["previews"]
    assert main(["filters", "preview", "above", *given]) == 0
    (above,) = json.loads(capsys.readouterr().out)["previews"]
    assert stored["when"] == "close > 100"
    assert stored["fired"] == above["fired"] > 0


def test_missing_bars_are_fetched_once(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    Path("specs/mine.yaml").write_text((SPECS % "5m").replace("BTC-USDT", "BTC-USD"))
    given = ["above", "--from", "6h", "--to", "1h", "--venue", "htx", "--fetch", "--json"]
    assert main(["filters", "preview", *given]) == 0
    told = json.loads(capsys.readouterr().out)
    (stored,) = told["stored"]
    assert (stored["series"], stored["source"]) == ("htx:BTC-USD", "5m")
    assert stored["days"] == pytest.approx(stored["of_days"], rel=0.05)
    (above,) = told["previews"]
    assert above["fired"] == 1
    assert above["by_series"]["htx:BTC-USD"]["looked"] >= 59


@pytest.mark.parametrize(
    ("primary", "more", "asked"),
    [
        ('["bybit"]', [], ["bybit:BTC-USD"]),
        ('["bitstamp", "bybit"]', [], ["bitstamp:BTC-USD"]),
        ('["bybit"]', ["--venue", "htx"], ["htx:BTC-USD"]),
        ("[]", [], [f"{next(iter(VENUES))}:BTC-USD"]),
    ],
)
def test_only_the_venue_that_is_looked_at_is_asked(
    *,
    primary: str,
    more: list[str],
    asked: list[str],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[str] = []

    def watched(*given: Any, **named: Any) -> Backfilled:
        calls.append(given[1].id)
        return backfill(*given, **named)

    monkeypatch.setattr("flows.backfill.backfill", watched)
    monkeypatch.setenv("DATABASE_URL", database)
    with Path("candlewax.toml").open("a") as file:
        file.write(f"[market]\nprimary = {primary}\n")
    Path("specs/mine.yaml").write_text((SPECS % "5m").replace("BTC-USDT", "BTC-USD"))
    given = ["above", "--from", "3h", "--to", "1h", *more, "--fetch", "--json"]
    assert main(["filters", "preview", *given]) == 0
    told = capsys.readouterr()
    assert calls == asked
    assert [each["series"] for each in json.loads(told.out)["stored"]] == asked
    assert "note:" not in told.err


def test_a_symbol_that_nobody_follows_is_asked_of_the_first_venue_that_lists_it(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(venue: Any, *given: Any, **named: Any) -> InstrumentList:
        listed = list_instruments(venue, *given, **named)
        is_htx = venue is VENUES["htx"]
        return InstrumentList(one for one in listed if not (is_htx and one.base == "ETH"))

    monkeypatch.setattr("flows.instruments.list_instruments", without)
    monkeypatch.setenv("DATABASE_URL", database)
    with Path("candlewax.toml").open("a") as file:
        file.write('[market]\nprimary = ["htx", "bybit"]\n')
    Path("specs/mine.yaml").write_text((SPECS % "5m").replace("BTC-USDT", "ETH-USDT"))
    given = ["above", "--from", "3h", "--to", "1h", "--fetch", "--json"]
    assert main(["filters", "preview", *given]) == 0
    told = capsys.readouterr()
    assert [each["series"] for each in json.loads(told.out)["stored"]] == ["bybit:ETH-USDT"]
    assert "note:" not in told.err


def test_what_is_stored_of_one_venue_and_followed_at_the_primary_one_is_asked_there(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("candlewax.toml").read_text().replace('"BTC-USD"', '"btc/usdt"')
    Path("candlewax.toml").write_text(f'{text}[market]\nprimary = ["bybit"]\n')
    given = ["above", "--from", "3h", "--to", "1h", "--fetch", "--json"]
    assert main(["filters", "preview", *given]) == 0
    told = capsys.readouterr()
    assert [each["series"] for each in json.loads(told.out)["stored"]] == ["bybit:BTC-USDT"]


def test_bars_over_all_venues_are_not_asked_of_any(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("specs/mine.yaml").write_text(
        (SPECS % "1m").replace("symbols: [BTC-USDT]", "symbols: [BTC-USDT], venues: [merged]")
    )
    assert main(["filters", "preview", "above", "--last", "30m", "--fetch"]) == 0
    told = capsys.readouterr()
    assert told.err.count("note: above: no venue has bars over all venues") == 1


def test_a_recording_shows_what_books_would_have_fired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wire.jsonl.gz"
    record_wire(path, seconds=20)
    given = ["lopsided", "--recording", str(path), "--symbols", "ethbtc", "--json"]
    assert main(["filters", "preview", *given]) == 0
    (told,) = json.loads(capsys.readouterr().out)["previews"]
    assert list(told["by_series"]) == ["binance:ETH-BTC"]
    assert told["fired"] == len(told["fires"]) > 0
