"""The contract, asked of every venue in the registry.

Each venue supplies its samples in `tests/connectors/cases/<venue>.py`.
"""

import json
import re
from importlib import import_module
from importlib.util import find_spec
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES
from connectors.contract import DeadLetter, Request, Told
from connectors.feed import Feed, encode_description
from connectors.recording import Record
from market.book import Book
from market.errors import FeedError, VenueProtocolError
from market.events import (
    Aggregate,
    BookDelta,
    BookSnapshot,
    FeedGap,
    Heartbeat,
    Quote,
    Trade,
)
from tests.connectors.cases.venue_case import REST, SECOND, START, Session, VenueCase
from tests.drawn_examples import examples

EVENTS = (Trade, Quote, Aggregate, BookSnapshot, BookDelta, FeedGap, DeadLetter)
CHANNELS = {"trade", "book"}


def _cases(name: str) -> tuple[VenueCase, ...]:
    module = f"tests.connectors.cases.{name}"
    cases: tuple[VenueCase, ...] = import_module(module).CASES if find_spec(module) else ()
    return cases


CASES = [case for name in VENUES for case in _cases(name)]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: "-".join((case.venue.name, *case.channels))
)
every_venue = pytest.mark.parametrize("name", sorted(VENUES))


@pytest.fixture
def live(case: VenueCase) -> Session:
    return _live(case)


def _live(case: VenueCase) -> Session:
    session = Session(case)
    case.live(session)
    assert session.protocol.is_live, "the case's `live` must bring the protocol to life"
    return session


@every_venue
def test_a_venue_has_a_case_for_each_group_of_its_channels(name: str) -> None:
    cases = _cases(name)
    assert cases, f"{name} needs tests/connectors/cases/{name}.py: see venue_case.py there"
    groups = VENUES[name].channel_groups
    wanted = [()] if len(groups) == 1 else sorted(groups)
    assert sorted(case.channels for case in cases) == wanted
    assert all(type(case.venue) is type(VENUES[name]) for case in cases)
    assert all(len(case.instruments) >= 2 for case in cases)


# -- what a venue declares ---------------------------------------------------------------------


@every_venue
def test_a_venue_declares_sane_facts(name: str) -> None:
    venue = VENUES[name]
    assert venue.name == name
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", name)
    assert urlsplit(venue.websocket_url).scheme == "wss"
    assert urlsplit(venue.rest_url).scheme == "https"
    assert not venue.websocket_url.endswith("/")
    assert not venue.rest_url.endswith("/")
    assert venue.instruments_per_connection >= 1
    assert venue.connections_at_once >= 0
    assert venue.channel_groups
    carried = [channel for group in venue.channel_groups for channel in group]
    assert carried
    assert len(carried) == len(set(carried))
    assert set(carried) <= CHANNELS
    most = venue.connections_at_once
    assert most == 0 or most >= len(venue.channel_groups)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", key) for key in venue.key_names)
    page = venue.market_page.format(base="BTC", quote="USDT", base_lower="btc", quote_lower="usdt")
    assert page == "" or re.fullmatch(r"https://[^{}\s]*(BTC|btc).?(USDT|usdt)[^{}\s]*", page)


@every_venue
def test_a_venue_explains_its_options(name: str) -> None:
    venue = VENUES[name]
    assert venue.explain_options({}) == ""
    assert venue.explain_options({"max_age_s": 3600}) == ""
    said = venue.explain_options({"no_such_option": 1})
    assert "no_such_option" in said
    assert said == said.strip()
    assert not said.endswith(".")


@every_case
def test_a_venues_own_options_are_right(case: VenueCase) -> None:
    assert case.venue.explain_options(case.options) == ""


@every_case
def test_the_list_of_instruments_is_read(case: VenueCase) -> None:
    listed = case.venue.read_instruments(case.instrument_list)
    assert listed
    for instrument in listed:
        assert instrument.venue == case.venue.name
        assert instrument.id == f"{case.venue.name}:{instrument.symbol}"
        assert instrument.symbol == f"{instrument.base}-{instrument.quote}"
        assert instrument.native
    address = case.venue.instruments_url(REST)
    assert address.startswith(REST)
    following = case.venue.more_instruments_url(case.instrument_list)
    assert following == "" or urlsplit(following).scheme or following.startswith(("/", "?"))


@every_case
@pytest.mark.parametrize("body", [b"", b"null", b"[]]", b"{", b'"text"', b"\xff", b"[1]", b"1"])
def test_a_list_that_is_none_is_refused(case: VenueCase, body: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        case.venue.read_instruments(body)


@every_case
@examples(15)
@given(data=st.data())
def test_any_list_gives_instruments_or_a_protocol_error(
    case: VenueCase, data: st.DataObject
) -> None:
    body = data.draw(_torn(case.instrument_list) | st.binary(max_size=60))
    try:
        listed = case.venue.read_instruments(body)
    except VenueProtocolError:
        pass
    else:
        assert all(one.venue == case.venue.name for one in listed)
    assert isinstance(case.venue.more_instruments_url(body), str)


# -- a connection's life -----------------------------------------------------------------------


@every_case
def test_a_connection_subscribes_to_each_stream_exactly_once(
    case: VenueCase, live: Session
) -> None:
    live.wait(2)
    names = [name for message in live.messages for name in case.names(message)]
    assert names
    assert len(names) == len(set(names))
    assert not [name for message in live.messages for name in case.dropped(message)]
    assert tuple(live.protocol.instruments) == tuple(one.id for one in case.instruments[:-1])


@every_case
def test_an_address_belongs_to_the_description(case: VenueCase) -> None:
    described = case.description()
    protocol = case.venue.protocol(described)
    assert protocol.url.startswith(described.websocket_url)
    assert not protocol.is_live
    assert not protocol.wants_replacement
    assert protocol.outgoing() == []


@every_case
def test_an_instrument_can_come_and_go(case: VenueCase, live: Session) -> None:
    protocol, new = live.protocol, case.instruments[-1]
    before = len(live.messages)
    live.take(protocol.subscribe([new], live.now))
    live.wait(1.5)
    case.acknowledge(live)
    added = {name for message in live.messages[before:] for name in case.names(message)}
    assert added
    assert new.id in protocol.instruments

    before = len(live.messages)
    told = live.take(protocol.unsubscribe([new.id], live.now))
    told += live.wait(1.5)
    case.acknowledge(live)
    gone = {name for message in live.messages[before:] for name in case.dropped(message)}
    assert gone == added
    assert tuple(protocol.instruments) == tuple(one.id for one in case.instruments[:-1])
    assert {one.instrument for one in told if isinstance(one, FeedGap)} <= {new.id}


@every_case
def test_to_subscribe_again_or_give_up_a_stranger_does_nothing(
    case: VenueCase, live: Session
) -> None:
    before = len(live.messages)
    assert live.take(live.protocol.subscribe(case.instruments[:1], live.now)) == []
    assert live.take(live.protocol.unsubscribe([case.instruments[-1].id], live.now)) == []
    names = [one for message in live.messages[before:] for one in case.names(message)]
    assert names == []
    assert live.protocol.is_live


# -- the three kinds of trouble ----------------------------------------------------------------


@every_case
def test_what_is_unknown_is_put_aside_and_the_connection_goes_on(
    case: VenueCase, live: Session
) -> None:
    assert case.unknown
    for frame in case.unknown:
        told = live.receive(frame)
        assert [type(one) for one in told] == [DeadLetter]
        letter = told[0]
        assert isinstance(letter, DeadLetter)
        assert letter.venue == case.venue.name
        assert letter.reason
        assert letter.frame
        assert letter.ts_recv == live.now
    assert live.protocol.is_live


@every_case
def test_a_break_of_one_instrument_leaves_the_others_alone(case: VenueCase, live: Session) -> None:
    if not case.gap:
        pytest.skip("the venue has no sequence")
    told = [one for frame in case.gap for one in live.receive(frame)]
    gaps = [one for one in told if isinstance(one, FeedGap)]
    assert {gap.instrument for gap in gaps} == {case.instruments[0].id}
    assert {gap.channel for gap in gaps} <= CHANNELS
    assert all(gap.reason for gap in gaps)


@every_case
def test_the_feed_of_a_broken_session_tells_nothing_until_it_opens_again(case: VenueCase) -> None:
    assert case.torn
    for frame in case.torn:
        feed = Feed("feed", case.venue, case.description())
        opening = encode_description(feed.description)
        feed.take(Record(START, "feed.1", "open", opening))
        assert feed.take(Record(START + 1, "feed.1", "binary", frame)) == []
        failures = feed.failures()
        assert [name for name, _ in failures] == ["feed.1"], frame
        assert isinstance(failures[0][1], VenueProtocolError)
        for sample in case.frames.values():
            assert feed.take(Record(START + 2, "feed.1", "text", sample)) == []
        told = feed.take(Record(START + SECOND, "feed", "heartbeat"))
        assert all(isinstance(one, Heartbeat) for one in told)
        assert feed.failures() == []
        closed = feed.take(Record(START + SECOND, "feed.1", "close", b"broken"))
        assert {type(one) for one in closed} == {FeedGap}
        reopened = feed.take(Record(START + 2 * SECOND, "feed.2", "open", opening))
        assert {type(one) for one in reopened} == {FeedGap}
        assert feed.failures() == []


@every_case
def test_a_torn_frame_of_a_live_session_is_a_protocol_error(case: VenueCase) -> None:
    for frame in case.torn:
        session = _live(case)
        with pytest.raises(VenueProtocolError):
            session.receive(frame)


@every_case
def test_every_sample_is_understood(case: VenueCase) -> None:
    """A refusal ends a connection; nothing else of what a venue is known to send may."""
    for name, frame in case.frames.items():
        session = _live(case)
        try:
            told = session.receive(frame)
        except FeedError:
            assert "refus" in name or "error" in name, name
            continue
        _check(told, case, session.now)


# -- any input ---------------------------------------------------------------------------------


@st.composite
def _torn(draw: st.DrawFn, frame: bytes) -> bytes:
    """A real frame with a few bytes changed, taken out or put in."""
    torn = bytearray(frame)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(torn)))
        match draw(st.sampled_from(["change", "cut", "insert", "end"])):
            case "change" if at < len(torn):
                torn[at] = draw(st.integers(0, 255))
            case "cut":
                del torn[at : at + draw(st.integers(1, 12))]
            case "insert":
                torn[at:at] = draw(st.binary(max_size=6))
            case _:
                del torn[at:]
    return bytes(torn)


def _numbers(draw: st.DrawFn, frame: bytes) -> bytes:
    """A real frame with one of its numbers or texts changed to another."""
    wild = st.sampled_from(
        [b"0", b"-1", b"1e400", b'"nan"', b'"inf"', b"null", b"[]", b"{}", b'"x"', b"9" * 40]
    )
    places = [found.span() for found in re.finditer(rb'"[^"]*"|-?[0-9][0-9.eE+-]*', frame)]
    if not places:
        return frame
    first, last = draw(st.sampled_from(places))
    return frame[:first] + draw(wild) + frame[last:]


@st.composite
def _frames(draw: st.DrawFn, case: VenueCase) -> bytes:
    samples = [*case.frames.values(), *case.unknown, *case.gap]
    frame = draw(st.sampled_from(samples))
    match draw(st.sampled_from(["as it is", "torn", "numbers", "bytes"])):
        case "as it is":
            return frame
        case "torn":
            return draw(_torn(frame))
        case "numbers":
            return _numbers(draw, frame)
        case _:
            return draw(st.binary(max_size=80))


@every_case
@examples(20)
@given(data=st.data(), is_live=st.booleans())
def test_any_bytes_give_events_or_a_protocol_error(
    case: VenueCase, data: st.DataObject, is_live: bool
) -> None:
    frames = data.draw(st.lists(_frames(case), min_size=1, max_size=8))
    told, error = _run(case, frames, is_live=is_live)
    again, error_again = _run(case, frames, is_live=is_live)
    assert told == again
    assert str(error) == str(error_again)


@every_case
@examples(20)
@given(data=st.data(), status=st.sampled_from([0, 200, 200, 200, 403, 404, 418, 429, 451, 500]))
def test_any_answer_gives_events_or_a_protocol_error(
    case: VenueCase, data: st.DataObject, status: int
) -> None:
    session = Session(case)
    session.wait(2)
    subject = session.requests[0] if session.requests else Request(url=REST, subject="nothing")
    sample = st.sampled_from(list(case.frames.values()))
    body = data.draw(st.binary(max_size=60) | sample | sample.flatmap(_torn))
    try:
        told = session.take(session.protocol.fetched(subject, status, body, session.now))
    except VenueProtocolError:
        return
    _check(told, case, session.now)


def _run(
    case: VenueCase, frames: list[bytes], *, is_live: bool
) -> tuple[list[Told], FeedError | None]:
    session = _live(case) if is_live else Session(case)
    for frame in frames:
        try:
            told = session.receive(frame)
        except FeedError as error:
            return session.told, error
        _check(told, case, session.now)
    try:
        _check(session.wait(1), case, session.now)
    except FeedError as error:
        return session.told, error
    return session.told, None


def _check(told: list[Told], case: VenueCase, now: int) -> None:
    """What is told is of the contract: known instruments, sane numbers, our clock."""
    known = {instrument.id for instrument in case.instruments}
    books: dict[str, Book] = {}
    for one in told:
        assert isinstance(one, EVENTS), one
        assert msgspec.json.decode(msgspec.json.encode(one)) is not None
        if isinstance(one, DeadLetter):
            assert one.venue == case.venue.name
            continue
        assert one.instrument in known
        assert 0 < one.ts_recv <= now
        if isinstance(one, FeedGap):
            assert one.channel in CHANNELS | {"all"}
            if len(case.venue.channel_groups) > 1:
                assert one.channel in {*case.channels, "all"}
        elif isinstance(one, Trade):
            assert 0 < one.price < 1e18
            assert 0 <= one.size < 1e18
            assert 0 < one.ts_event < 2**63
        elif isinstance(one, BookSnapshot | BookDelta):
            assert all(0 < price < 1e18 and 0 <= size < 1e18 for price, size in one.bids)
            assert all(0 < price < 1e18 and 0 <= size < 1e18 for price, size in one.asks)
            assert 0 < one.ts_event < 2**63
            assert 0 <= one.sequence < 2**63
            book = books.setdefault(one.instrument, Book())
            if isinstance(one, BookSnapshot):
                book.apply(one)
            elif not book.is_empty:
                book.change(one.bids, one.asks, one.sequence)
        json.dumps(msgspec.to_builtins(one))
