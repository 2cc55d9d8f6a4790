import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import UnknownInstrumentError
from simulator.listings import LISTINGS, Listing, choose, decimal_text


@given(st.integers(0, 10**15), st.integers(0, 8))
def test_text_of_units_reads_back_to_the_same_units(units: int, places: int) -> None:
    text = decimal_text(units, places, 8)
    whole, _, fraction = text.partition(".")
    assert len(fraction) == 8
    assert int(whole + fraction) == units * 10 ** (8 - places)
    assert float(text) == float(f"{units}e-{places}")


@given(st.sampled_from(LISTINGS), st.integers(0, 10**15))
def test_a_number_is_what_is_read_from_the_text(listing: Listing, units: int) -> None:
    assert listing.price_number(units) == float(listing.price_text(units))
    assert listing.size_number(units) == float(listing.size_text(units))


def test_text_without_decimals_has_no_point() -> None:
    assert decimal_text(17, 0, 0) == "17"


def test_at_least_twenty_symbols_trade_and_one_is_halted() -> None:
    assert sum(listing.is_trading for listing in LISTINGS) >= 20
    assert [listing.symbol for listing in LISTINGS if not listing.is_trading] == ["XMR-USDT"]
    assert len({listing.symbol for listing in LISTINGS}) == len(LISTINGS)


def test_symbols_are_chosen_in_any_spelling_and_in_order() -> None:
    chosen = choose(["ethbtc", "BTC-USDT", "ETH/BTC"])
    assert [listing.symbol for listing in chosen] == ["ETH-BTC", "BTC-USDT"]
    assert choose([]) == LISTINGS


def test_an_unknown_symbol_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownInstrumentError, match="BTC-USDT"):
        choose(["BTC-USDX"])


def test_the_demo_symbols_have_the_ticks_and_steps_of_the_venue() -> None:
    bitcoin, _, ratio = choose(["BTC-USDT", "ETH-USDT", "ETH-BTC"])
    assert (bitcoin.price_text(1), bitcoin.size_text(1)) == ("0.01000000", "0.00001000")
    assert (ratio.price_text(1), ratio.size_text(1)) == ("0.00001000", "0.00010000")
