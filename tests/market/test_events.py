"""The words: immutable, the same after any journey, and strict about numbers."""

import json
import math
import pickle

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from market.events import (
    Aggregate,
    Bar,
    BookDelta,
    BookSnapshot,
    BookTop,
    Feature,
    FeedGap,
    GapInterval,
    Heartbeat,
    Level,
    Quote,
    Side,
    Silence,
    State,
    StateChange,
    Trade,
    Unsubscribed,
)

Event = (
    Trade
    | Quote
    | Aggregate
    | BookSnapshot
    | BookDelta
    | FeedGap
    | Heartbeat
    | BookTop
    | Bar
    | Feature
    | StateChange
    | GapInterval
    | Silence
    | Unsubscribed
)
EVERY_KIND: tuple[type[Event], ...] = (
    Trade,
    Quote,
    Aggregate,
    BookSnapshot,
    BookDelta,
    FeedGap,
    Heartbeat,
    BookTop,
    Bar,
    Feature,
    StateChange,
    GapInterval,
    Silence,
    Unsubscribed,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 2**63 - 1)
levels = st.lists(st.tuples(finite, finite), max_size=5)


def any_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    by_type: dict[object, st.SearchStrategy[object]] = {
        str: st.text(max_size=10),
        int: times,
        float: finite,
        bool: st.booleans(),
        Side: st.sampled_from(Side),
        State: st.sampled_from(State),
        list[Level]: levels,
        float | None: st.none() | finite,
        int | None: st.none() | times,
    }
    values = {field.name: by_type[field.type] for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **values)


every_event = st.one_of([any_of(kind) for kind in EVERY_KIND])
TRADE = Trade(
    instrument="binance:BTC-USDT",
    ts_event=1,
    ts_recv=2,
    price=100.5,
    size=0.25,
    side=Side.BUY,
    trade_id="7",
)


@given(event=every_event)
def test_every_event_survives_json(event: Event) -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    assert decoded == event
    assert type(decoded) is type(event)


@given(event=every_event)
def test_every_event_survives_msgpack_and_pickle(event: Event) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes


@given(event=every_event)
def test_no_event_can_be_changed(event: Event) -> None:
    for field in msgspec.structs.fields(event):
        with pytest.raises(AttributeError):
            setattr(event, field.name, getattr(event, field.name))


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_every_event_says_its_kind_and_its_instrument(kind: type[Event]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.tag == kind.__name__
    assert kind.__struct_fields__[0] == "instrument"
    with pytest.raises(TypeError, match="positional"):
        kind("binance:BTC-USDT")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_events_that_the_collector_skips_hold_nothing_it_would_need(kind: type[Event]) -> None:
    if not kind.__struct_config__.gc:
        fields = msgspec.structs.fields(kind)
        assert not any(field.type == list[Level] for field in fields)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", '"nan"', '"inf"', "null"])
def test_what_is_no_number_is_refused_where_json_is_decoded(number: str) -> None:
    text = json.dumps(msgspec.to_builtins(TRADE)).replace("100.5", number)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=Trade)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_does_not_come_back_from_json(number: float) -> None:
    text = msgspec.json.encode(msgspec.structs.replace(TRADE, price=number))
    with pytest.raises(msgspec.ValidationError, match="Expected `float`, got `null`"):
        msgspec.json.decode(text, type=Trade)


def test_a_lax_decoder_lets_not_a_number_in_so_connectors_must_check() -> None:
    text = json.dumps(msgspec.to_builtins(TRADE)).replace("100.5", '"nan"')
    trade = msgspec.json.decode(text, type=Trade, strict=False)
    assert math.isnan(trade.price)


@pytest.mark.parametrize(
    ("field", "value"),
    [("side", "BUY"), ("price", "100.5"), ("ts_event", 1.5), ("trade_id", 7), ("size", None)],
)
def test_a_field_of_the_wrong_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(TRADE), field: value}, Trade)


def test_a_missing_field_is_refused_and_never_guessed() -> None:
    told = msgspec.to_builtins(TRADE)
    del told["side"]
    with pytest.raises(msgspec.ValidationError, match="missing required field `side`"):
        msgspec.convert(told, Trade)


def test_none_is_missing_and_zero_is_a_number() -> None:
    missing = Feature(
        instrument="v:A-B",
        interval="1s",
        name="rsi(14)",
        ts_event=0,
        value=None,
        state=State.WARMING,
    )
    zero = msgspec.structs.replace(missing, value=0.0, state=State.LIVE)
    for feature in (missing, zero):
        decoded = msgspec.json.decode(msgspec.json.encode(feature), type=Feature)
        assert decoded.value == feature.value
        assert (decoded.value is None) == (feature.value is None)


def test_words_are_lower_case() -> None:
    assert [str(side) for side in Side] == ["buy", "sell", "unknown"]
    assert [str(state) for state in State] == ["live", "warming", "stale", "resyncing", "suspect"]


def bar(volume: float, notional: float) -> Bar:
    return Bar(
        instrument="v:A-B",
        interval="1s",
        start=0,
        end=1,
        open=1.0,
        high=4.0,
        low=1.0,
        close=2.0,
        volume=volume,
        buy_volume=0.0,
        notional=notional,
        count=1,
    )


def test_the_mean_price_is_weighted_by_size() -> None:
    assert bar(volume=4.0, notional=12.0).vwap == 3.0


def test_the_mean_price_of_no_volume_is_the_close() -> None:
    assert bar(volume=0.0, notional=0.0).vwap == 2.0
