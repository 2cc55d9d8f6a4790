"""The past of every simulated venue, fetched page by page, and what may go wrong on the way."""

import doctest
import itertools
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES, history
from connectors.contract import Venue
from connectors.history import GRACE, CandleHistory, closed_until, source_interval
from connectors.limiter import HostLimiter
from market.errors import HistoryError
from market.events import Bar
from market.grouping import group_bars
from market.intervals import Interval
from simulator.dialects import DIALECTS
from simulator.dialects.contract import DialectOptions
from simulator.frames import HttpAnswer
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.server import simulator_in_thread
from simulator.settings import SimulatorSettings
from tests.connectors.candle_samples import listed
from tests.connectors.scripted_venue import ScriptedVenue, instrument
from tests.drawn_examples import examples

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_700_000_033 * SECOND + 123_456_789
REST = "http://rest.simulated"
every_venue = pytest.mark.parametrize("name", sorted(VENUES))
Answering = Callable[[httpx.Request], httpx.Response]


class Host:
    """A simulated venue behind an HTTP client without a socket; its clock stands still.

    `troubles` are answered first, one a request.
    """

    def __init__(self, name: str, *, page: int = 0) -> None:
        self.venue = VENUES[name]
        self.model = MarketModel(choose(["BTC-USDT", "BTC-USD", "LTC-BTC"]), seed=5, start=START)
        self.dialect = DIALECTS[name](self.model, DialectOptions(weight_per_minute=10**6))
        self.now = START
        self.requests: list[httpx.Request] = []
        self.troubles: Iterator[HttpAnswer | httpx.HTTPError] = iter(())
        self.waits: list[float] = []
        self.clock = 0
        self.limiter = HostLimiter(self.venue.limits, lambda: self.clock)
        self.history = CandleHistory(
            client=lambda: httpx.Client(transport=httpx.MockTransport(self._answer)),
            wait=self._wait,
            chance=lambda: 0.5,
            page=page,
            limiter=lambda venue, url: self.limiter,
        )

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock += int(seconds * SECOND) + 1

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self.troubles, None)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        if answer is None:
            answer = self.dialect.requested(request.url.raw_path.decode(), self.now)
        return httpx.Response(answer.status, content=answer.body, headers=answer.headers)

    def fetch(self, interval: str, first: int, last: int, symbol: str = "BTC-USD") -> list[Bar]:
        told = self.history.fetch(
            self.venue, listed(self.venue.name, symbol), interval, first, last,
            now=self.now, rest_url=REST,
        )  # fmt: skip
        assert told.until == closed_until(interval, last, self.now)
        return list(told.bars)


@every_venue
@pytest.mark.parametrize("interval", ["1m", "30m", "8h", "1w"])
def test_every_closed_bar_of_a_range_comes_once_and_in_order(name: str, interval: str) -> None:
    host = Host(name)
    span = Interval.parse(interval)
    last = closed_until(interval, START, START)
    first = last - 12 * span.length
    bars = host.fetch(interval, first, START)
    assert [bar.start for bar in bars] == list(range(first, last, span.length))
    assert {bar.interval for bar in bars} == {interval}
    smaller = source_interval(host.venue, interval)
    if smaller != interval and name != "htx":  # 2000 bars of 4h are a slow second
        assert bars == group_bars(host.fetch(smaller, first, last), interval)


@every_venue
@examples(6)
@given(page=st.integers(3, 40), ago=st.integers(1, 90), interval=st.sampled_from(["1m", "5m"]))
def test_small_pages_give_what_one_gives(name: str, page: int, ago: int, interval: str) -> None:
    first = START - ago * MINUTE
    paged, whole = Host(name, page=page), Host(name)
    told = paged.fetch(interval, first, START, "LTC-BTC")
    assert told == whole.fetch(interval, first, START, "LTC-BTC")
    assert all(bar.volume > 0 for bar in told)
    assert len(whole.requests) <= 1


def test_a_larger_bar_goes_on_from_one_page_to_the_next() -> None:
    first = closed_until("8h", START, START) - 5 * 8 * 3600 * SECOND
    assert source_interval(VENUES["htx"], "8h") == "4h"
    assert source_interval(VENUES["massive"], "8h") == "1h"
    paged, whole = Host("massive", page=5), Host("massive")
    assert paged.fetch("8h", first, START) == whole.fetch("8h", first, START)
    assert len(paged.requests) == 8


def test_all_venues_tell_the_same_past() -> None:
    first = START - 600 * MINUTE
    told = {
        name: [(bar.start, bar.open, bar.high, bar.low, bar.close) for bar in bars]
        for name in VENUES
        for bars in [Host(name).fetch("1h", first, START)]
    }
    assert len({tuple(bars) for bars in told.values()}) == 1


def test_only_the_newest_can_be_had_where_no_range_can_be_asked_for() -> None:
    host = Host("htx")
    bars = host.fetch("15m", START - 60 * 86_400 * SECOND, START)
    assert len(host.requests) == 1
    assert len(bars) == 1999  # the newest of 2000 is forming
    days = host.fetch("1w", START - 400 * 86_400 * SECOND, START)
    assert len(host.requests) == 2
    begins = Interval.parse("4h").start_of(START) - 1999 * 4 * 3600 * SECOND
    assert begins <= days[0].start < begins + 7 * 86_400 * SECOND


def test_a_bar_that_may_not_be_closed_is_not_told() -> None:
    host = Host("binance")
    minute = START - START % MINUTE
    for since in (0, GRACE // SECOND - 1, GRACE // SECOND, 59):
        host.now = minute + since * SECOND
        bars = host.fetch("1m", minute - 10 * MINUTE, minute + 10 * MINUTE)
        expected = minute if since >= GRACE // SECOND else minute - MINUTE
        assert bars[-1].end == expected


def test_an_empty_range_asks_for_nothing() -> None:
    host = Host("binance")
    assert host.fetch("1h", START - MINUTE, START) == []
    assert host.fetch("1m", START, START - 10 * MINUTE) == []
    assert host.fetch("1m", START + 10 * MINUTE, START + 20 * MINUTE) == []
    assert host.requests == []


def test_progress_is_told_after_each_page() -> None:
    host = Host("bybit", page=4)
    said: list[tuple[int, int]] = []
    host.history.fetch(
        host.venue, listed("bybit", "BTC-USDT"), "1m", START - 11 * MINUTE, START,
        now=START, rest_url=REST, progress=lambda done, wanted: said.append((done, wanted)),
    )  # fmt: skip
    assert said == [(4, 10), (8, 10), (10, 10)]


@every_venue
def test_a_history_says_whether_it_knows_who_bought(name: str) -> None:
    host = Host(name)
    told = host.history.fetch(
        host.venue, listed(name, "BTC-USD"), "1m", START - 5 * MINUTE, START,
        now=START, rest_url=REST,
    )  # fmt: skip
    assert told.tells_sides == (name == "binance")
    assert (told.instrument, told.interval) == (f"{name}:BTC-USD", "1m")


def test_the_examples_are_true() -> None:
    assert doctest.testmod(history).failed == 0


# -- trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        HttpAnswer(500, b"oops"),
        HttpAnswer(502, b""),
        HttpAnswer(429, b"{}", {"Retry-After": "7"}),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("no route"),
    ],
    ids=["500", "502", "429", "timeout", "unreachable"],
)
def test_what_passes_is_tried_again(trouble: HttpAnswer | httpx.HTTPError) -> None:
    host = Host("binance")
    host.troubles = iter([trouble, trouble])
    assert len(host.fetch("1m", START - 10 * MINUTE, START)) == 9
    assert len(host.requests) == 3
    assert len(host.waits) >= 2
    if isinstance(trouble, HttpAnswer) and trouble.status == 429:
        assert all(wait >= 6.9 for wait in host.waits[::2])
    else:
        assert host.waits == [0.75, 1.5]


def test_a_limit_that_is_told_in_the_answer_is_obeyed() -> None:
    for name, status, body in (
        ("bitstamp", 400, b'{"status":"error","reason":"limit","response_code":"400.002"}'),
        ("bybit", 200, b'{"retCode":10006,"retMsg":"Too many visits!"}'),
    ):
        host = Host(name)
        host.troubles = iter([HttpAnswer(status, body)])
        assert len(host.fetch("1m", START - 10 * MINUTE, START)) == 9
        assert host.waits[0] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("name", "trouble", "words", "requests"),
    [
        ("binance", HttpAnswer(500, b"oops"), "HTTP 500, oops", 5),
        ("binance", HttpAnswer(400, b'{"code":-1121,"msg":"Invalid symbol."}'), "Invalid", 1),
        ("binance", HttpAnswer(418, b"", {"Retry-After": "900"}), "again in 900 s", 1),
        ("binance", HttpAnswer(451, b""), "not available from this country", 1),
        ("bybit", HttpAnswer(403, b""), "again in 600 s", 1),
        ("massive", HttpAnswer(403, b"{}"), "correct MASSIVE_API_KEY or POLYGON_API_KEY", 1),
        ("binance", HttpAnswer(200, b"<html>"), "does not look like candles", 1),
        ("htx", HttpAnswer(200, b'{"status":"error","err-msg":"no"}'), "no", 1),
        ("binance", httpx.ConnectError("no route"), "no route", 5),
    ],
)
def test_what_does_not_pass_is_told(
    name: str, trouble: HttpAnswer | httpx.HTTPError, words: str, requests: int
) -> None:
    host = Host(name)
    host.troubles = itertools.repeat(trouble)
    with pytest.raises(HistoryError, match=words) as caught:
        host.fetch("1m", START - 10 * MINUTE, START)
    assert len(host.requests) == requests
    if isinstance(trouble, HttpAnswer) and trouble.status in {418, 403, 451} and name != "massive":
        assert caught.value.retry_after_s > 0


def test_requests_keep_within_the_budget_of_the_host() -> None:
    host = Host("htx")
    for _ in range(40):
        host.fetch("1m", START - 5 * MINUTE, START)
    assert len(host.requests) == 40
    limits = host.venue.limits
    assert host.clock / SECOND >= (40 - limits.weight) / limits.weight_per_s - 0.1


def test_the_key_goes_in_a_header_and_into_no_error_or_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = Host("massive")
    host.troubles = iter([HttpAnswer(500, b"")] * 5)
    with caplog.at_level("DEBUG"), pytest.raises(HistoryError) as caught:
        host.history.fetch(
            host.venue, listed("massive", "BTC-USD"), "1m", START - 5 * MINUTE, START,
            now=START, rest_url=REST, key="very-secret",
        )  # fmt: skip
    assert {one.headers["Authorization"] for one in host.requests} == {"Bearer very-secret"}
    assert not any("very-secret" in str(one.url) for one in host.requests)
    assert "very-secret" not in f"{caught.value} {caplog.text}"
    assert "very-secret" not in "".join(str(vars(record)) for record in caplog.records)


def test_who_has_no_candles_says_so() -> None:
    venue: Venue = ScriptedVenue()
    with pytest.raises(HistoryError, match="scripted has no candles of the past"):
        CandleHistory().fetch(venue, instrument("BTC-USDT"), "1m", 0, START, now=START)


@pytest.mark.parametrize(
    ("venue", "interval", "source"),
    [
        ("binance", "1s", "1s"),
        ("binance", "90s", "1s"),
        ("binance", "45m", "15m"),
        ("binance", "24h", "1d"),
        ("bitstamp", "1w", "1d"),
        ("bitstamp", "8h", "4h"),
        ("htx", "1d", "4h"),
        ("htx", "3m", "1m"),
        ("massive", "1w", "1h"),
        ("massive", "5m", "1m"),
    ],
)
def test_what_a_venue_lacks_is_made_of_its_largest(venue: str, interval: str, source: str) -> None:
    assert source_interval(VENUES[venue], interval) == source


def test_what_cannot_be_made_is_refused_and_what_is_no_interval_too() -> None:
    for name in ("bitstamp", "bybit", "htx"):
        with pytest.raises(HistoryError, match=f"{name} has no candles that make up 30s; it has"):
            source_interval(VENUES[name], "30s")
    with pytest.raises(ValueError, match="interval"):
        source_interval(VENUES["binance"], "7m30")


# -- sockets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [False, True], ids=["running", "waiting for a client"])
def test_a_simulator_on_a_real_socket_tells_its_past_up_to_now(*, waits: bool) -> None:
    settings_ = SimulatorSettings(venues=("binance",), symbols=("BTC-USDT",), wait_for_client=waits)
    with simulator_in_thread(settings_) as addresses:
        now = time.time_ns()
        told = CandleHistory(page=50).fetch(
            VENUES["binance"], listed("binance", "BTC-USDT"), "1s", now - 200 * SECOND, now,
            now=now, rest_url=addresses.rest_of("binance"),
        )  # fmt: skip
    starts = [bar.start for bar in told.bars]
    assert starts == list(range(starts[0], told.until, SECOND))
    assert len(starts) >= 190
