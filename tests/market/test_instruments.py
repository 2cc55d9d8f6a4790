"""Instruments, found by any usual spelling and never by guessing."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.errors import UnknownInstrumentError
from market.instruments import Instrument, InstrumentList, instrument_id, symbol_of, venue_of


def instrument(venue: str, symbol: str, native: str = "") -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue=venue, symbol=symbol, native=native or base + quote, base=base, quote=quote
    )


LISTED = [
    instrument("binance", "BTC-USDT"),
    instrument("binance", "ETH-USDT"),
    instrument("binance", "ETH-BTC"),
    instrument("binance", "1000SATS-USDT"),
    instrument("kraken", "BTC-USDT", "XBT/USDT"),
    instrument("kraken", "BTC-USD", "XBT/USD"),
    instrument("kraken", "ETH-BTC", "ETH/XBT"),
]


@pytest.fixture
def known() -> InstrumentList:
    return InstrumentList(LISTED)


def ids(found: list[Instrument]) -> list[str]:
    return [each.id for each in found]


def test_an_id_is_the_venue_and_the_symbol() -> None:
    assert instrument("binance", "BTC-USDT").id == "binance:BTC-USDT"
    assert instrument_id("binance", "BTC-USDT") == "binance:BTC-USDT"
    assert venue_of("binance:BTC-USDT") == "binance"
    assert symbol_of("binance:BTC-USDT") == "BTC-USDT"


@pytest.mark.parametrize(
    "name",
    [
        "ethbtc",
        "ETHBTC",
        "EthBtc",
        "ETH/BTC",
        "eth/btc",
        "ETH-BTC",
        "eth-btc",
        "ETH_BTC",
        "ETH BTC",
        " ethbtc ",
    ],
)
def test_any_usual_spelling_names_the_symbol_at_every_venue(
    known: InstrumentList, name: str
) -> None:
    assert ids(known.resolve(name)) == ["binance:ETH-BTC", "kraken:ETH-BTC"]


@pytest.mark.parametrize(
    "name",
    ["binance:ETHBTC", "binance:eth-btc", "BINANCE:ETH/BTC", "Binance:ethbtc", "binance:ETH-BTC"],
)
def test_a_venue_before_the_name_means_that_venue_only(known: InstrumentList, name: str) -> None:
    assert ids(known.resolve(name)) == ["binance:ETH-BTC"]


@pytest.mark.parametrize("venue", ["kraken", "Kraken"])
def test_a_venue_may_be_given_beside_the_name(known: InstrumentList, venue: str) -> None:
    assert ids(known.resolve("ethbtc", venue=venue)) == ["kraken:ETH-BTC"]
    assert ids(known.resolve("kraken:ethbtc", venue=venue)) == ["kraken:ETH-BTC"]


@pytest.mark.parametrize("name", ["XBT/USD", "xbtusd", "kraken:XBT/USD"])
def test_the_venues_own_spelling_is_understood(known: InstrumentList, name: str) -> None:
    assert ids(known.resolve(name)) == ["kraken:BTC-USD"]


def test_dollars_and_tethers_are_different(known: InstrumentList) -> None:
    assert ids(known.resolve("btcusd")) == ["kraken:BTC-USD"]
    assert ids(known.resolve("btcusdt")) == ["binance:BTC-USDT", "kraken:BTC-USDT"]


def test_a_name_that_contradicts_the_venue_beside_it_is_unknown(known: InstrumentList) -> None:
    with pytest.raises(UnknownInstrumentError, match="at binance"):
        known.resolve("kraken:ETHBTC", venue="binance")


@pytest.mark.parametrize("name", ["", ":", "binance:", "-", "DOGEUSDT", "BTC", "BTC-USDT-PERP"])
def test_what_no_venue_lists_is_refused(known: InstrumentList, name: str) -> None:
    with pytest.raises(UnknownInstrumentError, match="unknown symbol"):
        known.resolve(name)


def test_a_symbol_of_another_venue_is_refused(known: InstrumentList) -> None:
    with pytest.raises(UnknownInstrumentError) as caught:
        known.resolve("binance:BTC-USD")
    assert (caught.value.symbol, caught.value.venue) == ("BTC-USD", "binance")
    assert caught.value.near[0] == "BTC-USDT"
    assert "did you mean BTC-USDT" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BTSUSDT", "BTC-USDT"),
        ("ethbct", "ETH-BTC"),
        ("etusdt", "ETH-USDT"),
        ("1000sats", "1000SATS-USDT"),
    ],
)
def test_near_names_are_told_best_first(known: InstrumentList, name: str, meant: str) -> None:
    with pytest.raises(UnknownInstrumentError) as caught:
        known.resolve(name)
    assert caught.value.near[0] == meant
    assert not caught.value.ambiguous


def test_near_names_are_few_different_and_of_the_venue(known: InstrumentList) -> None:
    near = known.near("btcusdx", venue="kraken")
    assert set(near) <= {"BTC-USDT", "BTC-USD", "ETH-BTC"}
    assert len(near) == len(set(near)) <= 3
    assert known.near("zzzzzz") == ()


@pytest.fixture
def alike() -> InstrumentList:
    """Two symbols that are one word without their dash."""
    return InstrumentList([instrument("v", "ABC-DUSD"), instrument("v", "ABCD-USD")])


@pytest.mark.parametrize("name", ["abcdusd", "v:ABCDUSD", "A-BCDUSD"])
def test_a_spelling_of_two_symbols_is_ambiguous(alike: InstrumentList, name: str) -> None:
    with pytest.raises(UnknownInstrumentError, match="ambiguous") as caught:
        alike.resolve(name)
    assert caught.value.ambiguous
    assert caught.value.near == ("ABC-DUSD", "ABCD-USD")


@pytest.mark.parametrize("name", ["ABCD-USD", "abcd-usd", "ABCD/USD", "abcd_usd", " v:abcd usd"])
def test_a_dash_or_a_slash_tells_alike_symbols_apart(alike: InstrumentList, name: str) -> None:
    assert ids(alike.resolve(name)) == ["v:ABCD-USD"]


def test_near_names_tell_every_symbol_of_a_spelling(alike: InstrumentList) -> None:
    assert set(alike.near("abcdusx")) == {"ABC-DUSD", "ABCD-USD"}


def test_an_instrument_listed_twice_is_one() -> None:
    older = instrument("v", "BTC-USD")
    newer = Instrument(
        venue="v", symbol="BTC-USD", native="BTCUSD", base="BTC", quote="USD", tick=0.1
    )
    known = InstrumentList([older, newer])
    assert len(known) == 1
    assert known.resolve("btcusd") == [newer]


def test_the_list_can_be_walked(known: InstrumentList) -> None:
    assert list(known) == LISTED
    assert len(known) == len(LISTED)


def test_an_empty_list_knows_nothing() -> None:
    with pytest.raises(UnknownInstrumentError, match="see the list that the venue publishes"):
        InstrumentList([]).resolve("BTC-USDT")


@given(name=st.text(max_size=20), venue=st.sampled_from(["", "binance", "nowhere"]))
def test_any_name_is_found_or_refused(name: str, venue: str) -> None:
    known = InstrumentList(LISTED)
    try:
        found = known.resolve(name, venue=venue)
    except UnknownInstrumentError as error:
        found = []
        near = error.near
    else:
        near = ()
        assert len({each.symbol for each in found}) == 1
    assert len(near) <= 3
    assert all(each.venue == venue for each in found if venue)


@given(listed=st.sampled_from(LISTED), cut=st.sampled_from(["", "-", "/", "_"]))
def test_whatever_is_listed_is_found(listed: Instrument, cut: str) -> None:
    known = InstrumentList(LISTED)
    assert listed in known.resolve(listed.symbol.replace("-", cut).lower())
    assert known.resolve(listed.id) == [listed]
    assert listed in known.resolve(f"{listed.venue}:{listed.native}")
