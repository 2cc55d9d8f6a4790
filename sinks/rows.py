"""Events as rows of the store's tables.

A row is a tuple in the order of its table's columns (`sinks.tables`), of values that msgpack knows;
times are ns. A batch of them crosses to its writer as one bytes object: packing costs a fraction of
pickling events one by one, and batches, not rows, travel between processes.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from filters.alerts import Alert
from market.events import Bar, BookTop, BookUpdate, Feature, GapInterval, Side, Trade
from market.instruments import Instrument

Cell: TypeAlias = (
    str | int | float | bool | list[float] | list[str] | dict[str, float | None] | None
)
Row: TypeAlias = Sequence[Cell]

ALERTS = "alerts"
_BUY, _SELL = Side.BUY, Side.SELL


class RowBatch(msgspec.Struct, frozen=True, gc=False):
    """Rows of one table.

    Attributes:
        table: name of the table.
        count: number of rows, at least 1.
        payload: msgpack of the list of rows.
        urgent: to be committed at once, never waiting for more rows.
    """

    table: str
    count: int
    payload: bytes
    urgent: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def pack(table: str, rows: Sequence[Row], *, urgent: bool = False) -> RowBatch:
    """Make one batch of rows of one table; alerts are always urgent."""
    return RowBatch(table, len(rows), _encoder.encode(rows), urgent or table == ALERTS)


def unpack(batch: RowBatch) -> list[list[Cell]]:
    """Return the rows of a batch."""
    rows: list[list[Cell]] = _decoder.decode(batch.payload)  # our own bytes: no need to check
    return rows


def trade_rows(trades: Iterable[Trade]) -> list[Row]:
    """Return the rows of `trades`, in one go: they are nearly all there is to store."""
    names = _names
    return [
        (
            venue,
            symbol,
            trade.ts_event,
            trade.trade_id,
            trade.price,
            trade.size,
            "buy" if trade.side is _BUY else "sell" if trade.side is _SELL else "unknown",
            trade.ts_recv,
        )
        for trade in trades
        for venue, symbol in (names[trade.instrument],)
    ]


class _Names(dict[str, tuple[str, str]]):
    """Instrument to venue and symbol, so that an id is cut only once."""

    def __missing__(self, instrument: str) -> tuple[str, str]:
        venue, _, symbol = instrument.partition(":")
        names = self[instrument] = (venue, symbol)
        return names


_names = _Names()


def book_top_row(top: BookTop) -> Row:
    """Return the row of `book_tops`."""
    venue, _, symbol = top.instrument.partition(":")
    return (
        venue,
        symbol,
        top.ts_event,
        top.ts_recv,
        top.sequence,
        [price for price, _ in top.bids],
        [size for _, size in top.bids],
        [price for price, _ in top.asks],
        [size for _, size in top.asks],
        top.spread,
        top.imbalance,
        top.state.value,
    )


def book_update_row(update: BookUpdate) -> Row:
    """Return the row of `book_updates`."""
    venue, symbol = _names[update.instrument]
    return (
        venue,
        symbol,
        update.ts_event,
        update.sequence,
        "snapshot" if update.is_whole else "delta",
        update.prev_sequence,
        [price for price, _ in update.bids],
        [size for _, size in update.bids],
        [price for price, _ in update.asks],
        [size for _, size in update.asks],
        update.ts_recv,
    )


def bar_row(bar: Bar) -> Row:
    """Return the row of `bars`."""
    venue, _, symbol = bar.instrument.partition(":")
    return (
        venue,
        symbol,
        bar.interval,
        bar.start,
        bar.end,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.buy_volume,
        bar.notional,
        bar.vwap,
        bar.count,
        bar.revision,
        bar.partial,
        bar.gap,
    )


def feature_row(feature: Feature) -> Row:
    """Return the row of `features`."""
    venue, symbol = _names[feature.instrument]
    return (
        venue,
        symbol,
        feature.interval,
        feature.name,
        feature.ts_event,
        feature.value,
        feature.state._value_,  # as `value`, at a third of its cost
        feature.revision,
    )


def alert_row(alert: Alert) -> Row:
    """Return the row of `alerts`."""
    venue, _, symbol = alert.series.partition(":")
    return (
        alert.key,
        alert.spec,
        alert.spec_hash,
        venue,
        symbol,
        alert.interval,
        alert.ts_event,
        alert.ts_fired,
        alert.severity,
        alert.text.replace("\x00", ""),  # the one character that PostgreSQL's text cannot hold
        alert.values,
        list(alert.targets),
        alert.chart,
        msgspec.json.encode(alert.clauses).decode(),
        alert.signal,
        msgspec.json.encode(alert.labels).decode(),
    )


def ending_row(key: str, ended_at: int) -> Row:
    """Return the row of `alert_endings`: what an alert told is true no more.

    Args:
        key: of the alert.
        ended_at: our time of the event that ended it, ns.
    """
    return (key, ended_at)


def gap_row(gap: GapInterval) -> Row:
    """Return the row of `gaps`."""
    venue, _, symbol = gap.instrument.partition(":")
    return (venue, symbol, gap.channel, gap.started, gap.ended, gap.reason)


def instrument_row(instrument: Instrument) -> Row:
    """Return the row of `instruments`."""
    return (
        instrument.venue,
        instrument.symbol,
        instrument.native,
        instrument.base,
        instrument.quote,
        instrument.tick,
        instrument.step,
        instrument.kind,
    )
