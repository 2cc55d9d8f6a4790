"""Recordings made in virtual time: the shipped feed at the simulator's wire, minutes in seconds."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from connectors import VENUES
from connectors.contract import FeedDescription, Login, Request
from connectors.drain import Drain
from connectors.feed import Feed, Steering, encode_description, encode_steering
from connectors.history import GRACE
from connectors.recording import Record, RecordingWriter
from filters.specs import Spec, SpecsChanged
from flows.bar_series import HistoryWish
from flows.market_output import MarketOutput
from flows.past import begin
from flows.recorded_settings import recorded_settings
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from flows.warm_up import both
from market.events import Bar, History
from market.instruments import Instrument, symbol_of
from simulator.dialects.binance import BinanceDialect
from simulator.faults import Faults, load_faults
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script import load_script
from simulator.wire import Wire
from tests.fakes.dips import DIPS

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
DEMO_SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
RECONNECT_AFTER = SECOND // 2


def instrument(symbol: str) -> Instrument:
    """Name a simulated instrument as the venue's list does."""
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue="binance", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote
    )


class RecordingClient:
    """The live side without sockets: every record goes to the feed, the flow and the file.

    As in a live flow, a book that the market finds crossed is fetched again by a `control` record,
    and bars of the past that it wishes for come as a `history` record when they are over.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        write: Callable[[Record], None],
        *,
        new_market: Callable[[], SymbolMarket],
        controls: list[bytes],
        past: Callable[[HistoryWish, int], History],
        max_age_s: int = 0,
        later: dict[int, bytes] | None = None,
    ) -> None:
        description = FeedDescription(
            venue="binance",
            instruments=tuple(map(instrument, symbols)),
            websocket_url="ws://simulated",
            rest_url="http://simulated",
            options={"max_age_s": max_age_s} if max_age_s else {},
        )
        self.outputs: list[tuple[str, MarketOutput]] = []
        self._feed = Feed("binance-0-0", VENUES["binance"], description)
        self._write = write
        self._new_market = new_market
        self._controls = controls
        self._later = dict(later or {})
        self._past = past
        self._wishes: dict[tuple[str, str], HistoryWish] = {}
        self._drain = Drain()
        self._markets: dict[str, SymbolMarket] = {}
        self._count = 0
        self._pending = ""
        self._connect_at = 0
        self._last = 0
        self._closes: list[str] = []

    def open_wishes(self, now: int) -> list[tuple[str, str]]:
        """Ask for a connection when there is none, or a second one when it is time."""
        for body in self._controls:
            self._put(Record(self._stamp(now), "", "control", body))
        self._controls = []
        if self._pending or now < self._connect_at:
            return []
        if self._feed.is_connected and not self._feed.wants_replacement:
            return []
        self._count += 1
        self._pending = f"{self._feed.name}.{self._count}"
        return [(self._pending, self._feed.url())]

    def opened(self, conn: str, now: int) -> None:
        """Tell the feed."""
        self._pending = ""
        self._put(
            Record(self._stamp(now), conn, "open", encode_description(self._feed.description))
        )

    def received(self, conn: str, data: bytes, now: int, *, is_binary: bool) -> None:
        """Tell the feed."""
        self._put(Record(self._stamp(now), conn, "binary" if is_binary else "text", data))
        self._close_what_must(now)

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        """Tell the feed."""
        self._put(Record(self._stamp(now), conn, "http", body, url, status))
        self._close_what_must(now)

    def closed(self, conn: str, reason: str, now: int) -> None:
        """Tell the feed; come back a little later."""
        self._connect_at = now + RECONNECT_AFTER
        if conn == self._pending:
            self._pending = ""
            return
        self._put(Record(self._stamp(now), conn, "close", reason.encode()))

    def heartbeat(self, now: int) -> None:
        """Tell the feed, and the flow what shall steer it; the past that is over comes behind."""
        for ts in [due for due in self._later if due <= now]:
            self._put(Record(self._stamp(now), "", "control", self._later.pop(ts)))
        self._put(Record(self._stamp(now), self._feed.name, "heartbeat"))
        self._close_what_must(now)
        due = [
            key
            for key, wish in self._wishes.items()
            if wish.until + wish.clock_offset + GRACE <= now
        ]
        for key in due:
            body = msgspec.json.encode(self._past(self._wishes.pop(key), now))
            self._put(Record(self._stamp(now), "", "history", body))

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        """Return what the feed wants sent."""
        out: list[tuple[str, bytes | str]] = []
        for conn, item in self._feed.outgoing():
            if isinstance(item, Request):
                out.append((conn, item.url))
            else:
                sent = item.message if isinstance(item, Login) else item
                self._put(Record(self._stamp(self._last), conn, "sent", sent))
                out.append((conn, sent))
        return out

    def close_wishes(self) -> list[str]:
        """Return the connections that the feed is done with."""
        closes, self._closes = self._closes, []
        return closes

    def _stamp(self, now: int) -> int:
        self._last = max(now, self._last + 1)
        return self._last

    def _close_what_must(self, now: int) -> None:
        for conn, error in self._feed.failures():
            self._closes.append(conn)
            self._connect_at = now + RECONNECT_AFTER
            self._put(Record(self._stamp(now), conn, "close", str(error).encode()))
        for conn in self._feed.superseded():
            self._closes.append(conn)
            self._put(Record(self._stamp(now), conn, "close", b"replaced"))

    def _put(self, record: Record) -> None:
        self._write(record)
        self._drain.add(record, self._feed.take(record) if record.conn else [])
        for symbol, events in self._drain.take():
            market = self._markets.get(symbol)
            if market is None:
                market = self._markets[symbol] = self._new_market()
            output = market.advance(events)
            self.outputs.append((symbol, output))
            for wish in output.wishes:
                of = wish.instrument, wish.interval
                self._wishes[of] = both(self._wishes.get(of, wish), wish)
            for name, reason in output.resyncs:
                body = encode_steering(Steering(resync=name, reason=reason))
                self._put(Record(self._stamp(record.ts), self._feed.name, "control", body))


def past_of(venue: BinanceDialect) -> Callable[[HistoryWish, int], History]:
    """Return what asks a simulated venue for its candles, as it would be asked live."""
    candles = VENUES["binance"].candles
    assert candles is not None

    def past(wish: HistoryWish, now: int) -> History:
        asked = instrument(symbol_of(wish.instrument))
        bars: list[Bar] = []
        if wish.interval in candles.intervals:  # of others the venue has nothing to tell
            url = candles.url("", asked, wish.interval, begin(wish), wish.until)
            bars = candles.read(venue.requested(url, now).body, asked, wish.interval)
        return History(
            instrument=wish.instrument,
            interval=wish.interval,
            bars=tuple(bar for bar in bars if bar.volume > 0 and bar.end <= wish.until),
            until=wish.until,
            tells_sides=candles.tells_sides,
            asked=wish.bars,
        )

    return past


class WireRun:
    """What came of a recording made in virtual time.

    Attributes:
        path: the recording.
        records: how many it has.
        outputs: what the market said while it was made, by symbol.
    """

    def __init__(self, path: Path, records: int, outputs: list[tuple[str, MarketOutput]]) -> None:
        self.path = path
        self.records = records
        self.outputs = outputs


def record_wire(
    path: Path,
    *,
    seconds: float,
    symbols: tuple[str, ...] = DEMO_SYMBOLS,
    specs: tuple[Spec, ...] = (),
    faults: str = "",
    script: str = DIPS,
    rate: float = 1.0,
    seed: int = 1,
    max_age_s: int = 0,
    market: MarketSettings | None = None,
    reloads: dict[int, SpecsChanged] | None = None,
) -> WireRun:
    """Let a simulated Binance and the shipped feed talk for `seconds` of virtual time.

    `reloads` are other specs, by the second from which on they are in force.
    """
    settings = market or MarketSettings()
    model = MarketModel(
        choose(list(symbols)), seed=seed, start=START, script=load_script(script), rate=rate
    )
    venue = BinanceDialect(model)
    writer = RecordingWriter(path)
    client = RecordingClient(
        symbols,
        writer.write,
        new_market=lambda: SymbolMarket(settings, wants_tops=True, wants_events=True),
        controls=[
            recorded_settings(settings),
            msgspec.json.encode(SpecsChanged(generation=1, specs=specs)),
        ],
        past=past_of(venue),
        max_age_s=max_age_s,
        later={
            START + second * SECOND: msgspec.json.encode(changed)
            for second, changed in (reloads or {}).items()
        },
    )
    Wire(
        model,
        venue,
        client,
        faults=Faults(load_faults(faults), start=START) if faults else None,
    ).run_for(int(seconds * SECOND))
    writer.close()
    return WireRun(path, writer.records, client.outputs)
