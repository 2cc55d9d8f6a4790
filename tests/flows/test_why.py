"""Why a spec fired, and why it does not: real steps of the flow, a file, words."""

import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest

from filters.specs import Spec
from flows.market_output import FilterOutput
from flows.spec_homes import SpecHomes
from flows.standings import Standing, Standings, read_standings
from flows.symbol_filters import SeriesStanding, SymbolFilters
from flows.symbol_market import SymbolMarket
from flows.why import Why, standing_lines
from market.errors import ConfigError
from market.events import MarketEvent
from sinks.insertion import insert_alerts
from sinks.message import Composer
from sinks.mutes import Mute, add_mute
from sinks.rows import alert_row
from sinks.secret import Secret
from tests.flows.market_events import beat, gap, make_market, snapshot, specs, trade

HEAD = "version: 1\nfilters:\n"
SOURCE = "source: {stream: bar, symbols: [BTC-USDT], interval: 1s}"


class Rig:
    """A folder of specs, the two steps over them, and what is asked of both."""

    def __init__(self, folder: Path, text: str) -> None:
        (folder / "specs").mkdir()
        (folder / "specs" / "a.yaml").write_text(HEAD + text)
        self.homes = SpecHomes(folder / "specs", None)
        self.status = folder / "status"
        self.status.mkdir()
        self.market: SymbolMarket = make_market()
        self.filters = SymbolFilters()
        self.clock = 100.0
        self.standings = Standings(self.status / "specs-0.json", lambda: self.clock)
        given: tuple[Spec, ...] = self.homes.read().specs
        self.filters.advance([self.market.advance([specs(*given)])])

    def advance(self, *events: MarketEvent) -> FilterOutput:
        out = self.filters.advance([self.market.advance(events)])
        self.clock += 10.0
        self.standings.note(self.filters)
        self.standings.write()
        return out

    def why(self, ident: str, symbol: str = "BTC-USDT", dsn: str = "") -> str:
        why = Why(self.status, self.homes, Secret(dsn) if dsn else None, Composer(ZoneInfo("UTC")))
        return why.answer(ident, symbol)


MakeRig = Callable[[str], Rig]


@pytest.fixture
def make(tmp_path: Path) -> MakeRig:
    return lambda text: Rig(tmp_path, text)


def bars(*closes: float) -> list[MarketEvent]:
    """One trade a second and the heartbeats that close their bars."""
    events: list[MarketEvent] = [snapshot(-0.1), trade(-0.05, closes[0])]
    for number, close in enumerate(closes):
        events += [trade(number + 0.5, close), beat(number + 0.9)]
    return [*events, beat(len(closes) + 3)]


def test_a_false_clause_is_told_with_how_much_is_missing(make: MakeRig) -> None:
    rig = make(f"  - id: high\n    {SOURCE}\n    when: close > 105 and volume < 0.25\n")
    rig.advance(*bars(100, 101, 102.5))
    told = rig.why("high")
    assert told.startswith("high on binance:BTC-USDT: inactive: its condition is false: ")
    assert "  no   close > 105  (close is 102.5: 2.5 too low)" in told
    assert "  no   volume < 0.25  (volume is 1: 0.75 too high)" in told
    assert "high has not fired on BTC-USDT, as far as alerts are stored" in told


def test_an_indicator_that_warms_up_says_how_far_it_is(make: MakeRig) -> None:
    rig = make(f"  - id: low\n    {SOURCE}\n    when: rsi(14) < 30\n")
    rig.advance(*bars(100, 101, 102))
    assert "it was held back: not known yet: rsi(14) warming(2 of 15)" in rig.why("low") or (
        "it was held back: not known yet: rsi(14) warming(3 of 15)" in rig.why("low")
    )
    assert "held back: missing" in rig.why("low")


def test_what_has_fired_once_says_so_and_what_cools_until_when(make: MakeRig) -> None:
    rig = make(
        f"  - id: once\n    {SOURCE}\n    when: close > 1\n    once: true\n"
        f"  - id: cools\n    {SOURCE}\n    when: close > 101\n    cooldown: 15m\n"
        f"  - id: waits\n    {SOURCE}\n    when: close > 1\n    for: 90s\n"
    )
    rig.advance(*bars(102, 102, 102, 100, 100))
    assert "it has fired, and is to fire once only" in rig.why("once")
    assert "fired 1" in rig.why("once")
    cools = rig.why("cools")
    assert "cools on binance:BTC-USDT: cooling: its condition is false: close > 101" in cools
    assert "(and it is silent until 2023-11-14T22:29:" in cools
    assert "  last fired 2023-11-14 22:14:" in cools
    assert "its condition holds, and must for 90s" in rig.why("waits")
    lines = standing_lines(rig.homes.read(), read_standings(rig.status))
    assert lines == {
        "once": "done on binance:BTC-USDT (generation 1)",
        "cools": "cooling on binance:BTC-USDT (generation 1)",
        "waits": "pending on binance:BTC-USDT (generation 1)",
    }


def test_a_book_that_is_not_live_is_named(make: MakeRig) -> None:
    rig = make(
        "  - id: wide\n    source: {stream: book, symbols: [BTC-USDT]}\n    when: spread > 1\n"
    )
    rig.advance(snapshot(0), beat(0.5), gap(1.0), beat(1.5))
    told = rig.why("wide")
    assert "  the book of binance:BTC-USDT is resyncing: cut" in told


def test_what_the_flow_does_not_know_is_explained(make: MakeRig) -> None:
    rig = make(
        f"  - id: high\n    {SOURCE}\n    when: close > 105\n"
        f"  - id: off\n    {SOURCE}\n    when: close > 105\n    enabled: false\n"
        "  - id: far\n    source: {stream: bar, symbols: ['*'], interval: 1s, venues: [kraken]}\n"
        "    when: close > 105\n"
    )
    assert "high: no flow runs here, or it has told nothing yet" in rig.why("high")
    rig.advance(*bars(100, 101))
    assert "off: it is switched off: `candlewax filters enable off`" in rig.why("off")
    assert "high: it does not look at ETH-USDT, but at BTC-USDT" in rig.why("high", "ETH-USDT")
    assert "heard nothing of BTC-USD; did you mean 'BTC-USDT'?" in rig.why("far", "BTC-USD")
    assert "far: it looks at kraken; followed are binance:BTC-USDT" in rig.why("far")
    with pytest.raises(ConfigError, match="no filter 'hihg'; did you mean 'high'"):
        rig.why("hihg")
    (rig.homes.folder / "b.yaml").write_text(
        HEAD + f"  - id: new\n    {SOURCE}\n    when: close > 105\n"
    )
    assert "new: the flow does not have it yet, though it is in" in rig.why("new")
    (rig.homes.folder / "c.yaml").write_text("version: 2\n")
    assert "a change of them is not in force:\n" in rig.why("other")


def test_the_last_alert_and_mutes_come_from_the_store(make: MakeRig, database: str) -> None:
    rig = make(f"  - id: high\n    {SOURCE}\n    when: close > 101\n")
    [alert] = rig.advance(*bars(100, 102, 102)).alerts
    with psycopg.connect(database) as connection:
        insert_alerts(connection, [list(alert_row(alert))], notify=False)
        mute = Mute(target=None, spec="high", symbol="BTC-USDT", ends_at=None, created_by="ann")
        add_mute(connection, mute, now=time.time_ns())
    told = rig.why("high", dsn=database)
    assert "last alert:\nhigh on binance BTC-USDT 1s\n" in told
    assert "yes: close > 101 (was 102, against 101)" in told
    assert told.endswith("\nmuted by ann")
    assert rig.why("high", "binance:BTC-USDT", dsn=database) == told
    away = rig.why("high", dsn="postgresql://me:hush@127.0.0.1:1/none")
    assert "the store does not tell of alerts" in away
    assert "hush" not in away


def test_a_flow_that_has_stopped_telling_is_said_to(make: MakeRig) -> None:
    rig = make(f"  - id: high\n    {SOURCE}\n    when: close > 105\n")
    rig.advance(*bars(100, 101))
    [standing] = read_standings(rig.status)
    old = msgspec.structs.replace(standing, at=time.time_ns() - 60 * 10**9)
    (rig.status / "specs-0.json").write_bytes(msgspec.json.encode(old))
    (rig.status / "specs-1.json").write_bytes(b"{half")
    assert "the flow does not run now, or hangs" in rig.why("high")


def test_filters_are_looked_at_about_once_a_second(tmp_path: Path) -> None:
    now = [0.0]
    standings = Standings(tmp_path / "specs-0.json", lambda: now[0])
    filters = SymbolFilters()
    looks: list[float] = []

    def look() -> list[SeriesStanding]:
        looks.append(now[0])
        return []

    filters.explained = look  # type: ignore[method-assign]
    for tenth in range(35):
        now[0] = tenth / 10
        standings.note(filters)
    assert looks == [0.0, 1.0, 2.0, 3.0]
    standings.write()
    told = msgspec.json.decode((tmp_path / "specs-0.json").read_bytes(), type=Standing)
    assert told.series == ()


def test_a_look_that_takes_long_is_taken_seldom(tmp_path: Path) -> None:
    now = [0.0]
    standings = Standings(tmp_path / "specs-0.json", lambda: now[0])
    filters = SymbolFilters()
    looks: list[float] = []

    def slow() -> list[SeriesStanding]:
        looks.append(now[0])
        now[0] += 0.05
        return []

    filters.explained = slow  # type: ignore[method-assign]
    for _ in range(100):
        now[0] = round(now[0] + 0.1, 6)
        standings.note(filters)
    assert len(looks) == 2, "a twentieth of a second every five seconds is one part in a hundred"
