"""The candles of every venue: documented answers, simulated ones, and any bytes."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES
from connectors.candles import candle_bar
from connectors.contract import Candles
from market.bars import BarBuilder
from market.errors import VenueProtocolError
from market.events import Bar
from market.intervals import Interval
from simulator.dialects import DIALECTS
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.true_book import Print
from tests.connectors.candle_samples import SAMPLES, CandleSample, listed
from tests.drawn_examples import examples

SECOND = 1_000_000_000
START = 1_700_000_033 * SECOND + 123_456_789
SYMBOLS = ("BTC-USDT", "BTC-USD", "LTC-BTC")
REST = "http://rest.simulated"

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
every_venue = pytest.mark.parametrize("name", sorted(VENUES))


def candles_of(name: str) -> Candles:
    candles = VENUES[name].candles
    assert candles is not None
    return candles


def simulated(name: str) -> tuple[Dialect, MarketModel]:
    model = MarketModel(choose(SYMBOLS), seed=3, start=START)
    return DIALECTS[name](model, DialectOptions()), model


def get(dialect: Dialect, url: str, now: int) -> bytes:
    parts = urlsplit(url)
    answer = dialect.requested(f"{parts.path}?{parts.query}", now)
    assert answer.status == 200, answer.body
    return answer.body


def shape(value: object) -> object:
    """Keys, nesting and types; a list by its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if value and isinstance(value[0], list | dict):
            return [shape(value[0])]
        return [shape(inner) for inner in value]
    return type(value)


def digits(text: str) -> int:
    return len(text.partition(".")[2])


# -- what a venue declares ---------------------------------------------------------------------


@every_venue
def test_a_venue_declares_intervals_that_are_ours(name: str) -> None:
    candles = candles_of(name)
    assert candles.intervals
    for interval, native in candles.intervals.items():
        assert Interval.parse(interval).name == interval
        assert native
        assert candles.most(interval) >= 500
    assert candles.weight >= 1


@every_venue
def test_an_address_is_the_hosts_and_holds_no_key(name: str) -> None:
    candles = candles_of(name)
    instrument = listed(name, "BTC-USD")
    for interval in candles.intervals:
        length = Interval.parse(interval).length
        first = Interval.parse(interval).start_of(START)
        url = candles.url(REST, instrument, interval, first - 10 * length, first)
        assert url.startswith(f"{REST}/")
        assert not re.search("key|token|secret", url, re.IGNORECASE)


# -- documented answers ------------------------------------------------------------------------


@every_sample
def test_a_documented_answer_is_read(sample: CandleSample) -> None:
    bars = candles_of(sample.venue).read(sample.body, sample.instrument, sample.interval)
    assert [
        (
            *(bar.start / SECOND, bar.open, bar.high, bar.low, bar.close),
            *(bar.volume, bar.notional, bar.buy_volume, bar.count),
        )
        for bar in bars
    ] == sample.bars
    length = Interval.parse(sample.interval).length
    assert {bar.end - bar.start for bar in bars} == {length}
    assert {(bar.instrument, bar.interval) for bar in bars} == {
        (sample.instrument.id, sample.interval)
    }


@every_sample
def test_a_simulated_answer_has_the_shape_of_the_documented_one(sample: CandleSample) -> None:
    dialect, _ = simulated(sample.venue)
    length = Interval.parse(sample.interval).length
    first = Interval.parse(sample.interval).start_of(START) - 3 * length
    url = candles_of(sample.venue).url(
        REST, sample.instrument, sample.interval, first, first + 3 * length
    )
    ours, theirs = json.loads(get(dialect, url, START)), json.loads(sample.body)
    assert shape(ours) == shape(theirs)


@every_sample
def test_what_the_venue_refuses_is_told_in_its_words(sample: CandleSample) -> None:
    body, words = sample.refusal
    with pytest.raises(VenueProtocolError, match=words):
        candles_of(sample.venue).read(body, sample.instrument, sample.interval)
    assert not candles_of(sample.venue).is_rate_limit(body)


def test_what_was_asked_too_often_is_known() -> None:
    body = b'{"status":"error","reason":"Request rate limit exceeded.","response_code":"400.002"}'
    assert candles_of("bitstamp").is_rate_limit(body)
    assert candles_of("bybit").is_rate_limit(b'{"retCode":10006,"retMsg":"Too many visits!"}')


@pytest.mark.parametrize(
    ("venue", "old", "new"),
    [
        ("bybit", b'"spot"', b'"linear"'),
        ("bybit", b'"BTCUSDT"', b'"ETHUSDT"'),
        ("htx", b"kline.5min", b"kline.1min"),
        ("htx", b"btcusdt", b"ethusdt"),
        ("massive", b"X:BTCUSD", b"X:ETHUSD"),
        ("massive", b'"status": "OK"', b'"status": "OK", "next_url": "https://x/"'),
        ("bitstamp", b"1593961440", b"1593961441"),
        ("binance", b'"0.80000000"', b'"0.01000000"'),
        ("binance", b'"1756.87402397"', b'"148976.2"'),
        ("binance", b'"148976.11427815"', b'"nan"'),
    ],
)
def test_an_answer_to_another_question_is_refused(venue: str, old: bytes, new: bytes) -> None:
    sample = next(one for one in SAMPLES if one.venue == venue)
    assert old in sample.body
    with pytest.raises(VenueProtocolError):
        candles_of(venue).read(sample.body.replace(old, new), sample.instrument, sample.interval)


# -- the simulator's market --------------------------------------------------------------------


@every_venue
def test_simulated_candles_are_the_bars_of_the_simulators_own_trades(name: str) -> None:
    dialect, model = simulated(name)
    candles = candles_of(name)
    now = START + 200 * SECOND
    trades = [one for one in model.advance(now) if isinstance(one, Print)]
    listings = {one.symbol: one for one in model.listings}
    for symbol in ("BTC-USDT", "BTC-USD"):
        instrument = listed(name, symbol)
        builder = BarBuilder(instrument.id, Interval.parse("1m"))
        built: list[Bar] = []
        for trade in trades:
            if trade.symbol == symbol:
                price = float(listings[symbol].price_text(trade.price))
                size = float(listings[symbol].size_text(trade.size))
                built += builder.add(trade.ts, price, size, is_buy=trade.buyer_took)
        whole = [bar for bar in built if not bar.partial]
        assert len(whole) >= 2
        first = whole[0].start
        url = candles.url(REST, instrument, "1m", first, whole[-1].end)
        told = [
            bar
            for bar in candles.read(get(dialect, url, now), instrument, "1m")
            if first <= bar.start < whole[-1].end
        ]
        assert [_facts(bar) for bar in told] == [_facts(bar) for bar in whole]
        for bar, true in zip(told, whole, strict=True):
            assert bar.volume == pytest.approx(true.volume, rel=1e-9)
            bought = true.buy_volume if candles.tells_sides else true.volume / 2
            assert bar.buy_volume == pytest.approx(bought, rel=1e-9)
            # A typical price stands in where the venue does not tell what was paid.
            is_told = name != "bitstamp"
            assert bar.notional == pytest.approx(true.notional, rel=1e-8 if is_told else 1e-3)
            assert bar.count in {0, true.count}


def _facts(bar: Bar) -> tuple[object, ...]:
    return (bar.instrument, bar.start, bar.end, bar.open, bar.high, bar.low, bar.close)


@every_venue
def test_simulated_candles_of_the_past_are_told_in_every_interval(name: str) -> None:
    dialect, _ = simulated(name)
    candles = candles_of(name)
    instrument = listed(name, "BTC-USD")
    for interval in candles.intervals:
        span = Interval.parse(interval)
        last = span.start_of(START)
        first = last - 20 * span.length
        body = get(dialect, candles.url(REST, instrument, interval, first, last), START)
        found = candles.read(body, instrument, interval)
        bars = [bar for bar in found if first <= bar.start < last]
        assert [bar.start for bar in bars] == list(range(first, last, span.length)), interval
        assert all(abs(bar.close / 64_010 - 1) < 0.05 for bar in bars)
        assert all(bar.low <= bar.vwap <= bar.high for bar in bars)
        if candles.is_ranged and name != "bitstamp":
            assert bars == found
        assert len(found) <= candles.most(interval)


def test_simulated_binance_starts_where_it_is_told_to_and_else_ends_now() -> None:
    dialect, _ = simulated("binance")
    kline = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
    begins = 1_699_000_020_000
    told = json.loads(get(dialect, f"{kline}&startTime={begins}&limit=3", START))
    assert [row[0] for row in told] == [begins, begins + 60_000, begins + 120_000]
    newest = json.loads(get(dialect, f"{kline}&limit=2", START))
    assert [row[0] for row in newest] == [1_699_999_920_000, 1_699_999_980_000]
    assert len(json.loads(get(dialect, kline, START))) == 500


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("interval=1m", -1102),
        ("symbol=BTCUSDT", -1102),
        ("symbol=NOSUCH&interval=1m", -1121),
        ("symbol=BTCUSDT&interval=7m", -1120),
        ("symbol=BTCUSDT&interval=1m&limit=x", -1100),
    ],
)
def test_simulated_binance_refuses_as_the_venue_does(query: str, code: int) -> None:
    answer = simulated("binance")[0].requested(f"/api/v3/klines?{query}", START)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("bybit", "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1", b"category"),
        ("bybit", "/v5/market/kline?category=spot&symbol=NO&interval=1", b"symbol invalid"),
        ("bybit", "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=7", b"period"),
        ("bybit", "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&end=x", b"invalid"),
        ("htx", "/market/history/kline?symbol=no&period=1min", b"invalid symbol"),
        ("htx", "/market/history/kline?symbol=btcusdt&period=7min", b"invalid period"),
        ("htx", "/market/history/kline?symbol=btcusdt&period=1min&size=2001", b"invalid size"),
        ("bitstamp", "/api/v2/ohlc/btcusd/?step=7&limit=1", b"400.001"),
        ("bitstamp", "/api/v2/ohlc/btcusd/?step=60&limit=1001", b"400.001"),
        ("bitstamp", "/api/v2/ohlc/nosuch/?step=60&limit=1", b"not found"),
        ("massive", "/v2/aggs/ticker/X:BTCUSD/range/2/minute/1/2", b"multiplier"),
        ("massive", "/v2/aggs/ticker/X:BTCUSD/range/1/fortnight/1/2", b"parse"),
        ("massive", "/v2/aggs/ticker/X:BTCUSD/range/1/minute/1/2?apiKey=wrong", b"Unknown API"),
    ],
)
def test_a_simulated_venue_refuses_what_is_wrong(name: str, target: str, words: bytes) -> None:
    assert words in simulated(name)[0].requested(target, START).body


def test_simulated_bitstamp_fills_the_limit_from_before_the_start() -> None:
    dialect, _ = simulated("bitstamp")
    end = 1_699_999_980
    query = f"/api/v2/ohlc/btcusd/?step=60&limit=10&start={end - 60}&end={end}"
    rows = json.loads(get(dialect, query, START))["data"]["ohlc"]
    assert [int(row["timestamp"]) for row in rows] == list(range(end - 540, end + 1, 60))
    ours = candles_of("bitstamp").url(
        "", listed("bitstamp", "BTC-USD"), "1m", (end - 60) * SECOND, (end + 60) * SECOND
    )
    assert parse_qs(urlsplit(ours).query)["limit"] == ["2"]


def test_simulated_massive_says_that_there_is_more() -> None:
    dialect, _ = simulated("massive")
    ends = START // 1_000_000
    target = f"/v2/aggs/ticker/X:BTCUSD/range/1/minute/{ends - 600_000}/{ends}"
    page = json.loads(get(dialect, f"{target}?limit=4", START))
    assert len(page["results"]) == 4
    following = json.loads(get(dialect, page["next_url"] + "?limit=4", START))
    assert following["results"][0]["t"] == page["results"][-1]["t"] + 60_000
    assert "next_url" not in json.loads(get(dialect, target, START))


# -- any input ---------------------------------------------------------------------------------


@every_sample
@examples(40)
@given(data=st.data())
def test_any_bytes_give_bars_or_a_protocol_error(sample: CandleSample, data: st.DataObject) -> None:
    body = bytearray(sample.body)
    wild = [b"0", b"-1", b"1e400", b'"nan"', b'"inf"', b"null", b"[]", b"{}", b'"x"', b"9" * 40]
    for _ in range(data.draw(st.integers(0, 3))):
        places = [one.span() for one in re.finditer(rb'"[^"]*"|-?[0-9][0-9.eE+-]*', bytes(body))]
        match data.draw(st.sampled_from(["value", "cut", "byte", "other"])):
            case "value" if places:
                first, last = data.draw(st.sampled_from(places))
                body[first:last] = data.draw(st.sampled_from(wild))
            case "cut":
                del body[data.draw(st.integers(0, len(body))) :]
            case "byte" if body:
                body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
            case _:
                body = bytearray(data.draw(st.binary(max_size=40)))
    candles = candles_of(sample.venue)
    assert candles.is_rate_limit(bytes(body)) in {True, False}
    try:
        bars = candles.read(bytes(body), sample.instrument, sample.interval)
    except VenueProtocolError:
        return
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    for bar in bars:
        assert bar.instrument == sample.instrument.id
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert 0 <= bar.buy_volume <= bar.volume < 1e18
        assert 0 <= bar.notional < 1e37
        assert bar.start == Interval.parse(sample.interval).start_of(bar.start)
        assert abs(bar.start) < 2**63


@pytest.mark.parametrize(
    ("start", "prices", "bought", "words"),
    [
        (30, (2.0, 3.0, 1.0, 2.0), 0.5, "no start"),
        (60, (2.0, 1.5, 1.0, 1.2), 0.5, "cannot be"),
        (60, (2.0, 3.0, 2.5, 2.7), 0.5, "cannot be"),
        (60, (2.0, 3.0, 1.0, 2.0), 1.5, "was bought"),
    ],
)
def test_a_candle_that_contradicts_itself_is_none(
    start: int, prices: tuple[float, float, float, float], bought: float, words: str
) -> None:
    instrument = listed("binance", "BTC-USDT")
    with pytest.raises(ValueError, match=words):
        candle_bar(instrument, Interval.parse("1m"), start * SECOND, prices, 1.0, bought=bought)
