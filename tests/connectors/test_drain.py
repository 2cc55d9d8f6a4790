"""From records to micro-batches: by symbol, in order, the specs before everything else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from connectors import reason_counter
from connectors.contract import DeadLetter, Told
from connectors.drain import DEAD_LETTERS, Drain, FlowEvent
from connectors.recording import Record
from filters.specs import Source, Spec, SpecsChanged
from market.events import (
    BookSnapshot,
    Demand,
    FeedGap,
    GapInterval,
    Heartbeat,
    History,
    LeftOpen,
    Side,
    Trade,
)

TEXT = Record(1, "a-0-0.1", "text")


def trade(name: str, number: int = 1) -> Trade:
    return Trade(
        instrument=name, ts_event=1, ts_recv=1, price=1.0, size=1.0, side=Side.BUY,
        trade_id=str(number),
    )  # fmt: skip


def specs(generation: int) -> SpecsChanged:
    return SpecsChanged(generation=generation, specs=())


def control(changed: SpecsChanged) -> Record:
    return Record(1, "", "control", msgspec.json.encode(changed))


def test_events_are_grouped_by_symbol_whatever_their_venue() -> None:
    drain = Drain()
    told: list[Told] = [trade("a:X-Y", 1), trade("a:Z-Y", 2), trade("b:X-Y", 3), trade("a:X-Y", 4)]
    drain.add(TEXT, told[:2])
    drain.add(TEXT, told[2:])
    assert drain.take() == [("X-Y", [told[0], told[2], told[3]]), ("Z-Y", [told[1]])]
    assert drain.take() == []


@given(
    st.lists(st.tuples(st.sampled_from(["a:X-Y", "b:X-Y", "a:Z-Y"]), st.booleans()), max_size=30),
    st.integers(1, 7),
)
def test_every_symbol_gets_the_same_events_whatever_the_batches(
    script: list[tuple[str, bool]], batch: int
) -> None:
    def run(size: int) -> dict[str, list[FlowEvent]]:
        drain = Drain()
        got: dict[str, list[FlowEvent]] = {}
        for at in range(0, len(script), size):
            for number, (name, is_specs) in enumerate(script[at : at + size], start=at):
                if is_specs:
                    drain.add(control(specs(number)), [])
                else:
                    drain.add(TEXT, [trade(name, number)])
            for symbol, events in drain.take():
                got.setdefault(symbol, []).extend(events)
        return got

    assert run(batch) == run(1) == run(1000)


def test_a_symbol_hears_the_specs_before_anything_else() -> None:
    drain = Drain()
    drain.add(control(specs(1)), [])
    assert drain.take() == [], "there is no symbol yet"
    drain.add(TEXT, [trade("a:X-Y")])
    assert drain.take() == [("X-Y", [specs(1), trade("a:X-Y")])]
    drain.add(TEXT, [trade("a:X-Y"), trade("a:Z-Y")])
    drain.add(control(specs(2)), [])
    drain.add(TEXT, [trade("a:X-Y", 9)])
    assert drain.take() == [
        ("X-Y", [trade("a:X-Y"), specs(2), trade("a:X-Y", 9)]),
        ("Z-Y", [specs(1), trade("a:Z-Y"), specs(2)]),
    ]


def test_after_a_restart_every_symbol_hears_the_specs_again() -> None:
    drain = Drain()
    drain.add(control(specs(1)), [])
    drain.add(TEXT, [trade("a:X-Y")])
    drain.take()
    drain.forget_symbols()
    drain.add(TEXT, [trade("a:X-Y")])
    assert drain.take() == [("X-Y", [specs(1), trade("a:X-Y")])]


def test_other_controls_are_not_for_the_flow() -> None:
    drain = Drain()
    drain.add(Record(1, "a-0-0", "control", b'{"resync":"a:X-Y"}'), [])
    drain.add(Record(1, "", "control", b'{"market":{}}'), [])
    drain.add(TEXT, [trade("a:X-Y")])
    assert drain.take() == [("X-Y", [trade("a:X-Y")])]


def test_a_demand_and_the_past_go_to_their_symbol_in_their_order() -> None:
    drain = Drain()
    demand = Demand(symbol="X-Y", features={"1m": ("rsi(14)",)})
    history = History(instrument="a:X-Y", interval="1m", bars=(), until=5)
    drain.add(TEXT, [trade("a:X-Y")])
    drain.add(Record(2, "", "history", msgspec.json.encode(history)), [])
    drain.add(TEXT, [trade("a:X-Y", 2)])
    drain.add(Record(3, "", "control", msgspec.json.encode(demand)), [])
    assert drain.take() == [
        ("X-Y", [trade("a:X-Y"), history, trade("a:X-Y", 2), demand]),
    ]


def test_a_spec_may_be_called_like_a_control() -> None:
    drain = Drain()
    source = Source(stream="book", symbols=("X-Y",))
    spec = Spec(id="a", title='"Demand"', source=source, when="spread > 1")
    changed = SpecsChanged(generation=1, specs=(spec,))
    drain.add(Record(1, "", "control", msgspec.json.encode(changed)), [])
    drain.add(TEXT, [trade("a:X-Y")])
    assert drain.take() == [("X-Y", [changed, trade("a:X-Y")])]


def test_specs_that_are_none_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        Drain().add(Record(1, "", "control", b'{"type":"SpecsChanged","specs":5}'), [])


def test_dead_letters_do_not_reach_the_flow_and_are_counted() -> None:
    drain = Drain()
    letter = DeadLetter("a", "unknown event news", b"{}", 1)
    gaps = [
        FeedGap(instrument="a:X-Y", ts_recv=1, reason=reason) for reason in ("connecting", "1006")
    ]
    book = BookSnapshot(instrument="a:X-Y", ts_event=1, ts_recv=1, bids=[], asks=[], sequence=1)
    drain.add(TEXT, [letter, trade("a:X-Y"), *gaps, book, Heartbeat(instrument="a:X-Y", ts_recv=1)])
    [(_, events)] = drain.take()
    assert len(events) == 5, "all but the letter"
    assert drain.dead_letters == [letter]
    assert drain.counts == {"trades": 1, "book_updates": 1, "gaps": 1, "dead_letters": 1}


def test_a_venue_cannot_make_up_metrics_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reason_counter, "MOST_REASONS", 5)
    monkeypatch.setattr(DEAD_LETTERS, "_known", set())
    drain = Drain()
    names = [f"unknown event {chr(97 + n // 10)}{chr(97 + n % 10)}" for n in range(50)]
    letters: list[Told] = [DeadLetter("endless", name, b"", 1) for name in names]
    drain.add(TEXT, letters)
    name = "candlewax_feed_dead_letters_total"
    values = [
        REGISTRY.get_sample_value(name, {"venue": "endless", "reason": reason}) for reason in names
    ]
    assert values == [1.0] * 5 + [None] * 45
    assert REGISTRY.get_sample_value(name, {"venue": "endless", "reason": "other"}) == 45.0
    assert drain.counts["dead_letters"] == 50


def test_gaps_are_counted_by_venue_channel_and_cause() -> None:
    name = "candlewax_feed_gaps_total"
    labels = {"venue": "counted", "channel": "trade", "reason": "trade ids N to N are missing"}
    drain = Drain()
    for ids in ("7 to 9", "12 to 512"):
        reason = f"trade ids {ids} are missing"
        gap = FeedGap(instrument="counted:X-Y", ts_recv=1, reason=reason, channel="trade")
        drain.add(TEXT, [gap])
    assert REGISTRY.get_sample_value(name, labels) == 2.0


def test_what_an_earlier_run_left_open_comes_before_the_first_event_of_its_instrument() -> None:
    drain = Drain()
    left = LeftOpen(
        instrument="a:X-Y",
        gaps=(GapInterval(instrument="a:X-Y", channel="all", reason="cut", started=1),),
    )
    drain.add(Record(1, "", "control", msgspec.json.encode(left)), [])
    assert drain.take() == []
    drain.add(TEXT, [trade("b:X-Y")])
    assert drain.take() == [("X-Y", [trade("b:X-Y")])]
    drain.add(TEXT, [trade("a:X-Y"), trade("a:X-Y", 2)])
    drain.add(TEXT, [trade("a:X-Y", 3)])
    assert drain.take() == [("X-Y", [left, *(trade("a:X-Y", number) for number in (1, 2, 3))])]
    drain.add(TEXT, [trade("a:X-Y")])
    assert drain.take() == [("X-Y", [trade("a:X-Y")])]


def of_worker(worker: int, generation: int) -> SpecsChanged:
    return SpecsChanged(generation=generation, specs=(), worker=worker)


def test_specs_of_one_worker_are_for_what_it_reads() -> None:
    drain = Drain()
    zero, one = Record(1, "a-0-0.1", "text"), Record(1, "b-spot-1-0.1", "text")
    drain.add(control(specs(1)), [])
    drain.add(zero, [trade("a:X-Y")])
    drain.add(one, [trade("b-spot:Z-Y")])
    drain.take()
    drain.add(control(of_worker(0, 2)), [])
    assert drain.take() == [("X-Y", [of_worker(0, 2)])]
    drain.add(one, [trade("b-spot:N-Y")])
    drain.add(zero, [trade("a:M-Y")])
    assert drain.take() == [
        ("N-Y", [specs(1), trade("b-spot:N-Y")]),
        ("M-Y", [of_worker(0, 2), trade("a:M-Y")]),
    ]
    drain.add(control(of_worker(1, 2)), [])
    assert dict(drain.take()) == {"Z-Y": [of_worker(1, 2)], "N-Y": [of_worker(1, 2)]}
    drain.add(control(specs(3)), [])
    assert set(dict(drain.take())) == {"X-Y", "M-Y", "Z-Y", "N-Y"}
    drain.add(one, [trade("b-spot:L-Y")])
    assert drain.take()[0][1][0] == specs(3), "it took the place of those of single workers"
