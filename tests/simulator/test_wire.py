from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dialects.binance import BinanceDialect
from simulator.faults import Faults, load_faults, read_faults
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script import load_script
from simulator.wire import Wire
from tests.drawn_examples import examples
from tests.fakes.dips import DIPS
from tests.simulator.reference_client import ReferenceClient

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
NATIVES = {"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT", "ETHBTC": "ETH-BTC"}
GAPS = {
    "block": set(),
    "close": {"all", "trade"},
    "cross": {"book"},
    "cut": {"all", "trade"},
    "drop-depth": {"book"},
    "drop-trade": {"trade"},
    "freeze": {"all", "trade"},
    "freeze-all": {"all", "trade"},
    "future-trade": set(),
    "shutdown": {"all", "trade"},
    "slow-snapshot": {"book"},
    "age": {"all", "trade"},
    "delay": set(),
    "duplicate": {"trade"},
    "flood": set(),
    "freeze-depth": {"book"},
    "freeze-trade": {"trade"},
    "half-open": {"all", "trade"},
    "jump": {"book"},
    "max-connections": {"all", "trade"},
}
"""What the reference client, which knows the venue's rule for books only, sees of a fault."""
FAULTS = sorted(GAPS)


class Rig:
    """A market, a venue, faults, a wire and a client that is checked at every book change."""

    def __init__(
        self,
        faults: str = "",
        *,
        seed: int = 1,
        skew: int = 0,
        latency: int = 20 * MILLISECOND,
        max_age: int = 24 * 3600 * SECOND,
        is_thorough: bool = False,
    ) -> None:
        self.is_thorough = is_thorough
        planned = load_faults(faults) if faults in FAULTS else read_faults(faults, "faults.yaml")
        self.model = MarketModel(
            choose(list(NATIVES.values())), seed=seed, start=START, script=load_script(DIPS)
        )
        self.client = ReferenceClient(list(NATIVES), look=self.look)
        self.wire = Wire(
            self.model,
            BinanceDialect(self.model, max_age=max_age),
            self.client,
            faults=Faults(planned, start=START),
            skew=skew,
            latency=latency,
            keep_history=True,
        )
        self.looked = 0

    def look(self, native: str) -> None:
        """What the client takes for live must be true."""
        book = self.client.books[native]
        true = self.wire.true_book(NATIVES[native], book.update_id)
        self.looked += 1
        assert len(book.bids) == len(true.bids)
        assert len(book.asks) == len(true.asks)
        if self.looked % 25 and not self.is_thorough:
            return
        copy = true.copy()
        assert book.bids == dict(copy.bids)
        assert book.asks == dict(copy.asks)


@cache
def run_of(name: str) -> Rig:
    """A shipped script, played to its end; every test only looks at it."""
    rig = Rig(name)
    rig.wire.run_for(55 * SECOND)
    return rig


def test_without_faults_the_client_has_the_true_books_and_no_gap() -> None:
    rig = Rig(is_thorough=True)
    rig.wire.run_for(40 * SECOND)
    assert rig.client.is_live
    assert rig.client.gaps == []
    assert rig.client.closed_reasons == []
    assert rig.looked > 3 * 350
    for native, symbol in NATIVES.items():
        trades = rig.client.trades[native]
        behind = rig.model.last_trade_id(symbol) - trades[-1]["t"]
        assert 0 <= behind <= 5
        assert len(trades) > 350
    assert rig.wire.counts.gets == 3
    assert rig.wire.counts.closed == 0


@pytest.mark.parametrize("name", FAULTS)
def test_a_client_sees_of_every_fault_what_it_must_and_recovers(name: str) -> None:
    rig = run_of(name)
    assert rig.client.is_live
    assert {channel for _, _, channel in rig.client.gaps} == GAPS[name]
    hit = {native for _, native, _ in rig.client.gaps}
    assert hit in (set(), {"BTCUSDT"} if "all" not in GAPS[name] else set(NATIVES))
    windows = rig.wire.faults.windows()
    assert windows
    for when, _, _ in rig.client.gaps:
        assert any(window.start <= when <= window.end + 6 * SECOND for window in windows)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut", "connection lost"), ("close", "1012 fault"), ("shutdown", "1001 Going away")],
)
def test_a_client_is_told_how_its_connection_ended(name: str, reason: str) -> None:
    rig = run_of(name)
    assert rig.client.closed_reasons == [reason]
    assert rig.client.notices == (["serverShutdown"] if name == "shutdown" else [])


def test_a_client_that_gives_up_on_silence_gets_a_new_connection() -> None:
    rig = run_of("freeze")
    assert rig.client.closed_reasons == []  # it closed by itself and is not told
    assert rig.wire.counts.opened == 2
    assert rig.wire.counts.closed == 1


def test_nothing_reaches_a_blocked_client_and_then_all_of_it() -> None:
    rig = Rig("block")
    rig.wire.run_for(30 * SECOND)
    before = rig.wire.counts.frames
    rig.wire.run_for(19 * SECOND)
    assert rig.wire.counts.frames <= before + 20
    rig.wire.run_for(2 * SECOND)
    assert rig.wire.counts.frames > before + 500


@pytest.mark.parametrize("skew", [-10 * SECOND, 10 * SECOND])
def test_the_clients_clock_may_be_wrong(skew: int) -> None:
    rig = Rig("drop-depth", skew=skew)
    rig.wire.run_for(40 * SECOND)
    [(when, _, _)] = rig.client.gaps
    assert 30 * SECOND <= when - skew - START <= 32 * SECOND


def test_a_connection_of_a_day_is_cut_and_the_next_one_works() -> None:
    rig = Rig(max_age=10 * SECOND)
    rig.wire.run_for(28 * SECOND)
    assert rig.client.closed_reasons == ["1001 Going away"] * 2
    assert rig.client.is_live


@examples(8)
@given(
    st.integers(0, 10_000),
    st.integers(0, 300).map(lambda number: number * MILLISECOND),
    st.lists(
        st.tuples(
            st.integers(1, 15),
            st.sampled_from(
                [
                    "kind: drop, channel: depth, symbol: {}, count: 2",
                    "kind: cross, symbol: {}",
                    "kind: cut",
                    "kind: freeze, for: 3s",
                    "kind: slow_snapshot, for: 3s, delay: 1s",
                    "kind: block, for: 4s",
                    "kind: shutdown, grace: 1s",
                ]
            ),
            st.sampled_from(sorted(NATIVES.values())),
        ),
        max_size=4,
    ),
)
def test_any_faults_leave_true_books(
    seed: int, latency: int, drawn: list[tuple[int, str, str]]
) -> None:
    lines = [f"  - {{at: {at}s, {kind.format(symbol)}}}\n" for at, kind, symbol in drawn]
    rig = Rig("faults:\n" + "".join(lines) if lines else "", seed=seed, latency=latency)
    rig.wire.run_for(30 * SECOND)
    assert rig.client.is_live


def run_twice(length: int, build: Callable[[], Rig]) -> list[list[object]]:
    runs: list[list[object]] = []
    for _ in range(2):
        rig = build()
        rig.wire.run_for(length)
        runs.append([rig.client.trades, rig.client.gaps, rig.looked, rig.wire.counts])
    return runs


def test_the_same_run_gives_the_same_frames() -> None:
    one, other = run_twice(15 * SECOND, lambda: Rig("faults: [{at: 5s, kind: cut}]", seed=9))
    assert one == other
