"""Events become rows that msgpack carries unchanged."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Alert, Clause
from market.events import Bar, BookTop, BookUpdate, Feature, GapInterval, Side, State, Trade
from market.instruments import Instrument
from sinks.rows import (
    Row,
    alert_row,
    bar_row,
    book_top_row,
    book_update_row,
    ending_row,
    feature_row,
    gap_row,
    instrument_row,
    pack,
    trade_rows,
    unpack,
)
from sinks.tables import TABLES

SECOND = 1_000_000_000
NOW = 1_732_112_223_123_456_789

TRADE = Trade(
    instrument="binance:BTC-USDT",
    ts_event=NOW,
    ts_recv=NOW + 5,
    price=91234.5,
    size=0.0123,
    side=Side.SELL,
    trade_id="42",
)
ROWS: dict[str, Row] = {
    "trades": trade_rows([TRADE])[0],
    "book_tops": book_top_row(
        BookTop(
            instrument="binance:BTC-USDT",
            ts_event=NOW,
            ts_recv=NOW + 5,
            bids=[(99.0, 1.0), (98.0, 2.0)],
            asks=[],
            spread=None,
            imbalance=1.0,
            sequence=7,
            state=State.STALE,
        )
    ),
    "bars": bar_row(
        Bar(
            instrument="binance:BTC-USDT",
            interval="1m",
            start=NOW,
            end=NOW + 60 * SECOND,
            open=1.0,
            high=3.0,
            low=0.5,
            close=2.0,
            volume=4.0,
            buy_volume=1.0,
            notional=6.0,
            count=9,
            revision=2,
            gap=True,
        )
    ),
    "features": feature_row(
        Feature(
            instrument="binance:BTC-USDT",
            interval="1m",
            name="rsi(14)",
            ts_event=NOW,
            value=None,
            state=State.WARMING,
        )
    ),
    "alerts": alert_row(
        Alert(
            key="k",
            spec="dip",
            spec_hash="abc",
            series="binance:BTC-USDT",
            interval="1m",
            ts_event=NOW,
            ts_fired=NOW + 5,
            severity="critical",
            targets=("console", "telegram/main"),
            text="it \x00fell",
            values={"rsi(14)": 21.5, "ema(9)": None},
            clauses=(Clause("rsi(14) < 30", 21.5, 30.0),),
        )
    ),
    "book_updates": book_update_row(
        BookUpdate(
            instrument="binance:BTC-USDT",
            ts_event=NOW,
            ts_recv=NOW + 5,
            sequence=8,
            prev_sequence=7,
            is_whole=False,
            bids=[(99.0, 0.0)],
            asks=[],
        )
    ),
    "alert_endings": ending_row("k", NOW),
    "gaps": gap_row(
        GapInterval(instrument="binance:BTC-USDT", channel="book", reason="lost", started=NOW)
    ),
    "instruments": instrument_row(
        Instrument(
            venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT", tick=0.1
        )
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_row_has_the_columns_of_its_table(table: str) -> None:
    assert len(ROWS[table]) == len(TABLES[table].columns)


@pytest.mark.parametrize("table", TABLES)
def test_a_batch_gives_back_its_rows(table: str) -> None:
    batch = pack(table, [ROWS[table], ROWS[table]])
    assert (batch.table, batch.count) == (table, 2)
    assert unpack(batch) == [list(ROWS[table])] * 2


def test_a_trade_row_is_plain_and_in_order() -> None:
    expected = ("binance", "BTC-USDT", NOW, "42", 91234.5, 0.0123, "sell", NOW + 5)
    assert trade_rows([TRADE])[0] == expected


def test_levels_become_prices_and_sizes() -> None:
    row = ROWS["book_tops"]
    assert list(row[5:9]) == [[99.0, 98.0], [1.0, 2.0], [], []]


def test_an_alert_keeps_no_character_that_the_database_refuses() -> None:
    assert "it fell" in ROWS["alerts"]


def test_only_alerts_are_urgent_by_themselves() -> None:
    assert pack("alerts", [ROWS["alerts"]]).urgent
    assert not pack("trades", [ROWS["trades"]]).urgent
    assert pack("book_tops", [ROWS["book_tops"]], urgent=True).urgent


@given(
    price=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    ts=st.integers(min_value=0, max_value=2**62),
    trade_id=st.text(max_size=40),
)
def test_no_digit_is_lost_on_the_way(price: float, ts: int, trade_id: str) -> None:
    trade = Trade(
        instrument="kraken:ETH-BTC",
        ts_event=ts,
        ts_recv=ts,
        price=price,
        size=price,
        side=Side.BUY,
        trade_id=trade_id,
    )
    ((venue, symbol, time, name, got, *_),) = unpack(pack("trades", trade_rows([trade])))
    assert (venue, symbol, time, name) == ("kraken", "ETH-BTC", ts, trade_id)
    assert isinstance(got, float)
    assert math.isclose(got, price, rel_tol=0.0)
