"""What goes wrong at the venue, and what the shipped feed and market make of it: virtual time.

Every book message that leaves a book live is compared with the true book at its update id, inside
the client of `feed_client`.
"""

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from market.events import Bar, State
from simulator.faults import load_faults, read_faults
from tests.drawn_examples import examples
from tests.faults.feed_client import MILLISECOND, SECOND, START, SYMBOLS, Rig
from tests.slow_case import slow

SECONDS = 70
BEHIND = 100  # updates that may be under way
UNHEARD_S = 31
"""A connection of which nothing is known yet is asked after 20 s of silence, given up after 30."""

# Script: channel, how many symbols, and words of the reason of the gaps that it must lead to.
EXPECTED = {
    "age": ("all", 3, "1001"),
    "block": None,
    "close": ("all", 3, "1012"),
    "cross": ("book", 1, "crossed book"),
    "cut": ("all", 3, "connection lost"),
    "delay": None,
    "drop-depth": ("book", 1, "sequence: expected U"),
    "drop-trade": ("trade", 1, "are missing"),
    "duplicate": None,
    "flood": None,
    "freeze": ("all", 3, "silent for"),
    "freeze-all": ("all", 3, "silent for"),
    "freeze-trade": ("trade", 1, "are missing"),
    "future-trade": None,
    "half-open": ("all", 3, "silent for"),
    "jump": ("book", 1, "sequence: expected U"),
    "oversize": ("all", 3, "a message of"),
    "shutdown": None,
    "slow-snapshot": ("book", 1, "sequence: expected U"),
    "stale-snapshot": ("book", 1, "sequence: expected U"),
    "truncate": ("all", 3, "truncated"),
}
SCRIPTS = sorted(EXPECTED)


@cache
def run_of(name: str, skew: int = 0) -> Rig:
    """A shipped script, or none, played for `SECONDS`; every test only looks at it."""
    faults = load_faults(name) if name else ()
    return Rig(faults, skew=skew, bars=("1s", "1m")).run_for(SECONDS)


def breaks(rig: Rig) -> list[tuple[str, str, str]]:
    """The gaps that are not the beginning of a connection."""
    return [
        (gap.instrument.partition(":")[2], gap.channel, gap.reason)
        for gap in rig.client.gaps
        if gap.reason != "connecting"
    ]


def updates_behind(rig: Rig, symbol: str) -> int:
    return rig.model.true_book(symbol).update_id - rig.client.book(symbol).sequence


def assert_true(rig: Rig) -> None:
    """Every book is live, and is the venue's."""
    for symbol in rig.client.markets:
        assert rig.client.state(symbol) is State.LIVE
        book = rig.client.book(symbol)
        copy = rig.wire.true_book(symbol, book.sequence).copy()
        assert book.levels() == (dict(copy.bids), dict(copy.asks))
        assert 0 <= updates_behind(rig, symbol) < BEHIND
    assert rig.client.dead_letters == 0


def assert_trades_are_told_once(rig: Rig, *, in_order: bool = True) -> None:
    for trades in rig.client.trades.values():
        ids = [int(trade.trade_id) for trade in trades]
        assert len(ids) == len(set(ids))
        assert not in_order or ids == sorted(ids)


def assert_gaps_are_closed(rig: Rig) -> None:
    """The ledger tells every gap as it opens and as it ends."""
    opened = [gap for gap in rig.client.ledger if gap.ended is None]
    closed = [gap for gap in rig.client.ledger if gap.ended is not None]
    assert len(opened) == len(closed)
    for gap in closed:
        assert gap.ended is not None
        assert gap.started <= gap.ended


def test_without_faults_every_book_is_live_and_true_all_the_time() -> None:
    rig = Rig(symbols=(*SYMBOLS, "LTC-BTC", "SOL-USDT")).run_for(SECONDS)
    assert breaks(rig) == []
    assert rig.client.closed_reasons == []
    assert rig.client.ledger == []
    for symbol, truth in rig.client.truth.items():
        assert len(truth.live) == 1, symbol
        assert truth.live[0][0] < START + 3 * SECOND
        assert rig.live_share(symbol, []) == 1.0
    assert all(rig.client.truth[symbol].looked > 600 for symbol in SYMBOLS)
    assert rig.wire.counts.gets == 5
    assert_true(rig)


def test_without_faults_every_trade_of_the_venue_is_told() -> None:
    rig = run_of("")
    for symbol, trades in rig.client.trades.items():
        ids = [int(trade.trade_id) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert rig.model.last_trade_id(symbol) - ids[-1] < 5


def test_a_silent_symbol_beside_busy_ones_stays_live() -> None:
    rig = Rig(symbols=("BTC-USDT", "LTC-BTC")).run_for(200)
    assert rig.live_share("LTC-BTC", []) == 1.0
    assert len(rig.client.trades["LTC-BTC"]) < 10
    assert_true(rig)


def test_a_connection_that_has_nothing_to_say_is_asked_and_stays_live() -> None:
    rig = Rig(symbols=("LTC-BTC",)).run_for(300)
    assert rig.live_share("LTC-BTC", []) == 1.0
    assert rig.wire.counts.opened == 1
    assert breaks(rig) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_after_a_fault_books_are_true_and_were_live_nearly_always(name: str) -> None:
    rig = run_of(name)
    expected = EXPECTED[name]
    seen = breaks(rig)
    if expected is None:
        assert seen == []
    else:
        channel, symbols, words = expected
        assert {gap[1] for gap in seen} == {channel}
        assert len(seen) == len({gap[0] for gap in seen}) == symbols
        assert all(words in gap[2] for gap in seen)
    windows = rig.wire.faults.windows()
    assert windows
    hit = {symbol for symbol, _, _ in seen}
    for symbol in SYMBOLS:
        assert rig.live_share(symbol, windows) >= 0.95
        if symbol not in hit:
            assert len(rig.client.truth[symbol].live) == 1, "it left live"
    assert_true(rig)
    assert_trades_are_told_once(rig)
    assert_gaps_are_closed(rig)


def test_a_crossed_book_is_never_shown_as_live() -> None:
    """The check at every message would fail: the false level is in no true book."""
    rig = run_of("cross")
    [first, second] = rig.client.truth["BTC-USDT"].live
    assert 30 * SECOND < first[1] - START < 30.2 * SECOND
    assert second[0] - first[1] < SECOND


def test_a_connection_that_ends_by_notice_is_replaced_without_a_gap() -> None:
    rig = run_of("shutdown")
    assert rig.wire.counts.opened == 2
    assert rig.client.closed_reasons == []
    for symbol, trades in rig.client.trades.items():
        ids = [int(trade.trade_id) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert len(rig.client.truth[symbol].live) == 1


def test_old_connections_are_replaced_without_a_gap() -> None:
    rig = Rig(max_age_s=20).run_for(SECONDS)
    assert rig.wire.counts.opened == 4
    assert rig.client.closed_reasons == []
    assert breaks(rig) == []
    for symbol, trades in rig.client.trades.items():
        ids = [int(trade.trade_id) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert len(rig.client.truth[symbol].live) == 1
    assert_true(rig)


def test_a_connection_that_the_venue_cuts_for_its_age_comes_back() -> None:
    rig = Rig(max_age=20 * SECOND).run_for(SECONDS)
    assert rig.client.closed_reasons == ["1001 Going away"] * 3
    assert all(rig.live_share(symbol, []) > 0.9 for symbol in SYMBOLS)
    assert_true(rig)
    assert_trades_are_told_once(rig)


@pytest.mark.parametrize("latency", [slow(0), slow(5), 400, slow(1500)])
def test_books_are_true_over_any_distance(latency: int) -> None:
    rig = Rig(load_faults("drop-depth"), latency=latency * MILLISECOND).run_for(45)
    assert len(breaks(rig)) == 1
    assert_true(rig)


def bars_of(rig: Rig) -> dict[str, list[Bar]]:
    return {symbol: list(bars) for symbol, bars in rig.client.bars.items()}


@pytest.mark.parametrize("faults", ["", "drop-trade", slow("future-trade"), slow("block")])
def test_a_host_clock_that_is_wrong_gives_the_same_bars(faults: str) -> None:
    runs = [run_of(faults, skew) for skew in (0, -10 * SECOND, 10 * SECOND)]
    expected = bars_of(runs[0])
    for symbol in SYMBOLS:
        assert len(expected[symbol]) >= SECONDS - 5
        if not faults:
            assert [bar for bar in expected[symbol] if bar.gap or bar.revision] == []
    for run in runs[1:]:
        assert bars_of(run) == expected
        assert_true(run)


@pytest.mark.parametrize("skew", [-10 * SECOND, 10 * SECOND])
@pytest.mark.parametrize("name", ["cut", slow("freeze"), slow("slow-snapshot")])
def test_a_host_clock_that_is_wrong_makes_no_fault_worse(name: str, skew: int) -> None:
    right, wrong = run_of(name), run_of(name, skew)
    assert breaks(wrong) == breaks(right)
    assert_true(wrong)
    assert not any(bar.revision for bars in wrong.client.bars.values() for bar in bars)


KINDS = (
    "kind: drop, channel: depth, symbol: {}, count: 2",
    "kind: drop, channel: trade, symbol: {}, count: 2",
    "kind: drop, symbol: {}, count: 5",
    "kind: cross, symbol: {}",
    "kind: cut",
    "kind: cut, code: 1012",
    "kind: freeze, for: 3s",
    "kind: freeze, for: 9s, http: true",
    "kind: slow_snapshot, for: 6s, delay: 2s",
    "kind: block, for: 4s",
    "kind: shutdown, grace: 1s",
    "kind: shutdown, grace: 5s",
    "kind: future_trade, symbol: {}, ahead: 1h",
    "kind: duplicate, symbol: {}, count: 5",
    "kind: reorder, symbol: {}, count: 3",
    "kind: delay, symbol: {}, for: 3s, delay: 1s",
    "kind: corrupt, symbol: {}",
    "kind: truncate, symbol: {}",
    "kind: freeze_channel, channel: depth, symbol: {}, for: 6s",
    "kind: half_open",
    "kind: jump, symbol: {}",
    "kind: stale_snapshot, for: 4s",
)


@examples(6)
@given(
    st.integers(0, 10_000),
    st.integers(0, 300),
    st.sampled_from([-10, 0, 10]),
    st.lists(
        st.tuples(st.integers(1, 20), st.sampled_from(KINDS), st.sampled_from(SYMBOLS)), max_size=6
    ),
)
@example(0, 41, 0, [(1, "kind: cut", "BTC-USDT"), (2, "kind: half_open", "BTC-USDT")])
@example(1197, 0, -10, [(17, "kind: cross, symbol: {}", "ETH-BTC")])  # soon uncrossed again
def test_any_faults_leave_true_books(
    seed: int, latency: int, skew: int, drawn: list[tuple[int, str, str]]
) -> None:
    lines = [f"  - {{at: {at}s, {kind.format(symbol)}}}\n" for at, kind, symbol in drawn]
    text = "faults:\n" + "".join(lines) if lines else "faults: []"
    rig = Rig(
        read_faults(text, "faults.yaml"),
        seed=seed,
        latency=latency * MILLISECOND,
        skew=skew * SECOND,
    )
    untrue = 0  # seconds that a book has been live and far behind
    for second in range(232):
        rig.run_for(1)
        are_near = all(
            updates_behind(rig, each) < BEHIND
            for each in SYMBOLS
            if rig.client.state(each) is State.LIVE
        )
        untrue = 0 if are_near else untrue + 1
        assert untrue <= UNHEARD_S
        if second >= 32 and are_near and rig.client.is_live:
            break
    rig.run_for(1)
    assert_true(rig)
    # What one connection lost another may tell later, when it takes over.
    assert_trades_are_told_once(rig, in_order=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_minutes_of_faults_leave_true_books() -> None:
    """Every fault of the table each ten minutes, and a replacement of the connection twice."""
    planned = [
        fault.__class__(**{name: getattr(fault, name) for name in fault.__struct_fields__}
                        | {"at": fault.at + 28 * SECOND * number, "repeat": 600 * SECOND})
        for number, name in enumerate(SCRIPTS)
        for fault in load_faults(name)
    ]  # fmt: skip
    rig = Rig(tuple(planned), rate=0.5, max_age_s=450).run_for(1200)
    windows = rig.wire.faults.windows()
    assert len(windows) > 40
    for symbol in SYMBOLS:
        assert rig.live_share(symbol, windows) >= 0.95
    rig.run_for(20)
    assert_true(rig)
    assert_trades_are_told_once(rig)
    assert_gaps_are_closed(rig)
