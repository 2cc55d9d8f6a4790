import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from simulator.dialects.binance import BinanceDialect
from simulator.fault_script import KINDS
from simulator.faults import Faults, load_faults, read_faults
from simulator.frames import Close, Cut, Frame, Ping, Text
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script_file import SHIPPED

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
DEPTH = Text(b"depth", "depth", "BTC-USDT")
TRADE = Text(b"trade", "trade", "BTC-USDT")
OTHER = Text(b"other", "depth", "ETH-USDT")
ANSWER = Text(b"answer")


DIALECT = BinanceDialect(MarketModel(choose(["BTC-USDT"]), seed=1, start=START))


def faults(fault: str) -> Faults:
    return Faults(read_faults(f"faults: [{fault}]", "faults.yaml"), start=START)


def begin(applied: Faults, *, second: int = 1) -> list[tuple[str, Frame]]:
    return applied.due(START + second * SECOND, ("a", "b"), DIALECT)


def pass_all(applied: Faults, conn: str, *frames: Frame, second: int = 1) -> list[Frame]:
    now = START + second * SECOND
    return [sent for frame in frames for sent in applied.frames(conn, frame, now)]


def test_nothing_is_touched_without_faults_or_before_their_time() -> None:
    frames: list[Frame] = [DEPTH, TRADE, ANSWER, Ping(b""), Close(1000, ""), Cut()]
    assert pass_all(Faults(start=START), "a", *frames) == frames
    early = faults("{at: 2s, kind: drop}")
    assert begin(early) == []
    assert pass_all(early, "a", *frames) == frames


def test_a_drop_takes_so_many_messages_of_its_channel_and_symbol() -> None:
    applied = faults("{at: 1s, kind: drop, channel: depth, symbol: BTC-USDT, count: 2}")
    begin(applied)
    sent = pass_all(applied, "a", TRADE, OTHER, ANSWER, DEPTH, DEPTH, DEPTH)
    assert sent == [TRADE, OTHER, ANSWER, DEPTH]


def test_a_drop_of_no_channel_takes_any_but_answers() -> None:
    applied = faults("{at: 1s, kind: drop, count: 3}")
    begin(applied)
    assert pass_all(applied, "a", ANSWER, TRADE, OTHER, DEPTH, DEPTH) == [ANSWER, DEPTH]


@pytest.mark.parametrize(("code", "end"), [("", Cut()), (", code: 1012", Close(1012, "fault"))])
def test_a_cut_ends_every_connection(code: str, end: Frame) -> None:
    assert begin(faults(f"{{at: 1s, kind: cut{code}}}")) == [("a", end), ("b", end)]


def test_a_frozen_connection_gets_all_at_once_in_order_when_it_thaws() -> None:
    applied = faults("{at: 1s, kind: freeze, for: 8s}")
    begin(applied)
    assert applied.is_frozen("a")
    assert pass_all(applied, "a", DEPTH, Ping(b"x"), TRADE) == []
    assert pass_all(applied, "new", DEPTH) == [DEPTH]
    assert applied.delay(START + 2 * SECOND) <= 0
    assert begin(applied, second=8) == []
    assert begin(applied, second=9) == [("a", DEPTH), ("a", Ping(b"x")), ("a", TRADE)]
    assert not applied.is_frozen("a")
    assert pass_all(applied, "a", DEPTH, second=9) == [DEPTH]


def test_a_frozen_connection_that_ends_gets_nothing() -> None:
    applied = faults("{at: 1s, kind: freeze, for: 8s}")
    begin(applied)
    pass_all(applied, "a", DEPTH)
    applied.closed("a")
    assert begin(applied, second=9) == []


def test_a_freeze_may_hold_answers_as_well() -> None:
    applied = faults("{at: 1s, kind: freeze, for: 8s, http: true}")
    begin(applied)
    assert applied.delay(START + 3 * SECOND) == 6 * SECOND
    assert applied.delay(START + 9 * SECOND) <= 0


def test_a_slow_snapshot_delays_answers_for_a_while() -> None:
    applied = faults("{at: 1s, kind: slow_snapshot, for: 5s, delay: 2s}")
    assert applied.delay(START) <= 0
    begin(applied)
    assert applied.delay(START + 3 * SECOND) == 2 * SECOND
    assert applied.delay(START + 6 * SECOND) <= 0


def test_a_block_says_until_when() -> None:
    applied = faults("{at: 1s, kind: block, for: 20s}")
    assert applied.blocked_until <= START
    begin(applied)
    assert applied.blocked_until == START + 21 * SECOND


def test_a_repeated_fault_comes_again() -> None:
    applied = faults("{at: 1s, kind: cut, repeat: 10s}")
    ends = [second for second in range(25) if begin(applied, second=second)]
    assert ends == [1, 11, 21]


def test_windows_tell_when_what_was_at_work() -> None:
    applied = faults("{at: 1s, kind: drop, symbol: BTC-USDT}, {at: 2s, kind: freeze, for: 3s}")
    begin(applied)
    pass_all(applied, "a", DEPTH, second=2)
    begin(applied, second=2)
    found = [
        (
            (window.start - START) // SECOND,
            (window.end - START) // SECOND,
            window.kind,
            window.symbol,
        )
        for window in applied.windows()
    ]
    assert found == [(1, 2, "drop", "BTC-USDT"), (2, 5, "freeze", "")]


@given(st.lists(st.sampled_from([DEPTH, TRADE, OTHER, ANSWER, Ping(b"")]), max_size=40), st.data())
def test_a_freeze_neither_loses_nor_reorders(frames: list[Frame], data: st.DataObject) -> None:
    applied = faults("{at: 1s, kind: freeze, for: 2s}")
    seconds = sorted(
        data.draw(st.lists(st.integers(0, 5), min_size=len(frames), max_size=len(frames)))
    )
    got: list[Frame] = []
    for second, frame in zip(seconds, frames, strict=True):
        got += [sent for conn, sent in begin(applied, second=second) if conn == "a"]
        got += pass_all(applied, "a", frame, second=second)
    got += [sent for _, sent in begin(applied, second=9)]
    assert got == frames


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("{at: 1s, kind: explode}", r"explode.*faults\[0\]"),
        ("{at: soon, kind: cut}", "'soon' is no duration"),
        ("{kind: cut}", "missing required field `at`"),
        ("{at: 1s, kind: cut, for: 8s}", "'cut' does not take for; it takes code"),
        ("{at: 1s, kind: freeze}", "'freeze' needs 'for'"),
        ("{at: 1s, kind: cross}", "'cross' needs 'symbol'"),
        ("{at: 1s, kind: drop, symbol: NOPE-USDT}", "unknown symbol"),
        ("{at: 1s, kind: drop, channel: news}", "news"),
        ("{at: 1s, kind: cut, code: 7}", "1000 to 4999"),
        ("{at: 1s, kind: cut, wait: 1s}", "wait"),
    ],
)
def test_a_wrong_fault_is_told_with_file_place_and_advice(fault: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        faults(fault)
    assert str(error.value).startswith("faults.yaml: ")
    assert "docs/simulator.md" in str(error.value)


SHIPPED_FAULTS = sorted(path.stem for path in SHIPPED.glob("*.yaml") if path.stem != "demo")


@pytest.mark.parametrize("name", SHIPPED_FAULTS)
def test_every_shipped_script_is_right(name: str) -> None:
    assert load_faults(name)


def test_every_kind_of_fault_is_shipped() -> None:
    shipped = {fault.kind for name in SHIPPED_FAULTS for fault in load_faults(name)}
    assert shipped == set(KINDS)
