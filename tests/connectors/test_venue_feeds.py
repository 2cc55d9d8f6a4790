"""Which worker follows what, over how many connections."""

import pytest

from connectors.placement import owner_of
from connectors.venue_feeds import VenueFeeds
from market.errors import ConfigError
from market.instruments import Instrument
from tests.connectors.scripted_venue import ScriptedVenue, instrument


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_instrument_is_followed_by_the_worker_that_owns_its_symbol(workers: int) -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(31)]
    feeds = VenueFeeds(ScriptedVenue(), instruments)
    followed: list[Instrument] = []
    for worker in range(workers):
        for described in feeds.descriptions(worker, workers):
            assert 1 <= len(described.instruments) <= 2, "the venue's limit"
            assert {owner_of(one.symbol, workers) for one in described.instruments} == {worker}
            followed += described.instruments
    assert sorted(one.symbol for one in followed) == sorted(one.symbol for one in instruments)


class Apart(ScriptedVenue):
    """Trades and books come on connections of their own."""

    channel_groups = (("trade",), ("book",))  # type: ignore[assignment]


class Alone(ScriptedVenue):
    """An account has one connection."""

    connections_at_once = 1
    instruments_per_connection = 40


def test_each_group_of_channels_has_a_connection_of_its_own() -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(3)]
    described = VenueFeeds(Apart(), instruments).descriptions(0, 1)
    assert [(one.channels, len(one.instruments)) for one in described] == [
        (("trade",), 2),
        (("book",), 2),
        (("trade",), 1),
        (("book",), 1),
    ]
    [one, _] = VenueFeeds(ScriptedVenue(), instruments).descriptions(0, 1)
    assert one.channels == (), "they share a connection"


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_a_venue_with_one_connection_is_opened_by_one_worker(workers: int) -> None:
    instruments = tuple(instrument(f"C{number}-USDT") for number in range(31))
    feeds = VenueFeeds(Alone(), instruments)
    described = [feeds.descriptions(worker, workers) for worker in range(workers)]
    assert [len(one) for one in described] == [
        int(worker == owner_of("scripted", workers)) for worker in range(workers)
    ]
    [[one]] = [some for some in described if some]
    assert one.instruments == instruments


def test_more_symbols_than_the_allowed_connections_carry_are_refused() -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(41)]
    words = "41 symbols need 2 connections and the venue allows 1; name at most 40"
    with pytest.raises(ConfigError, match=words):
        VenueFeeds(Alone(), instruments)
    VenueFeeds(Alone(), instruments[:40])


def test_addresses_are_the_venues_unless_others_are_given() -> None:
    one = [instrument("A-B")]
    [described] = VenueFeeds(ScriptedVenue(), one).descriptions(0, 1)
    assert (described.websocket_url, described.rest_url) == ("ws://nowhere", "http://nowhere")
    feeds = VenueFeeds(ScriptedVenue(), one, websocket_url="ws://x", options={"max_age_s": 5})
    [described] = feeds.descriptions(0, 1)
    assert described.websocket_url == "ws://x"
    assert described.options == {"max_age_s": 5}
