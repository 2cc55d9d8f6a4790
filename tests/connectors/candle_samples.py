"""Candles as the venues document them, for BTC against USDT (or USD), and what they come to."""

import json
from dataclasses import dataclass

from connectors import VENUES
from market.instruments import Instrument

SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class CandleSample:
    """One documented answer.

    Attributes:
        venue: name.
        instrument: whose it is.
        interval: ours.
        body: the answer.
        bars: start in seconds, open, high, low, close, volume, notional, bought, count.
        refusal: what the venue says to a wrong symbol, and a word that must come out of it.
    """

    venue: str
    instrument: Instrument
    interval: str
    body: bytes
    bars: list[tuple[float, ...]]
    refusal: tuple[bytes, str]

    @property
    def id(self) -> str:
        return f"{self.venue}-{self.interval}"


def listed(venue: str, symbol: str) -> Instrument:
    """An instrument as the venue spells it."""
    base, _, quote = symbol.partition("-")
    native = {
        "binance": base + quote,
        "bybit": base + quote,
        "bitstamp": (base + quote).lower(),
        "htx": (base + quote).lower(),
        "massive": symbol,
    }[venue]
    return Instrument(venue=venue, symbol=symbol, native=native, base=base, quote=quote)


BINANCE = json.dumps(
    [
        [
            *(1499040000000, "0.01634790", "0.80000000", "0.01575800", "0.01577100"),
            *("148976.11427815", 1499644799999, "2434.19055334", 308),
            *("1756.87402397", "28.46694368", "0"),
        ]
    ]
).encode()
BITSTAMP = json.dumps(
    {
        "data": {
            "pair": "BTC/USD",
            "ohlc": [
                {
                    "high": "9064.77",
                    "timestamp": "1593961440",
                    "volume": "18.49436608",
                    "low": "9040.87",
                    "close": "9064.77",
                    "open": "9040.87",
                },
                {
                    "high": "9071.59",
                    "timestamp": "1593961500",
                    "volume": "0.00000000",
                    "low": "9071.59",
                    "close": "9071.59",
                    "open": "9071.59",
                },
            ],
        }
    }
).encode()
BYBIT = json.dumps(
    {
        "retCode": 0,
        "retMsg": "OK",
        "result": {
            "symbol": "BTCUSDT",
            "category": "spot",
            "list": [
                ["1670608800000", "17071", "17073", "17027", "17055.5", "268611", "15.74462667"],
                ["1670605200000", "17071.5", "17071.5", "17061", "17071", "4177", "0.24469757"],
            ],
        },
        "retExtInfo": {},
        "time": 1672025956592,
    }
).encode()
HTX = json.dumps(
    {
        "ch": "market.btcusdt.kline.5min",
        "status": "ok",
        "ts": 1629769247172,
        "data": [
            {
                "id": 1629769200,
                "open": 49056.37,
                "close": 49025.51,
                "low": 49022.86,
                "high": 49056.38,
                "amount": 3.946281917950917,
                "vol": 193489.67275732,
                "count": 196,
            },
            {
                "id": 1629768900,
                "open": 48994.61,
                "close": 49056.37,
                "low": 48966.72,
                "high": 49072.46,
                "amount": 30.72223099519689,
                "vol": 1505870.732227976,
                "count": 1504,
            },
        ],
    }
).encode()
MASSIVE = json.dumps(
    {
        "ticker": "X:BTCUSD",
        "queryCount": 1,
        "resultsCount": 1,
        "adjusted": True,
        "results": [
            {
                "v": 53.5,
                "vw": 9874.5529,
                "o": 9557.9,
                "c": 10094.75,
                "h": 10429.26,
                "l": 9490.0,
                "t": 1590984000000,
                "n": 1000,
            }
        ],
        "status": "OK",
        "request_id": "0cf72b6da685bcd386548ffe2895904a",
        "count": 1,
    }
).encode()

SAMPLES = (
    CandleSample(
        venue="binance",
        instrument=listed("binance", "BTC-USDT"),
        interval="1w",
        body=BINANCE,
        bars=[
            (
                *(1499040000, 0.0163479, 0.8, 0.015758, 0.015771),
                *(148976.11427815, 2434.19055334, 1756.87402397, 308),
            )
        ],
        refusal=(b'{"code":-1121,"msg":"Invalid symbol."}', "Invalid symbol"),
    ),
    CandleSample(
        venue="bitstamp",
        instrument=listed("bitstamp", "BTC-USD"),
        interval="1m",
        body=BITSTAMP,
        bars=[
            (
                *(1593961440, 9040.87, 9064.77, 9040.87, 9064.77, 18.49436608),
                *(18.49436608 * ((9064.77 + 9040.87 + 9064.77) / 3), 18.49436608 / 2, 0),
            ),
            (1593961500, 9071.59, 9071.59, 9071.59, 9071.59, 0.0, 0.0, 0.0, 0),
        ],
        refusal=(
            b'{"status":"error","reason":"Missing limit","response_code":"400.001"}',
            "Missing limit",
        ),
    ),
    CandleSample(
        venue="bybit",
        instrument=listed("bybit", "BTC-USDT"),
        interval="1h",
        body=BYBIT,
        bars=[
            (1670605200, 17071.5, 17071.5, 17061.0, 17071.0, 4177.0, 0.24469757, 2088.5, 0),
            (1670608800, 17071.0, 17073.0, 17027.0, 17055.5, 268611.0, 15.74462667, 134305.5, 0),
        ],
        refusal=(
            (
                b'{"retCode":10001,"retMsg":"params error: symbol invalid","result":{},'
                b'"retExtInfo":{},"time":1}'
            ),
            "symbol invalid",
        ),
    ),
    CandleSample(
        venue="htx",
        instrument=listed("htx", "BTC-USDT"),
        interval="5m",
        body=HTX,
        bars=[
            (
                *(1629768900, 48994.61, 49072.46, 48966.72, 49056.37),
                *(30.72223099519689, 1505870.732227976, 30.72223099519689 / 2, 1504),
            ),
            (
                *(1629769200, 49056.37, 49056.38, 49022.86, 49025.51),
                *(3.946281917950917, 193489.67275732, 3.946281917950917 / 2, 196),
            ),
        ],
        refusal=(
            (
                b'{"status":"error","err-code":"invalid-parameter","err-msg":"invalid symbol",'
                b'"ts":1,"data":null}'
            ),
            "invalid symbol",
        ),
    ),
    CandleSample(
        venue="massive",
        instrument=listed("massive", "BTC-USD"),
        interval="1h",
        body=MASSIVE,
        bars=[
            (
                *(1590984000, 9557.9, 10429.26, 9490.0, 10094.75),
                *(53.5, 53.5 * 9874.5529, 26.75, 1000),
            )
        ],
        refusal=(
            b'{"status":"NOT_AUTHORIZED","request_id":"1","message":"You are not entitled"}',
            "not entitled",
        ),
    ),
)

assert {sample.venue for sample in SAMPLES} == set(VENUES)
