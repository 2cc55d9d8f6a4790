import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from simulator.dialects.binance import BinanceDialect
from simulator.fault_script import KINDS
from simulator.faults import Faults, can, load_faults, read_faults
from simulator.frames import Binary, Close, Cut, Frame, HttpAnswer, Ping, Text
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


def of_kind(kind: str, more: str = "") -> Faults:
    applied = faults(f"{{at: 1s, kind: {kind}, channel: depth, symbol: BTC-USDT{more}}}")
    begin(applied)
    return applied


def test_a_duplicate_comes_twice_and_a_flood_as_often_as_it_says() -> None:
    applied = of_kind("duplicate", ", count: 2")
    sent = pass_all(applied, "a", TRADE, DEPTH, OTHER, DEPTH, DEPTH)
    assert sent == [TRADE, DEPTH, DEPTH, OTHER, DEPTH, DEPTH, DEPTH]
    assert len(pass_all(of_kind("flood"), "a", DEPTH, DEPTH)) == 10_001


def test_a_reordered_message_comes_after_the_next_of_its_channel_symbol_and_connection() -> None:
    applied = of_kind("reorder")
    second = Text(b"second", "depth", "BTC-USDT")
    assert pass_all(applied, "a", DEPTH, TRADE, OTHER, ANSWER) == [TRADE, OTHER, ANSWER]
    assert pass_all(applied, "b", DEPTH) == [DEPTH]
    assert pass_all(applied, "a", second, DEPTH) == [second, DEPTH, DEPTH]


def test_a_delayed_message_overtakes_none_of_its_own_channel() -> None:
    applied = of_kind("delay", ", for: 3s, delay: 2s")
    late = Text(b"late", "depth", "BTC-USDT")
    assert pass_all(applied, "a", DEPTH, TRADE, second=3) == [TRADE]
    assert pass_all(applied, "a", late, second=4) == []  # it is over, but one is on its way
    assert pass_all(applied, "b", late, second=4) == [late]
    assert begin(applied, second=4) == []
    assert begin(applied, second=5) == [("a", DEPTH), ("a", late)]
    assert pass_all(applied, "a", DEPTH, second=6) == [DEPTH]


@pytest.mark.parametrize("message", [DEPTH, Binary(b"0123456789" * 3, "depth", "BTC-USDT")])
def test_spoilt_messages_are_of_their_kind_and_wrong(message: Text | Binary) -> None:
    [corrupt] = pass_all(of_kind("corrupt"), "a", message)
    [half] = pass_all(of_kind("truncate"), "a", message)
    assert type(corrupt) is type(half) is type(message)
    assert isinstance(corrupt, Text | Binary)
    assert len(corrupt.data) == len(message.data)
    with pytest.raises(UnicodeDecodeError):
        corrupt.data.decode()
    assert isinstance(half, Text | Binary)
    assert half.data == message.data[: len(message.data) // 2]


def test_a_frozen_channel_loses_what_it_says_and_nothing_else_does() -> None:
    applied = of_kind("freeze_channel", ", for: 5s")
    assert pass_all(applied, "a", DEPTH, TRADE, OTHER, second=5) == [TRADE, OTHER]
    assert pass_all(applied, "a", DEPTH, second=6) == [DEPTH]


def test_a_half_open_connection_says_and_hears_nothing_until_the_client_lets_go() -> None:
    applied = faults("{at: 1s, kind: half_open}")
    begin(applied)
    assert applied.is_mute("a")
    assert not applied.is_frozen("a")
    assert pass_all(applied, "a", DEPTH, Ping(b""), Close(1000, ""), Cut()) == []
    assert pass_all(applied, "new", DEPTH) == [DEPTH]
    begin(applied, second=7)
    assert applied.ended == START + 7 * SECOND
    for conn in ("a", "b"):
        applied.closed(conn)
    begin(applied, second=9)
    assert applied.ended == START + 7 * SECOND
    assert not applied.is_mute("a")


def test_answers_are_stale_for_a_while() -> None:
    applied = faults("{at: 1s, kind: stale_snapshot, for: 5s}")
    old, new = HttpAnswer(200, b"old"), HttpAnswer(200, b"new")
    assert applied.answer("/book", old, START) is old
    begin(applied)
    assert applied.answer("/book", new, START + 2 * SECOND) is old
    assert applied.answer("/unasked", new, START + 2 * SECOND) is new
    assert applied.answer("/book", new, START + 6 * SECOND) is new


def test_without_a_word_of_the_venue_too_many_connections_are_refused_by_http() -> None:
    applied = faults("{at: 1s, kind: max_connections, for: 5s}")
    assert applied.refusal(START) is None
    assert begin(applied) == [("a", Cut()), ("b", Cut())]
    refusal = applied.refusal(START + 2 * SECOND)
    assert refusal is not None
    assert refusal.status == 429
    assert applied.refusal(START + 6 * SECOND) is None


def test_what_only_a_venue_can_say_is_asked_of_it() -> None:
    [(_, one), _] = begin(faults("{at: 1s, kind: unknown}"))
    assert isinstance(one, Text)
    assert b"novelty" in one.data
    assert can("unknown", DIALECT)
    assert can("drop", DIALECT)
    assert not can("refuse_auth", DIALECT)


def test_an_oversize_frame_goes_to_every_connection() -> None:
    sent = begin(faults("{at: 1s, kind: oversize, size: 1000}"))
    assert sent == [("a", Text(bytes(1000))), ("b", Text(bytes(1000)))]


def test_a_fault_of_one_venue_is_no_other_venues() -> None:
    planned = read_faults("faults: [{at: 1s, kind: cut, venue: htx}, {at: 1s, kind: cut}]", "f")
    assert len(begin(Faults(planned, start=START, venue="htx"))) == 4
    assert len(begin(Faults(planned, start=START, venue="bybit"))) == 2


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
        ("{at: 1s, kind: cut, venue: binanse}", "unknown venue 'binanse'; known are binance, "),
        ("{at: 1s, kind: cross}", "'cross' needs 'symbol'"),
        ("{at: 1s, kind: drop, symbol: NOPE-USDT}", "unknown symbol"),
        ("{at: 1s, kind: drop, channel: news}", "news"),
        ("{at: 1s, kind: cut, code: 7}", "1000 to 4999"),
        ("{at: 1s, kind: cut, code: 1006}", "a close frame may hold"),
        ("{at: 1s, kind: oversize, size: -1}", "size must be"),
        ("{at: 1s, kind: freeze_channel, symbol: BTC-USDT, for: 1s}", "needs 'channel'"),
        ("{at: 1s, kind: half_open, for: 1s}", "it takes nothing"),
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


@given(
    st.sampled_from(["reorder, count: 3", "delay, for: 2s, delay: 1s", "duplicate, count: 4"]),
    st.lists(st.tuples(st.sampled_from([DEPTH, TRADE, OTHER]), st.integers(1, 5)), max_size=30),
)
def test_what_comes_late_or_twice_is_lost_to_nobody(
    kind: str, drawn: list[tuple[Text, int]]
) -> None:
    applied = faults(f"{{at: 1s, kind: {kind}}}")
    sent = [
        Text(b"%d" % number, message.channel, message.symbol)
        for number, (message, _) in enumerate(drawn)
    ]
    got: list[Frame] = []
    for message, second in zip(sent, sorted(second for _, second in drawn), strict=True):
        got += [frame for conn, frame in begin(applied, second=second) if conn == "a"]
        got += pass_all(applied, "a", message, second=second)
    got += [frame for conn, frame in begin(applied, second=20) if conn == "a"]
    kept = [one for one in sent if one in got]
    if "reorder" not in kind:
        assert kept == sent
    if "delay" in kind:
        assert len(got) == len(sent)
    for channel, symbol in {(one.channel, one.symbol) for one in sent}:
        mine = [one for one in got if (one.channel, one.symbol) == (channel, symbol)]  # type: ignore[union-attr]
        if "reorder" not in kind:
            assert list(dict.fromkeys(mine)) == [
                one for one in sent if (one.channel, one.symbol) == (channel, symbol)
            ]
    assert len(sent) - len(kept) <= 3  # a message that nothing followed is still being overtaken
