import logging
from pathlib import Path
from random import Random

import msgspec
import pytest
from bytewax.outputs import StatefulSinkPartition
from hypothesis import given
from hypothesis import strategies as st

from connectors.drain import FlowEvent
from flows.emission import KINDS, LineSink, alert_lines, digest, market_lines, read_kinds
from flows.symbol_filters import SymbolFilters
from market.errors import ConfigError
from tests.flows.market_events import (
    bar_spec,
    gap,
    make_market,
    random_stream,
    snapshot,
    specs,
    trade,
)

ALL = frozenset(KINDS)
LINES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=30
)


def line(kind: str, key: str, value: int) -> bytes:
    return msgspec.json.encode({"kind": kind, "key": key, "value": value})


def open_part(path: Path, state: int | None) -> StatefulSinkPartition[list[bytes], int]:
    sink = LineSink(path)
    assert sink.list_parts() == ["lines"]
    assert sink.part_fn("BTC-USDT") == sink.part_fn("ETH-USDT") == 0
    return sink.build_part("out", "lines", state)


# -- what is emitted -----------------------------------------------------------------------------


def test_kinds_are_read_from_a_list() -> None:
    assert read_kinds("bars, alerts,") == {"bars", "alerts"}
    assert read_kinds("") == frozenset()
    with pytest.raises(ConfigError, match="--emit trades: expected some of events, books, bars"):
        read_kinds("bars,trades")


def test_only_wanted_kinds_become_lines() -> None:
    market = make_market()
    out = market.advance([specs(bar_spec("close > 0")), gap(0), snapshot(0), trade(0.1), trade(1)])
    alerts = SymbolFilters().advance([out])
    kinds = {kind: list(market_lines(out, frozenset([kind]))) for kind in KINDS}
    assert {kind: len(found) for kind, found in kinds.items()} == {
        "events": 4,
        "books": 1,
        "bars": 1,
        "features": 2,
        "alerts": 0,
        "endings": 0,
    }
    assert list(market_lines(out, frozenset())) == []
    assert len(list(alert_lines(alerts, ALL))) == 1
    assert list(alert_lines(alerts, frozenset(["bars"]))) == []


def test_an_alert_and_its_end_have_one_key() -> None:
    market, filters = make_market(), SymbolFilters()
    events: list[FlowEvent] = [specs(bar_spec("close > 100")), gap(0), snapshot(0)]
    prices = [101, 99, 99]
    events += [trade(second, price) for second, price in enumerate(prices)]
    out = filters.advance([market.advance(events)])
    alert, end = map(msgspec.json.decode, alert_lines(out, ALL))
    assert (alert["kind"], end["kind"]) == ("alerts", "endings")
    assert alert["key"] == end["key"]
    assert end["value"]["key"] == alert["value"]["key"]
    assert end["value"]["ts_ended"] > alert["value"]["ts_fired"]
    (only,) = alert_lines(out, frozenset(["endings"]))
    assert msgspec.json.decode(only) == end


def test_a_line_is_an_object_with_kind_key_and_value() -> None:
    out = make_market().advance([trade(0.1), trade(1)])
    (bar,) = market_lines(out, frozenset(["bars"]))
    told = msgspec.json.decode(bar)
    assert (told["kind"], told["key"]) == ("bars", "binance:BTC-USDT 1s")
    assert told["value"]["close"] == 100.0
    assert b"\n" not in bar


# -- the digest ----------------------------------------------------------------------------------


@given(lines=LINES, seed=st.integers())
def test_a_digest_does_not_depend_on_how_keys_are_interleaved(
    lines: list[tuple[str, str, int]], seed: int
) -> None:
    by_key: dict[tuple[str, str], list[bytes]] = {}
    for kind, key, value in lines:
        by_key.setdefault((kind, key), []).append(line(kind, key, value))
    random, mixed = Random(seed), []
    waiting = [list(reversed(each)) for each in by_key.values()]
    while waiting:
        turn = random.randrange(len(waiting))
        mixed.append(waiting[turn].pop())
        if not waiting[turn]:
            del waiting[turn]
    assert digest(mixed) == digest(line(*each) for each in lines)


def test_a_digest_depends_on_the_order_within_a_key() -> None:
    assert digest([line("bars", "x", 1), line("bars", "x", 2)]) != digest(
        [line("bars", "x", 2), line("bars", "x", 1)]
    )


def test_a_digest_depends_on_where_a_line_belongs() -> None:
    one, two = line("bars", "x", 1), line("bars", "x", 2)
    assert digest([one, two]) != digest([one, line("bars", "y", 2)])
    assert digest([one]) != digest([one, one])


def test_a_digest_says_how_many_lines_of_each_kind_there_are() -> None:
    told = digest([line("books", "x", 1), line("bars", "x", 1), line("bars", "y", 2)])
    assert told.split()[1:] == ["records=3", "books=1", "bars=2"]
    assert len(told.split()[0]) == 64
    assert digest([]).endswith(" records=0")


def test_a_digest_reads_lines_with_their_ends() -> None:
    one = line("bars", "x", 1)
    assert digest([one]) == digest([one + b"\n"])


def test_the_digest_of_a_stream_does_not_depend_on_batches() -> None:
    events = random_stream(7, 400)
    whole = list(market_lines(make_market().advance(events), ALL))
    market = make_market()
    cut = [found for event in events for found in market_lines(market.advance([event]), ALL)]
    assert digest(cut) == digest(whole)


# -- the file ------------------------------------------------------------------------------------


def test_lines_are_appended_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    part = open_part(path, None)
    part.write_batch([[b"one", b"two"], [b"three"]])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert part.snapshot() == len(b"one\ntwo\nthree\n")
    part.close()


def test_a_fresh_start_empties_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"of an earlier run\n")
    part = open_part(path, None)
    part.write_batch([[b"one"]])
    part.close()
    assert path.read_bytes() == b"one\n"


def test_a_resumed_run_goes_on_where_the_snapshot_was(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    part = open_part(path, None)
    part.write_batch([[b"one"]])
    state = part.snapshot()
    part.write_batch([[b"two", b"thr"]])  # and then it was killed
    part.close()
    part = open_part(path, state)
    part.write_batch([[b"two", b"three"]])
    assert part.snapshot() == len(b"one\ntwo\nthree\n")
    part.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_file_that_lost_lines_is_told_of_and_not_filled_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"one\n")
    with caplog.at_level(logging.ERROR):
        part = open_part(path, 400)
    assert "lines are missing" in caplog.text
    part.write_batch([[b"two"]])
    part.close()
    assert path.read_bytes() == b"one\ntwo\n"
