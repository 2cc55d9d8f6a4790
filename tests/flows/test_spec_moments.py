"""What only some specs ask for: trades, quotes, forming bars, and bars of other series."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.alerts import Alert, Copied, Observation, Passed
from filters.spec_reader import read_specs
from filters.specs import Source, Spec, SpecsChanged
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SymbolMarket
from market.events import MarketEvent, Side, State
from tests.flows.market_events import (
    BTC,
    OTHER,
    bar_spec,
    beat,
    delta,
    gap,
    make_market,
    snapshot,
    specs,
    trade,
)

ETH = "binance:ETH-USDT"


def stream_spec(stream: str, when: str, **more: object) -> Spec:
    source = Source(stream=stream, symbols=("*",))  # type: ignore[arg-type]
    return Spec(id=stream, source=source, when=when, **more)  # type: ignore[arg-type]


class Rig:
    """Both pure steps of one symbol, one behind the other."""

    def __init__(self, *given: Spec, made: MarketSettings | None = None) -> None:
        self.market = make_market(made)
        self.filters = SymbolFilters()
        self.filters.advance([self.market.advance([specs(*given)])])

    def advance(self, *events: MarketEvent) -> list[Alert]:
        return self.filters.advance([self.market.advance(events)]).alerts

    def moments(self, *events: MarketEvent) -> list[Observation]:
        found = self.market.advance(events).moments
        return [each for each in found if isinstance(each, Observation)]


def test_a_trade_is_a_moment_where_a_spec_asks() -> None:
    rig = Rig(stream_spec("trade", "size >= 5 and side == buy"))
    small, sold = trade(0, size=1), trade(1, size=9, side=Side.SELL)
    assert rig.advance(small, sold) == []
    (alert,) = rig.advance(trade(2, 101.5, 5))
    assert alert.values == {"size": 5.0, "side": 1.0}
    assert alert.key.endswith(f"/{trade(2).trade_id}")


def test_two_trades_of_one_moment_are_two_alerts() -> None:
    rig = Rig(stream_spec("trade", "size >= 5", trigger="every"))
    one = msgspec.structs.replace(trade(0, size=5), trade_id="a3-7")
    two = msgspec.structs.replace(one, trade_id="a3-8")
    first, second = rig.advance(one, two)
    assert first.key != second.key


def test_a_quote_is_a_moment_when_the_best_prices_change() -> None:
    rig = Rig(stream_spec("quote", "bid_size > 0"))
    deeper = delta(1, [(97.0, 5.0)], sequence=2)
    better = delta(2, [(99.5, 2.0)], sequence=3)
    seen = rig.moments(snapshot(0), deeper, better)
    assert [(each.stream, each.values) for each in seen] == [
        ("quote", {"bid_size": 1.0}),
        ("quote", {"bid_size": 2.0}),
    ]


def test_nobody_asks_and_nothing_is_made() -> None:
    rig = Rig(bar_spec("close > 1"))
    found = rig.market.advance([snapshot(0), trade(0.5), trade(1.5), trade(2.5), beat(3)])
    kinds = {type(each) for each in found.moments}
    assert Passed not in kinds
    assert found.copies == ()
    observed = [each for each in found.moments if isinstance(each, Observation)]
    assert {each.stream for each in observed} == {"bar"}


def test_a_forming_bar_is_looked_at_a_few_times_a_second() -> None:
    rig = Rig(msgspec.structs.replace(bar_spec("close > 100", interval="5s"), trigger="change"))
    rig.moments(trade(0), trade(5.0), trade(5.1))
    seen = rig.moments(trade(5.3, 101), trade(5.4, 102), trade(5.6, 103), trade(10.1, 104))
    assert [(each.stream, each.values["close"]) for each in seen] == [
        ("forming", 101.0),
        ("forming", 103.0),
        ("bar", 103.0),
        ("forming", 104.0),
    ]
    assert all(each.state is State.LIVE for each in seen)


def test_an_indicator_of_a_forming_bar_is_what_it_would_be_at_its_close() -> None:
    rig = Rig(msgspec.structs.replace(bar_spec("ema(2) > 0"), trigger="change"))
    for second in range(5):
        rig.moments(trade(second, 100 + second))
    (forming,) = rig.moments(trade(5.5, 110))[-1:]
    (closed, _) = rig.moments(trade(6.0, 111))
    assert forming.stream == "forming"
    assert closed.stream == "bar"
    assert forming.values == closed.values


def test_a_crossing_is_told_while_the_bar_forms() -> None:
    spec = msgspec.structs.replace(bar_spec("close crosses_above 105"), trigger="change")
    rig = Rig(spec)
    rig.advance(trade(0), trade(1), trade(2))
    assert rig.advance(trade(2.5, 104), trade(2.8, 105)) == []
    (alert,) = rig.advance(trade(3.1, 106))
    assert alert.values == {"close": 106.0}


def test_bars_of_another_length_are_those_that_ended_by_then() -> None:
    rig = Rig(bar_spec("close > close@5s"))
    fired = [rig.advance(trade(second, 100 + second)) for second in range(13)]
    # At 10 s a larger and a smaller bar end together, with the same close: that is no firing.
    assert [alert.values for alerts in fired for alert in alerts] == [
        {"close": 105.0, "close@5s": 104.0},
        {"close": 110.0, "close@5s": 109.0},
    ]


def both(filters: SymbolFilters, outputs: Sequence[MarketOutput]) -> list[str]:
    return [alert.key for output in outputs for alert in filters.advance([output]).alerts]


def two_symbols(seed: int) -> tuple[list[MarketOutput], list[MarketOutput]]:
    """What ETH-USDT says, and what BTC-USDT says to it, of a random minute."""
    random = Random(seed)
    text = """
version: 1
filters:
  - id: follows
    source: {stream: bar, symbols: ["*-USDT"], interval: 1s}
    when:
      - close > 100
      - BTC-USDT@5s: close > 100
    trigger: every
  - id: waits
    source: {stream: bar, symbols: [ETH-USDT], interval: 1s}
    when: close > close@BTC-USDT
    for: 2s
"""
    given = SpecsChanged(
        generation=1, specs=read_specs([("x.yaml", text)]), symbols=("BTC-USDT", "ETH-USDT")
    )
    told = []
    for instrument in (ETH, BTC):
        market: SymbolMarket = make_market()
        outputs = [market.advance([given])]
        at, price = 0.0, 100.0
        while at < 40:
            at += random.choice([0.1, 0.3, 1.0, 2.5])
            price += random.choice([-1, 0, 1])
            events: list[MarketEvent] = [trade(at, price, instrument=instrument)]
            if random.random() < 0.05:
                events.append(gap(at, instrument=instrument))
            if random.random() < 0.7:
                events.append(beat(at + 0.05, instrument=instrument, heard=at))
            outputs.append(market.advance(events))
        told.append(outputs)
    symbols = ("ETH-USDT", "BTC-USDT")
    routed = [
        [out for output in outputs for to, out in output.for_filters(symbol) if to == "ETH-USDT"]
        for symbol, outputs in zip(symbols, told, strict=True)
    ]
    return routed[0], routed[1]


@settings(deadline=None)
@given(seed=st.integers(0, 40), order=st.lists(st.booleans(), max_size=120), cut=st.integers(0, 80))
def test_it_does_not_matter_which_symbol_is_ahead(seed: int, order: list[bool], cut: int) -> None:
    own, other = two_symbols(seed)
    expected = both(SymbolFilters(), [*other, *own])
    queues = [list(own), list(other)]
    mixed = [queues[choice].pop(0) for choice in order if queues[choice]]
    mixed += [*queues[0], *queues[1]]
    filters = SymbolFilters()
    found = both(filters, mixed[:cut])
    resumed = SymbolFilters()
    resumed.restore(filters.snapshot())
    found += both(resumed, mixed[cut:])
    assert sorted(found) == sorted(expected)
    for name in ("follows", "waits"):
        of_one = [key for key in found if key.startswith(name)]
        assert of_one == [key for key in expected if key.startswith(name)]


def test_another_symbol_can_make_it_fire() -> None:
    fired = [both(SymbolFilters(), [*other, *own]) for own, other in map(two_symbols, range(8))]
    names = {key.partition("/")[0] for keys in fired for key in keys}
    assert names == {"follows", "waits"}


def test_what_fires_is_what_the_bars_say() -> None:
    """Hold the alerts against a plain join of the bars that both markets told."""
    for seed in range(6):
        own, other = two_symbols(seed)
        fired = [key for key in both(SymbolFilters(), [*own, *other]) if key.startswith("follows")]
        larger = [
            each.moment
            for output in other
            for each in output.moments
            if isinstance(each, Copied) and isinstance(each.moment, Observation)
        ]
        smaller = [
            each
            for output in own
            for each in output.moments
            if isinstance(each, Observation) and each.interval == "1s"
        ]
        for bar in smaller:
            before = [
                each for each in larger if each.ts_event <= bar.ts_event and each.interval == "5s"
            ]
            value = before[-1].values.get("close") if before else None
            is_true = bar.state is State.LIVE and (bar.values["close"] or 0) > 100
            is_true = is_true and value is not None and value > 100
            if any(key.endswith(f"/1s/{bar.moment}") for key in fired):
                assert is_true


def test_a_symbol_that_is_not_live_is_missing() -> None:
    given = specs(bar_spec("close > close@BTC-USDT"))
    given = msgspec.structs.replace(given, symbols=("ETH-USDT", "BTC-USDT"))
    markets = {name: make_market() for name in (ETH, BTC)}
    filters = SymbolFilters()
    found: list[Alert] = []

    def advance(name: str, *events: MarketEvent | SpecsChanged) -> None:
        for to, output in markets[name].advance(events).for_filters(name.partition(":")[2]):
            if to == "ETH-USDT":
                found.extend(filters.advance([output]).alerts)

    for name in (ETH, BTC):
        advance(name, given, *(trade(second, instrument=name) for second in range(4)))
    advance(BTC, gap(4, instrument=BTC), beat(9, instrument=BTC))
    advance(ETH, trade(5, 200, instrument=ETH), trade(6, 200, instrument=ETH))
    assert found == []
    advance(BTC, *(trade(at, instrument=BTC) for at in (10, 11, 12, 13)))
    advance(ETH, trade(12.5, 200, instrument=ETH), trade(13.5, 200, instrument=ETH))
    advance(BTC, trade(14, instrument=BTC))
    assert [alert.values for alert in found] == [{"close": 200.0, "close@BTC-USDT": 100.0}]


def merged_spec(interval: str = "1s") -> Spec:
    source = Source(stream="bar", symbols=("*",), interval=interval, venues=("merged",))
    return Spec(id="merged", source=source, when="volume > 1 and ema(2) > 0", trigger="every")


@pytest.mark.parametrize("configured", [(), ("1s",)])
def test_bars_of_all_venues_can_be_looked_at(configured: tuple[str, ...]) -> None:
    made = MarketSettings(bar_intervals=("1s",), features=(), merged_intervals=configured)
    rig = Rig(merged_spec(), bar_spec("volume > 1"), made=made)
    alerts: list[Alert] = []
    for second in range(6):
        for name in (BTC, OTHER):
            alerts += rig.advance(trade(second, instrument=name))
    assert {alert.series for alert in alerts} == {"merged:BTC-USDT"}
    assert {alert.values["volume"] for alert in alerts} == {2.0}
    assert [alert.key.rpartition("/")[0][-2:] for alert in alerts] == ["1s"] * len(alerts)
    assert len(alerts) >= 2


def test_merged_bars_that_begin_late_say_so() -> None:
    made = MarketSettings(bar_intervals=("1s",), features=())
    rig = Rig(made=made)
    for name in (BTC, OTHER):
        rig.advance(*(trade(second, instrument=name) for second in range(4)))
    rig.filters.advance([rig.market.advance([specs(merged_spec(), generation=2)])])
    seen: list[Observation] = []
    for second in range(4, 12):
        for name in (BTC, OTHER):
            seen += rig.moments(
                trade(second, instrument=name), beat(second + 0.1, instrument=name, heard=second)
            )
    assert seen[0].state is State.SUSPECT
    assert seen[-1].state is State.LIVE


def test_a_wait_over_merged_bars_ends_by_itself() -> None:
    spec = msgspec.structs.replace(merged_spec(), trigger="", hold=3_000_000_000)
    rig = Rig(spec, made=MarketSettings(bar_intervals=("1s",), features=()))
    alerts: list[Alert] = []
    for second in range(5):
        for name in (BTC, OTHER):
            alerts += rig.advance(trade(second, instrument=name))
    assert alerts == []
    for second in range(5, 9):
        for name in (BTC, OTHER):
            alerts += rig.advance(beat(second, instrument=name, heard=second))
    assert [alert.series for alert in alerts] == ["merged:BTC-USDT"]


@pytest.mark.parametrize("when", ["restart", "change"])
def test_a_quote_is_not_told_again_after_a_restart_or_a_change_of_specs(when: str) -> None:
    rig = Rig(stream_spec("quote", "bid_size > 0"))
    rig.moments(snapshot(0), delta(1, [(99.5, 2.0)], sequence=2))
    if when == "restart":
        kept = rig.market.snapshot()
        rig.market = make_market()
        rig.market.restore(kept)
    else:
        rig.market.advance([specs(stream_spec("quote", "bid_size > 1"), generation=2)])
    assert rig.moments(delta(2, [(97.0, 5.0)], sequence=3)) == []
    assert len(rig.moments(delta(3, [(99.6, 5.0)], sequence=4))) == 1


def test_the_filters_of_a_symbol_say_why() -> None:
    rig = Rig(bar_spec("close > 100"))
    rig.advance(trade(0), trade(1), trade(2))
    (told,) = rig.filters.explain(BTC)
    assert told.because == "its condition is false: close > 100"


def test_two_venues_of_one_symbol_can_be_compared() -> None:
    spec = bar_spec("close > close@kraken:BTC-USDT")
    spec = msgspec.structs.replace(
        spec, source=msgspec.structs.replace(spec.source, venues=("binance",))
    )
    rig = Rig(spec)
    alerts: list[Alert] = []
    for second in range(6):
        alerts += rig.advance(trade(second, 100 + second))
        alerts += rig.advance(trade(second, 102, instrument=OTHER))
    assert [alert.values for alert in alerts] == [{"close": 103.0, "close@kraken:BTC-USDT": 102.0}]
