"""Every venue and every fault that applies to it, in virtual time.

A venue joins by being in `DIALECTS` and in `VENUES`, a fault by a shipped script. Every book
message that leaves a book live is compared with the true book, inside the client of `feed_client`.
"""

import msgspec
import pytest

from connectors import VENUES
from market.events import State
from simulator.dialects import DIALECTS
from simulator.dialects.contract import DialectOptions
from simulator.faults import Fault, can, load_faults
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script_file import SHIPPED
from tests.faults.feed_client import SECOND, START, Rig

SCRIPTS = sorted(path.stem for path in SHIPPED.glob("*.yaml") if path.stem != "demo")
SHIPPED_AT = 30 * SECOND
"""When the faults of a shipped script begin."""
AT = 4 * SECOND
"""When they begin here."""
AT_WHEN_KNOWN = 14 * SECOND
"""When those begin here after which a channel is missed that was busy for ten seconds."""
MISSED = {"freeze-depth", "freeze-trade", "refuse-symbol"}
SYMBOLS = {"massive": ("BTC-USD", "ETH-USD")}
USUAL = ("BTC-USDT", "ETH-USDT")
"""The first one is hit."""
WITHIN = 2 * SECOND
"""How long after a fault every book is live again."""
FROZEN = 6 * SECOND
"""No busy book is live so long after its last message: 5 s, and a heartbeat to notice."""
REFUSED = 62 * SECOND
"""A venue that turned us away by policy is left alone for a minute."""

# What has no meaning at a venue, and why.
NOT_APPLICABLE = {
    ("binance", "refuse-auth"): "no key is needed",
    ("bitstamp", "refuse-auth"): "no key is needed",
    ("bybit", "refuse-auth"): "no key is needed",
    ("htx", "refuse-auth"): "no key is needed",
}
# Faults that end the connection, so that every symbol leaves live.
ENDS_CONNECTIONS = {
    *("age", "close", "corrupt", "cut", "freeze", "freeze-all", "half-open", "max-connections"),
    *("oversize", "refuse-auth", "refuse-symbol", "truncate"),
}
# The same at single venues.
ENDS_CONNECTIONS_AT = {
    ("bybit", "shutdown"): "it announces nothing",
    ("htx", "shutdown"): "it announces nothing",
    ("massive", "shutdown"): "it announces nothing",
    ("htx", "block"): "it ends a connection that leaves two pings without an answer",
}
# Where live again takes longer than `WITHIN`, in ns after the fault.
SLOWER = {
    **{(venue, "max-connections"): REFUSED for venue in VENUES},
    ("massive", "max-connections"): 2 * REFUSED,
}
# Who stays away for long, and why.
STAYS_AWAY = {
    ("binance", "refuse-symbol"): ("hit", "the venue acknowledged, and is silent"),
    ("massive", "refuse-symbol"): ("hit", "the venue acknowledged, and is silent"),
    ("massive", "refuse-auth"): ("all", "a key that was refused is not tried again for an hour"),
}

PLACES = sorted(DIALECTS.keys() & VENUES.keys())
QUICK = {*ENDS_CONNECTIONS_AT, *STAYS_AWAY, ("htx", "cross"), ("massive", "cross")}
CASES = [
    # Each fault at two venues, each venue with two fifths of the faults, and what is a rule of one
    # venue alone; the others are slow tests.
    pytest.param(
        *(venue, script),
        marks=[] if (place + number) % 5 < 2 or (venue, script) in QUICK else pytest.mark.slow,
    )
    for place, venue in enumerate(PLACES)
    for number, script in enumerate(SCRIPTS)
    if (venue, script) not in NOT_APPLICABLE
]


def symbols_of(venue: str) -> tuple[str, ...]:
    return SYMBOLS.get(venue, USUAL)


def planned(script: str, symbol: str) -> tuple[Fault, ...]:
    """A shipped script, earlier and for a symbol of the venue."""
    earlier = SHIPPED_AT - (AT_WHEN_KNOWN if script in MISSED else AT)
    return tuple(
        msgspec.structs.replace(fault, at=fault.at - earlier, symbol=fault.symbol and symbol)
        for fault in load_faults(script)
    )


def assert_fresh(rig: Rig) -> None:
    """Nothing is shown as live that has been silent for long, though it is busy."""
    if rig.wire.now < rig.wire.faults.blocked_until:
        return  # we are not there
    for symbol, heard in rig.client.heard.items():
        if rig.client.state(symbol) is State.LIVE:
            silence = rig.wire.now - heard
            assert silence <= FROZEN, f"{symbol} live after {silence / SECOND:.1f} s of silence"


def assert_true(rig: Rig) -> None:
    """Every book that is live is the venue's, a moment ago."""
    for symbol in rig.client.markets:
        if rig.client.state(symbol) is State.LIVE and rig.client.truth[symbol].looked:
            book = rig.client.book(symbol)
            assert rig.true_book(symbol, book, is_thorough=True) is not None


def live_again(rig: Rig, symbol: str, ended: int) -> int:
    """Nanoseconds from the end of the fault until the book was live for good."""
    return max(0, rig.client.truth[symbol].live[-1][0] - ended)


@pytest.mark.parametrize("venue", PLACES)
def test_what_does_not_apply_has_its_reason(venue: str) -> None:
    model = MarketModel(choose(symbols_of(venue)), seed=1, start=START)
    dialect = DIALECTS[venue](model, DialectOptions())
    unable = {
        script
        for script in SCRIPTS
        if not all(can(fault.kind, dialect) for fault in load_faults(script))
    }
    assert unable == {script for place, script in NOT_APPLICABLE if place == venue}


@pytest.mark.parametrize("venue", PLACES)
def test_without_faults_nothing_is_missing_and_all_is_live(venue: str) -> None:
    rig = Rig(venue=venue, symbols=symbols_of(venue)).run_for(30)
    assert [gap for gap in rig.client.gaps if gap.reason != "connecting"] == []
    assert rig.client.ledger == []
    assert rig.client.closed_reasons == rig.client.refused == []
    assert rig.client.dead_letters == 0
    for symbol in rig.client.markets:
        assert rig.client.truth[symbol].live[0][0] < START + 3 * SECOND
        assert rig.live_share(symbol, []) >= 0.99
        ids = [trade.trade_id for trade in rig.client.trades[symbol]]
        assert len(ids) == len(set(ids)) > 100
    assert_true(rig)


@pytest.mark.parametrize(("venue", "script"), CASES)
def test_a_fault_is_seen_and_overcome(venue: str, script: str) -> None:
    symbols = symbols_of(venue)
    faults = planned(script, symbols[0])
    rig = Rig(faults, venue=venue, symbols=symbols)
    within = SLOWER.get((venue, script), WITHIN)
    rig.run_for(min(fault.at for fault in faults) / SECOND)
    while rig.wire.now <= (ended := rig.wire.faults.ended) + WITHIN:
        rig.run_for(0.25)
        assert_fresh(rig)
    while not rig.client.is_live and rig.wire.now < ended + within:
        rig.run_for(1)
        assert_fresh(rig)
    rig.run_for(FROZEN / SECOND if (venue, script) in STAYS_AWAY else 0.5)
    assert_true(rig)

    assert len(rig.wire.faults.windows()) == len(faults)
    hit, *others = symbols
    ends = script in ENDS_CONNECTIONS or (venue, script) in ENDS_CONNECTIONS_AT
    for symbol in others if not ends else ():
        assert len(rig.client.truth[symbol].live) == 1, "it left live"
    who, _ = STAYS_AWAY.get((venue, script), ("", ""))
    away = {"hit": [hit], "all": [*symbols]}.get(who, [])
    for symbol in symbols:
        is_live = rig.client.state(symbol) is State.LIVE
        assert is_live is (symbol not in away)
        assert not is_live or live_again(rig, symbol, ended) <= within
    assert bool(rig.client.dead_letters) is (script == "unknown")
    if ends:
        assert {gap.instrument for gap in rig.client.ledger} >= {
            f"{venue}:{symbol}" for symbol in symbols
        }
    for trades in rig.client.trades.values():
        ids = [trade.trade_id for trade in trades]
        assert len(ids) == len(set(ids)), "a trade was told twice"
