"""What follows when a channel that should speak does not: states, the ledger, bars, resyncs."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import GapInterval, Heartbeat, LeftOpen, MarketEvent, State, Unsubscribed
from tests.drawn_examples import examples
from tests.flows.market_events import (
    BTC,
    LATENCY,
    SECOND,
    START,
    beat,
    delta,
    gap,
    joined,
    make_market,
    parts,
    snapshot,
    trade,
)

SETTINGS = MarketSettings(bar_intervals=("1s",), features=("rsi(3)",))
RATE = 8
NORMAL = 40
"""Seconds of normal life before anything happens."""


def life(
    start: float,
    end: float,
    *,
    book: bool = True,
    trades: bool = True,
    connection: bool = True,
    sequence: int = 0,
) -> list[MarketEvent]:
    """Book and trades, eight a second each, and heartbeats, in `[start, end)`."""
    events: list[tuple[float, MarketEvent]] = []
    for number in range(int((end - start) * RATE)):
        at = start + number / RATE
        if book:
            update = delta(at, [(99.0, 1.0 + number)], sequence=sequence or int(at * 1000) + 10)
            events.append((at, update))
        if trades:
            events.append((at + 0.01, trade(at + 0.01)))
    for second in range(int(start) + 1, int(end) + 1):
        at = second - 0.005
        speaks = connection or book or trades
        events.append((at, beat(at, heard=at - 0.05 if speaks else start)))
    return [event for _, event in sorted(events, key=lambda pair: pair[0])]


@pytest.fixture
def market() -> SymbolMarket:
    market = make_market(SETTINGS)
    out = market.advance([gap(0, reason="connecting"), snapshot(0.001), *life(0.1, NORMAL)])
    assert not out.silences
    assert states(out) == [(State.LIVE, "")]
    return market


def states(output: MarketOutput) -> list[tuple[State, str]]:
    return [(change.state, change.reason) for change in output.states]


def since_start(ns: int) -> float:
    return (ns - LATENCY - START) / SECOND


REASON = "no book messages for 3 s, 8 a second before"


def test_a_book_that_freezes_is_stale_within_five_seconds_and_says_why(
    market: SymbolMarket,
) -> None:
    out = market.advance(life(NORMAL, NORMAL + 8, book=False))
    assert states(out) == [(State.STALE, REASON)]
    assert since_start(out.states[0].ts_recv) - NORMAL < 5
    [silence] = out.silences
    assert (silence.channel, silence.reason, silence.ended) == ("book", REASON, None)
    assert since_start(silence.since) == pytest.approx(NORMAL - 1 / RATE, abs=0.1)
    assert [top.state for top in out.kept_tops][-2:] == [State.STALE] * 2
    assert not [bar for bar in out.bars if bar.gap], "trades are as good as ever"


def test_it_is_live_again_with_its_next_message(market: SymbolMarket) -> None:
    market.advance(life(NORMAL, NORMAL + 8, book=False))
    out = market.advance([delta(NORMAL + 8.2, [(99.0, 5.0)], sequence=10**6)])
    assert states(out) == [(State.LIVE, "")]
    assert out.tops[-1].state is State.LIVE
    [silence] = out.silences
    assert silence.ended is not None
    assert since_start(silence.ended) == pytest.approx(NORMAL + 8.2)


def test_the_silence_is_one_row_of_the_ledger(market: SymbolMarket) -> None:
    out = market.advance(life(NORMAL, NORMAL + 8, book=False))
    [opened] = out.gaps
    assert (opened.channel, opened.reason, opened.ended) == ("book", REASON, None)
    out = market.advance(
        [gap(NORMAL + 8, "book", reason="sequence: expected 7, got 9"), snapshot(NORMAL + 8.1)]
    )
    [closed] = out.gaps
    assert closed.started == opened.started
    assert closed.ended is not None
    assert states(out) == [
        (State.RESYNCING, "sequence: expected 7, got 9"),
        (State.LIVE, ""),
    ], "the break shows that the channel speaks again"


def test_a_longer_silence_asks_for_the_book_and_its_answer_is_not_called_live(
    market: SymbolMarket,
) -> None:
    out = market.advance(life(NORMAL, NORMAL + 12, book=False))
    assert out.resyncs == [(BTC, REASON)]
    at = NORMAL + 12
    out = market.advance([gap(at, "book", reason=REASON), snapshot(at + 0.1, sequence=10**6)])
    assert states(out) == [(State.RESYNCING, REASON), (State.STALE, REASON)]
    assert not out.silences
    out = market.advance(life(at + 0.2, at + 30, book=False))
    assert not out.states
    assert not out.resyncs
    out = market.advance(life(at + 30, at + 62, book=False))
    assert out.resyncs == [(BTC, REASON)], "once a minute"
    out = market.advance([delta(at + 63, [(99.0, 5.0)], sequence=10**6 + 1)])
    assert states(out) == [(State.LIVE, "")]


def test_an_answer_with_the_book_that_we_have_shows_that_nothing_was_missed(
    market: SymbolMarket,
) -> None:
    market.advance(life(NORMAL, NORMAL + 12, book=False))
    [known] = market._markets.values()
    at = NORMAL + 12
    sequence = known.book.sequence
    out = market.advance([gap(at, "book", reason=REASON), snapshot(at + 0.1, sequence=sequence)])
    assert states(out) == [(State.RESYNCING, REASON), (State.LIVE, "")]
    assert [one.ended is not None for one in out.silences] == [True]
    assert [one.ended is not None for one in out.gaps] == [True]
    out = market.advance(life(at + 0.2, at + 5, book=False))
    assert not out.states, "now it is known to pause for longer"


def test_trades_that_stop_leave_the_book_live_and_mark_the_bars(market: SymbolMarket) -> None:
    out = market.advance(life(NORMAL, NORMAL + 8, trades=False))
    assert not out.states
    [silence] = out.silences
    assert silence.reason == "no trade messages for 3 s, 8 a second before"
    [opened] = out.gaps
    assert (opened.channel, opened.reason) == ("trade", silence.reason)
    at = NORMAL + 8
    out = market.advance([*life(at, at + 4)])
    assert [one.ended is not None for one in out.gaps] == [True]
    assert [one.ended is not None for one in out.silences] == [True]
    assert [bar.gap for bar in out.bars][:1] == [True]
    assert not any(bar.gap for bar in out.bars[1:])


def test_a_connection_that_is_silent_as_a_whole_is_no_row_of_its_own(market: SymbolMarket) -> None:
    out = market.advance(life(NORMAL, NORMAL + 7, book=False, trades=False, connection=False))
    assert states(out) == [(State.STALE, REASON)], "what is not true is not shown as true"
    assert not out.gaps
    assert not out.resyncs
    out = market.advance([gap(NORMAL + 7, reason="silent"), gap(NORMAL + 8, reason="connecting")])
    assert [one.channel for one in out.gaps] == ["all"]
    assert all(one.ended is not None for one in out.silences)


def test_a_reconnect_takes_as_long_as_it_takes(market: SymbolMarket) -> None:
    events: Iterable[MarketEvent] = [
        gap(NORMAL, reason="1006"),
        *(beat(NORMAL + second) for second in range(1, 60)),
        gap(NORMAL + 60, reason="connecting"),
        snapshot(NORMAL + 60.5, sequence=1000),
        *life(NORMAL + 61, NORMAL + 70, sequence=0),
    ]
    out = market.advance(events)
    assert not out.silences


def test_a_channel_that_does_not_come_back_with_its_connection_is_found(
    market: SymbolMarket,
) -> None:
    at = NORMAL + 3
    out = market.advance(
        [
            gap(NORMAL, reason="1006"),
            gap(at, reason="connecting"),
            snapshot(at + 0.1, sequence=10**6),
            *life(at + 0.2, at + 8, book=False),
        ]
    )
    assert states(out)[-1][0] is State.STALE
    assert since_start(out.states[-1].ts_recv) - at < 6


def test_what_was_unsubscribed_is_closed_and_forgotten(market: SymbolMarket) -> None:
    gone = Unsubscribed(instrument=BTC, ts_recv=START + 50 * SECOND)
    out = market.advance([gap(NORMAL, reason="unsubscribed"), gone])
    assert [(one.reason, one.ended is None) for one in out.gaps] == [
        ("unsubscribed", True),
        ("unsubscribed", False),
    ]
    assert out.forgotten == [BTC]
    assert not market._markets
    assert not market.advance([gone]).gaps


def left(*channels: str) -> LeftOpen:
    return LeftOpen(
        instrument=BTC,
        gaps=tuple(
            GapInterval(
                instrument=BTC, channel=channel, reason="cut", started=START - number * 1000
            )
            for number, channel in enumerate(channels, start=1)
        ),
    )


def test_the_first_data_closes_what_an_earlier_run_left_open() -> None:
    market = make_market(SETTINGS)
    out = market.advance([left("all", "book", "trade", "all"), gap(0, reason="connecting")])
    assert not out.gaps
    out = market.advance([snapshot(1)])
    closed = [(one.channel, (START - one.started) // 1000, one.ended) for one in out.gaps]
    now = START + SECOND + LATENCY
    assert closed == [("all", 1, now), ("all", 4, now), ("book", 2, now)]
    out = market.advance([trade(2)])
    assert [(one.channel, (START - one.started) // 1000) for one in out.gaps] == [("trade", 3)]
    assert not market.advance([trade(3)]).gaps


def test_a_row_that_recovery_knows_too_is_closed_once(market: SymbolMarket) -> None:
    [opened] = market.advance([gap(NORMAL, reason="cut")]).gaps
    after = make_market(SETTINGS)
    after.restore(market.snapshot())
    event = LeftOpen(instrument=BTC, gaps=(opened,))
    out = after.advance([event, gap(NORMAL + 9, reason="connecting"), snapshot(NORMAL + 10)])
    [closed] = out.gaps
    assert closed.started == opened.started


@examples(15)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    cut=st.integers(1, 400),
    frozen=st.integers(15, 30),
)
def test_batches_and_restarts_change_nothing(sizes: list[int], cut: int, frozen: int) -> None:
    events: list[MarketEvent] = [
        gap(0, reason="connecting"),
        snapshot(0.001),
        *life(0.1, frozen),
        *life(frozen, frozen + 12, book=False),
        gap(frozen + 12, "book", reason=REASON),
        snapshot(frozen + 12.1, sequence=10**6),
        *life(frozen + 13, frozen + 15, trades=False, sequence=10**6 + 1),
    ]  # fmt: skip
    whole = make_market(SETTINGS).advance(events)
    assert any(type(event) is Heartbeat for event in events)
    market = make_market(SETTINGS)
    first = [market.advance(part) for part in parts(events[:cut], sizes)]
    after = make_market(SETTINGS)
    after.restore(market.snapshot())
    second = [after.advance(part) for part in parts(events[cut:], sizes)]
    assert joined([*first, *second]) == joined([whole])
