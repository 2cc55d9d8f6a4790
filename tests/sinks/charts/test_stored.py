"""Pictures from the store: which bars, which values, which walls; and an alert never waits."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import msgspec
import psycopg
import pytest
from PIL import Image

from filters.alerts import Alert
from market.events import Bar, BookTop, Feature, State
from market.instruments import Instrument
from sinks.charts import stored
from sinks.charts.contents import BARS_SHOWN
from sinks.charts.stored import (
    BARS_AFTER,
    AlertPictures,
    chart_of_alert,
    interval_near,
    read_alert,
    read_chart,
    stored_intervals,
)
from sinks.insertion import insert
from sinks.rows import (
    Row,
    alert_row,
    bar_row,
    book_top_row,
    feature_row,
    instrument_row,
    pack,
    unpack,
)
from sinks.secret import Secret
from sinks.tables import TABLES
from tests.sinks.charts.chart_bars import MINUTE, SECOND, START, walk

ROOT = Path(stored.__file__).parent.parent.parent
BTC = "binance:BTC-USDT"
BARS = walk(200)
FIRED = BARS[150]


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        instrument = Instrument(
            venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT"
        )
        put(connection, "instruments", [instrument_row(instrument)])
        put(connection, "bars", [bar_row(bar) for bar in BARS])
        yield connection


def put(connection: psycopg.Connection, table: str, rows: list[Row]) -> None:
    with connection.transaction():
        insert(connection, TABLES[table], unpack(pack(table, rows)))


def alert(**more: object) -> Alert:
    fields: dict[str, object] = {
        "key": "dip/1/binance:BTC-USDT/1m/7",
        "spec": "dip",
        "spec_hash": "1",
        "series": BTC,
        "interval": "1m",
        "ts_event": FIRED.end,
        "ts_fired": FIRED.end + SECOND,
        "severity": "critical",
        "targets": ("console",),
        "text": "RSI is low",
        "values": {"rsi(14)": 27.5, "close": FIRED.close, "support(1)": None},
    }
    return Alert(**{**fields, **more})  # type: ignore[arg-type]  # a test names what it changes


def feature(name: str, value: float | None, bar: Bar = FIRED, state: State = State.LIVE) -> Feature:
    return Feature(
        instrument=BTC, interval="1m", name=name, ts_event=bar.start, value=value, state=state
    )


def test_an_alert_shows_the_bars_to_its_moment_and_a_few_after(
    connection: psycopg.Connection,
) -> None:
    chart = chart_of_alert(connection, alert())
    assert chart is not None
    assert chart.bars == tuple(BARS[151 - BARS_SHOWN : 151 + BARS_AFTER])
    assert chart.mark is not None
    assert (chart.mark.ts, chart.mark.severity) == (FIRED.end, "critical")
    assert chart.headline == "dip: RSI is low"
    (rsi,) = chart.panes
    assert all(value is not None for value in rsi.lines[0].values)


def test_indicators_see_the_bars_before_the_first_one_shown(
    connection: psycopg.Connection,
) -> None:
    whole = read_chart(connection, BTC, "1m", ["sma(50)"], count=150)
    part = read_chart(connection, BTC, "1m", ["sma(50)"], count=20)
    assert whole is not None
    assert part is not None
    assert len(part.bars) == 20
    assert part.layers[0].lines[0].values == whole.layers[0].lines[0].values[-20:]


def test_a_span_is_what_was_asked_for(connection: psycopg.Connection) -> None:
    chart = read_chart(
        connection, BTC, "1m", [], since=START + 20 * MINUTE, until=START + 50 * MINUTE
    )
    assert chart is not None
    assert chart.bars == tuple(BARS[20:50])
    assert read_chart(connection, BTC, "1m", [], since=START + 500 * MINUTE) is None
    assert read_chart(connection, BTC, "1m", [], until=START) is None
    assert read_chart(connection, BTC, "7m", []) is None


def test_what_is_long_past_is_left_out(connection: psycopg.Connection) -> None:
    late = msgspec.structs.replace(
        BARS[0], start=START + 10_000 * MINUTE, end=START + 10_001 * MINUTE
    )
    put(connection, "bars", [bar_row(late)])
    chart = read_chart(connection, BTC, "1m", ["rsi(14)"])
    assert chart is not None
    assert chart.bars == (late,)


def test_values_of_the_book_and_the_truth_state_are_the_stored_ones(
    connection: psycopg.Connection,
) -> None:
    name = "book.imbalance(10)"
    put(
        connection,
        "features",
        [
            feature_row(feature(name, -0.5, BARS[149])),
            feature_row(feature(name, 0.25)),
            feature_row(feature("rsi(14)", 20.0, state=State.SUSPECT)),
        ],
    )
    chart = chart_of_alert(connection, alert(values={name: 0.25, "rsi(14)": 20.0}))
    assert chart is not None
    values = chart.panes[0].lines[0].values
    assert values[BARS_SHOWN - 2 : BARS_SHOWN + 1] == (-0.5, 0.25, None)
    assert chart.state == "suspect"
    live = chart_of_alert(connection, alert(values={name: 0.25}))
    assert live is not None
    assert live.state == "live"


def test_walls_have_the_size_that_the_book_had(connection: psycopg.Connection) -> None:
    top = BookTop(
        instrument=BTC,
        ts_event=FIRED.end - SECOND,
        ts_recv=FIRED.end - SECOND,
        bids=[(99.5, 1.0), (99.0, 42.5)],
        asks=[(100.5, 1.0), (101.0, 7.25)],
        spread=1.0,
        imbalance=0.0,
        sequence=1,
        state=State.LIVE,
    )
    put(connection, "book_tops", [book_top_row(top)])
    put(
        connection,
        "features",
        [
            feature_row(feature("support(1)", 99.0)),
            feature_row(feature("resistance(2)", 123.0)),
            feature_row(feature("support(2)", None)),
        ],
    )
    chart = chart_of_alert(connection, alert(values={"resistance_distance_bps(1)": 100.0}))
    assert chart is not None
    told = {(wall.price, wall.is_support, wall.size) for wall in chart.walls}
    assert told == {(99.0, True, 42.5), (123.0, False, None), (101.0, False, 7.25)}


def test_a_moment_in_the_book_shows_the_bars_nearest_to_a_minute(
    connection: psycopg.Connection,
) -> None:
    others = [msgspec.structs.replace(BARS[0], interval=name) for name in ("1h", "5m", "1s", "9t")]
    put(connection, "bars", [bar_row(bar) for bar in others])
    assert stored_intervals(connection, BTC) == ["1h", "1m", "1s", "5m", "9t"]
    assert interval_near(connection, BTC, FIRED.end + 5) == "1m"
    assert interval_near(connection, BTC, START) is None
    assert interval_near(connection, "binance:ETH-USDT", FIRED.end) is None
    chart = chart_of_alert(connection, alert(interval="", ts_event=FIRED.end + 5 * SECOND))
    assert chart is not None
    assert chart.interval == "1m"


def test_a_stored_alert_is_drawn_by_its_key(connection: psycopg.Connection, database: str) -> None:
    put(connection, "alerts", [alert_row(alert())])
    assert read_alert(connection, alert().key) == alert()
    pictures = AlertPictures(Secret(database))
    png = pictures.picture_of(alert().key)
    assert png is not None
    assert png == pictures.picture(alert())
    with Image.open(BytesIO(png)) as image:
        assert (image.format, image.width) == ("PNG", 1080)
    assert pictures.picture_of("no/such") is None


def test_the_bar_that_fired_is_waited_for(
    database: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "BAR_PATIENCE_S", 20.0)
    late = walk(201)[-1]
    fired = alert(ts_event=late.end, ts_fired=time.time_ns())
    put(connection, "alerts", [alert_row(fired)])
    asked: list[float] = []

    def store_it(seconds: float) -> None:
        asked.append(seconds)
        put(connection, "bars", [bar_row(late)])

    monkeypatch.setattr(time, "sleep", store_it)
    assert AlertPictures(Secret(database)).picture_of(fired.key) is not None
    assert asked == [stored.BAR_POLL_S]


def test_a_bar_that_never_comes_is_not_waited_for_long(
    database: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = alert(ts_event=BARS[-1].end + MINUTE, ts_fired=time.time_ns() - 2 * SECOND)
    put(connection, "alerts", [alert_row(old)])
    monkeypatch.delattr(time, "sleep")
    assert AlertPictures(Secret(database)).picture_of(old.key) is not None


def test_an_alert_without_bars_has_no_picture(
    connection: psycopg.Connection, database: str
) -> None:
    pictures = AlertPictures(Secret(database))
    assert pictures.picture(alert(series="binance:ETH-USDT")) is None
    assert pictures.picture(alert(series="binance:ETH-USDT", interval="")) is None


def test_a_database_that_is_away_costs_the_picture_only(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = AlertPictures(Secret("host=127.0.0.1 port=1 user=x password=hush dbname=x"))
    with caplog.at_level(logging.WARNING):
        assert away.picture(alert()) is None
        assert away.picture_of("x") is None
    assert [record.message for record in caplog.records] == ["an alert goes without a picture"] * 2
    assert "hush" not in caplog.text


def test_without_the_library_alerts_go_without_pictures(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stored, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING):
        pictures = AlertPictures(Secret("host=127.0.0.1 port=1 dbname=x"))
    assert pictures.picture(alert()) is None
    assert "candlewax[charts]" in caplog.text
    assert len(caplog.records) == 1


def test_a_warm_up_loads_what_the_first_picture_needs() -> None:
    code = (
        "import sys; from sinks.charts.stored import AlertPictures; "
        "from sinks.secret import Secret; pictures = AlertPictures(Secret('dbname=x')); "
        "before = 'matplotlib.figure' in sys.modules; pictures.warm_up(); "
        "print(before, 'matplotlib.figure' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True"]


def test_other_bars_that_an_alert_looked_at_are_read_with_their_past(
    connection: psycopg.Connection,
) -> None:
    ten = [
        msgspec.structs.replace(
            each, interval="10m", end=each.start + 10 * MINUTE, revision=0, partial=False, gap=False
        )
        for each in BARS[::10]
    ]
    put(connection, "bars", [bar_row(each) for each in ten])
    other = [msgspec.structs.replace(each, instrument="binance:ETH-USDT") for each in BARS]
    put(connection, "bars", [bar_row(each) for each in other])
    values = {
        "close": 1.0, "ema(3)@10m": 1.0, "close@ETH-USDT": 2.0, "rsi(14)@4h": None,
        "position.size": 2.0, "position.stop": 1.0,
    }  # fmt: skip
    alert = Alert(
        key="k", spec="dip", spec_hash="h", series=BTC, interval="1m", ts_event=FIRED.end,
        ts_fired=FIRED.end, severity="info", targets=(), text="dip", values=values, signal="entry",
    )  # fmt: skip
    chart = chart_of_alert(connection, alert)
    assert chart is not None
    assert [layer.title for layer in chart.layers] == ["ema(3)@10m"]
    [line] = chart.layers[0].lines
    assert line.is_stepped
    assert None not in line.values  # the bars before the first one shown were read
    assert [pane.title for pane in chart.panes] == ["close@ETH-USDT"]
    assert chart.left_out == ("no value: rsi(14)@4h",)
