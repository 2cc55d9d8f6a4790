"""The tree of errors as it is drawn, and what each says to a person."""

import re

import pytest

from market import errors
from market.errors import (
    FRAME_LIMIT,
    ConfigError,
    FeedError,
    MarketError,
    RecordingError,
    SinkError,
    SpecError,
    StaleFeedError,
    SubscriptionError,
    UnknownInstrumentError,
    VenueProtocolError,
    VenueRefusalError,
)


def drawn_tree() -> dict[str, str]:
    """Class to parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        above = [*above[:depth], found[2]]
        if depth:
            parents[found[2]] = above[depth - 1]
    return parents


def built_tree() -> dict[str, str]:
    """Class to parent, as they are."""
    classes = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, MarketError) and thing is not MarketError
    ]
    return {each.__name__: each.__bases__[0].__name__ for each in classes}


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn_tree() == built_tree()
    assert len(built_tree()) >= 10


def test_every_error_says_what_it_is_for() -> None:
    assert all(getattr(errors, name).__doc__ for name in built_tree())


def test_no_error_is_caught_as_a_mistake_of_ours() -> None:
    for name in built_tree():
        assert not issubclass(getattr(errors, name), (ValueError, TypeError, RuntimeError, OSError))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SpecError("no such field 'rsj'", path="a.yaml"), "a.yaml: no such field 'rsj'"),
        (SpecError("bad", path="a.yaml", line=3), "a.yaml:3: bad"),
        (SpecError("bad", path="a.yaml", line=3, column=7), "a.yaml:3:7: bad"),
        (
            SpecError("bad", path="a.yaml", line=3, column=5, source="if: rsj"),
            "a.yaml:3:5: bad\n    if: rsj\n        ^",
        ),
        (
            SpecError("bad", path="a.yaml", line=3, column=1, source="if: rsj"),
            "a.yaml:3:1: bad\n    if: rsj\n    ^",
        ),
        (
            SpecError("bad", path="a.yaml", line=3, column=3, source="\tif: rsj"),
            "a.yaml:3:3: bad\n    \tif: rsj\n    \t ^",
        ),
        (
            SpecError("unfinished", path="a.yaml", line=3, column=6, source="if:"),
            "a.yaml:3:6: unfinished\n    if:\n         ^",
        ),
        (
            SpecError("bad", path="a.yaml", line=3, source="if: rsj"),
            "a.yaml:3: bad\n    if: rsj",
        ),
        (UnknownInstrumentError("X"), "unknown symbol 'X'; see the list that the venue publishes"),
        (
            UnknownInstrumentError("ETHBCT", venue="binance", near=("ETH-BTC", "ETC-BTC")),
            "unknown symbol 'ETHBCT' at binance; did you mean ETH-BTC, ETC-BTC?",
        ),
        (
            UnknownInstrumentError("ABCDUSD", near=("ABC-DUSD", "ABCD-USD"), ambiguous=True),
            "symbol 'ABCDUSD' is ambiguous: say one of ABC-DUSD, ABCD-USD",
        ),
        (
            SubscriptionError("btcusdt@trade", "no answer in 10 s"),
            "subscription to btcusdt@trade: no answer in 10 s",
        ),
        (StaleFeedError("binance:BTC-USDT", 7_250_000_000), "binance:BTC-USDT: silent for 7.2 s"),
        (RecordingError("cut off", path="a.jsonl.gz"), "a.jsonl.gz: cut off"),
        (RecordingError("not JSON", path="a.jsonl.gz", line=9), "a.jsonl.gz:9: not JSON"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MarketError) else None,
)
def test_an_error_says_what_and_where(error: MarketError, text: str) -> None:
    assert str(error) == text


def test_errors_carry_what_a_program_needs() -> None:
    spec = SpecError("bad", path="a.yaml", line=3, column=5, source="x")
    assert (spec.message, spec.path, spec.line, spec.column, spec.source) == (
        "bad",
        "a.yaml",
        3,
        5,
        "x",
    )
    refusal = VenueRefusalError("banned until noon", status=418, retry_after_s=120.0)
    assert (refusal.status, refusal.retry_after_s) == (418, 120.0)
    subscription = SubscriptionError("trade", "refused", frame=b"{}")
    assert (subscription.channel, subscription.reason, subscription.frame) == (
        "trade",
        "refused",
        b"{}",
    )
    assert StaleFeedError("depth", 5).silence_ns == 5
    assert SinkError("full", retriable=True).retriable
    recording = RecordingError("cut", path="a", line=2)
    assert (recording.path, recording.line) == ("a", 2)
    unknown = UnknownInstrumentError("X", venue="binance", near=("Y",), ambiguous=True)
    assert (unknown.symbol, unknown.venue, unknown.near) == ("X", "binance", ("Y",))
    assert unknown.ambiguous


def test_an_offending_frame_is_kept_only_in_part() -> None:
    assert VenueProtocolError("not JSON", frame=b"x" * 10_000).frame == b"x" * FRAME_LIMIT
    assert VenueProtocolError("not JSON").frame == b""


def test_a_users_mistake_and_a_broken_feed_are_caught_apart() -> None:
    assert issubclass(SpecError, ConfigError)
    assert not issubclass(VenueProtocolError, ConfigError)
    assert issubclass(SubscriptionError, FeedError)
