"""Which venue speaks for a symbol, and that a filter without venues looks at no other."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.specs import Source, SpecsChanged
from flows.primary_venues import primary_venues
from flows.settings import MarketSettings, Settings
from flows.symbol_filters import SymbolFilters
from market.events import MarketEvent
from tests.flows.market_events import bar_spec, gap, make_market, snapshot, trade

VENUES = ["binance", "bybit", "htx"]
PRIMARY = {"BTC-USDT": "bybit"}


@given(
    order=st.permutations(VENUES),
    followed=st.lists(
        st.tuples(st.sampled_from(VENUES), st.sampled_from(["BTC-USDT", "ETH-USDT"])), unique=True
    ),
)
def test_it_is_the_first_venue_that_follows_the_symbol(
    order: list[str], followed: list[tuple[str, str]]
) -> None:
    found = primary_venues(order, [f"{venue}:{symbol}" for venue, symbol in followed])
    assert set(found) == {symbol for _, symbol in followed}
    for symbol, venue in found.items():
        sooner = order[: order.index(venue)]
        assert (venue, symbol) in followed
        assert not any((each, symbol) in followed for each in sooner)


def test_the_order_of_the_feeds_decides_where_none_is_named() -> None:
    feeds = {name: {"symbols": ["BTC-USDT"]} for name in VENUES}
    plain = msgspec.convert({"feeds": feeds}, Settings)
    assert list(plain.primary) == VENUES
    named = msgspec.structs.replace(plain, market=MarketSettings(primary=("htx",)))
    assert named.primary == ("htx", "binance", "bybit")


def at(venue: str, event: MarketEvent) -> MarketEvent:
    symbol = event.instrument.partition(":")[2]
    return msgspec.structs.replace(event, instrument=f"{venue}:{symbol}")


def events(venue: str) -> list[MarketEvent]:
    told: list[MarketEvent] = [gap(0), snapshot(0.1), *(trade(second, 101) for second in (1, 2, 3))]
    return [at(venue, each) for each in told]


@pytest.mark.parametrize(
    ("venues", "primary", "series"),
    [
        ((), PRIMARY, ["bybit:BTC-USDT"]),
        ((), {}, ["binance:BTC-USDT", "bybit:BTC-USDT"]),
        ((), {"ETH-USDT": "htx"}, ["binance:BTC-USDT", "bybit:BTC-USDT"]),
        (("binance",), PRIMARY, ["binance:BTC-USDT"]),
        (("binance", "bybit"), PRIMARY, ["binance:BTC-USDT", "bybit:BTC-USDT"]),
    ],
)
def test_a_filter_without_venues_fires_once_for_a_symbol(
    venues: tuple[str, ...], primary: dict[str, str], series: list[str]
) -> None:
    spec = bar_spec("close > 100")
    spec = msgspec.structs.replace(spec, source=msgspec.structs.replace(spec.source, venues=venues))
    market, filters = make_market(), SymbolFilters()
    change = SpecsChanged(generation=1, specs=(spec,), primary=primary)
    out = filters.advance([market.advance([change, *events("binance"), *events("bybit")])])
    assert sorted(alert.series for alert in out.alerts) == series


def test_a_change_of_specs_leaves_the_primary_venue_also_after_a_restart() -> None:
    spec = bar_spec("close > 100")
    market, filters = make_market(), SymbolFilters()
    first = SpecsChanged(generation=1, specs=(), primary=PRIMARY)
    filters.advance([market.advance([first])])
    kept, restored = (market.snapshot(), filters.snapshot()), SymbolFilters()
    market = make_market()
    market.restore(kept[0])
    restored.restore(kept[1])
    later = SpecsChanged(generation=2, specs=(spec,))
    out = restored.advance([market.advance([later, *events("binance"), *events("bybit")])])
    assert [alert.series for alert in out.alerts] == ["bybit:BTC-USDT"]


def test_a_source_without_venues_is_not_of_bars_over_all_venues() -> None:
    source = Source(stream="bar", symbols=("*",), interval="1m")
    assert not source.matches("merged:BTC-USDT", {})
    assert source.matches("htx:ETH-USDT", PRIMARY)
