"""Everything that is known of one instrument: its book, its bars, their indicators, their truth.

Pure: events in, outputs out, no clock. What it says depends on the events alone, in their order.
It is long because each of these asks of the others what it may say.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from flows.bar_series import BarLength
from flows.book_values import BookFeatures, needs_depth
from flows.gap_intervals import GapIntervals
from flows.instrument_bars import Closed, InstrumentBars, InstrumentBarsState
from flows.market_output import MarketOutput
from flows.merged_series import MergedSeries
from flows.observer import BarObserver, BookObserver, why_cold
from flows.silence_rules import SilenceRules, rules_for, tell
from flows.spec_moments import MomentsState, SpecMoments
from flows.venue_bars import VenueBars
from indicators.book_imbalance import VolumeImbalance
from indicators.liquidity import LiquidityMap, RestingDepth
from indicators.names import every_output, parse
from market.book import Book
from market.book_updates import BookUpdates
from market.clock_offset import ClockOffset
from market.empty_bars import EmptyBars
from market.events import (
    Aggregate,
    Bar,
    BookDelta,
    BookSnapshot,
    BookTop,
    BookUpdate,
    Feature,
    FeedGap,
    GapInterval,
    Heartbeat,
    History,
    LeftOpen,
    Quote,
    Side,
    State,
    StateChange,
    Trade,
    Unsubscribed,
)
from market.kept_depth import KeptDepth
from market.quotes import as_book

_BUY, _UNKNOWN = Side.BUY, Side.UNKNOWN
CROSSED_MESSAGES = 2
"""A book crossed for this many messages in a row, or at a heartbeat, is fetched again."""


class InstrumentState(msgspec.Struct):
    """What an `InstrumentMarket` remembers over a restart."""

    offset: ClockOffset
    bars: InstrumentBarsState
    open_gaps: dict[str, list[GapInterval]]
    silence: SilenceRules
    last_recv: int
    last_book_recv: int
    had_data: bool
    is_interrupted: bool
    crossed: int
    state: State
    reason: str
    top: BookTop | None
    levels: tuple[dict[float, float], dict[float, float]] | None
    sequence: int
    waits_for_trade: bool = False
    exchange: str = ""
    venue_bars: dict[str, Bar] = {}
    liquidity: LiquidityMap | None = None
    moments: MomentsState | None = None


class InstrumentMarket:
    """One instrument at one venue.

    Args:
        instrument: id.
        lengths: of the bars to build.
        empty_bars: what is said of intervals without trades.
        depth: levels a side that are shown.
        stale_after: ns without a message of the venue after which the book is `stale`.
        wants_tops: keep the best levels after every book message.
        merged: takes the bars for those of all venues.
        kept_depth: what is stored of whole books.
    """

    # With so many attributes, slots are read much more quickly than a dict.
    __slots__ = (
        "_bar_observers",
        "_book_features",
        "_book_observer",
        "_depth",
        "_imbalance",
        "_keeps_changes",
        "_merged",
        "_moments",
        "_updates",
        "bars",
        "book",
        "crossed",
        "depth",
        "exchange",
        "gaps",
        "had_data",
        "instrument",
        "is_interrupted",
        "last_book_recv",
        "last_recv",
        "liquidity",
        "moments_state",
        "offset",
        "open_gaps",
        "reason",
        "silence",
        "stale_after",
        "state",
        "told_outside",
        "top",
        "venue_bars",
        "waits_for_trade",
        "wants_tops",
    )

    def __init__(
        self,
        instrument: str,
        lengths: Sequence[BarLength],
        *,
        empty_bars: EmptyBars = EmptyBars.NONE,
        depth: int,
        stale_after: int,
        wants_tops: bool,
        merged: MergedSeries | None = None,
        kept_depth: KeptDepth = KeptDepth(),  # noqa: B008 - frozen
    ) -> None:
        self.instrument = instrument
        self.depth = depth
        self.stale_after = stale_after
        self.wants_tops = wants_tops
        self.book = Book()
        self.state = State.RESYNCING
        self.reason = "connecting"
        self.offset = ClockOffset()
        self.top: BookTop | None = None
        self.bars = InstrumentBars(instrument, lengths, empty_bars=empty_bars)
        self.gaps = GapIntervals(instrument)
        self.open_gaps = self.gaps.open
        self.silence = rules_for(instrument)
        self.last_recv = 0
        self.last_book_recv = 0
        self.had_data = False
        self.is_interrupted = True
        self.crossed = 0
        self.told_outside = 0
        self.waits_for_trade = False  # trades broke off alone: no book shows where bars go on
        self.exchange = ""  # whose quotes are shown, where a venue passes on several exchanges'
        self.venue_bars = VenueBars()
        self._updates = None if kept_depth.is_off else BookUpdates(kept_depth)
        self._keeps_changes = kept_depth.changes
        self._merged = merged
        self._imbalance = VolumeImbalance(depth).measure
        self.liquidity: LiquidityMap | None = None  # where somebody looks at the whole book
        self._depth: RestingDepth | None = None
        self._bar_observers: dict[str, BarObserver] = {}
        self._book_features: dict[str, BookFeatures] = {}
        self._book_observer: BookObserver | None = None
        self._moments: SpecMoments | None = None
        self.moments_state = MomentsState()

    def want(
        self,
        features: Sequence[str],
        bars: Mapping[str, Iterable[str]],
        book: Iterable[str] | None,
        demanded: Mapping[str, Iterable[str]],
        moments: SpecMoments | None = None,
    ) -> None:
        """Compute from now on what is asked for, and nothing else.

        Args:
            features: indicators of every configured bar series, by canonical name.
            bars: fields that bar specs look at, by interval.
            book: fields that book specs look at; None when there is no such spec.
            demanded: indicators that clients look at, by interval.
            moments: makes what few specs ask for.
        """
        self._moments = moments
        self._bar_observers = {name: BarObserver(fields) for name, fields in bars.items()}
        self._book_observer = None if book is None else BookObserver(book)
        asked = {name: [*names] for name, names in demanded.items()}
        for name in self.bars.configured:
            asked[name] = [*features, *asked.get(name, ())]
        of_bars: dict[str, list[str]] = {}
        of_books: dict[str, list[str]] = {}
        for interval, names in asked.items():
            for each in dict.fromkeys(one for text in names for one in every_output(parse(text))):
                kept = of_bars if each.reads == "bar" else of_books
                kept.setdefault(interval, []).append(each.text)
            of_bars.setdefault(interval, [])
        for interval, observer in self._bar_observers.items():
            of_bars.setdefault(interval, []).extend(observer.indicators)
        self._book_features = {name: BookFeatures(names) for name, names in of_books.items()}
        looks = (
            *(each.needs_depth for each in self._bar_observers.values()),
            self._book_observer is not None and self._book_observer.needs_depth,
            *(needs_depth(name) for names in of_books.values() for name in names),
        )
        if not any(looks):
            self.liquidity = self._depth = None
        elif self.liquidity is None:
            self.liquidity = LiquidityMap()
        if self.bars.want(of_bars):
            self.is_interrupted = True  # the new builders begin with the next trade

    # -- events --------------------------------------------------------------------------------

    def traded(self, trade: Trade, out: MarketOutput) -> None:
        """Take a trade: it goes on as it is, and into the bars."""
        ts = trade.ts_event
        now = self.last_recv = trade.ts_recv
        self.waits_for_trade = False
        believable = self.offset.sample(ts, now)
        if believable and self.is_interrupted:
            self._resume(ts, out)
        if now > self.silence.next_trade_moment:
            self.silence.trade_spoke(now)
        if self.open_gaps and "trade" in self.open_gaps:
            self.gaps.end("trade", now, out)
        out.trades.append(trade)
        price, size, side = trade.price, trade.size, trade.side
        is_buy = None if side is _UNKNOWN else side is _BUY
        closed = self.bars.traded(ts, price, size, is_buy, believable)
        if closed:
            self._closed(closed, now, out)
        if self._moments is not None:
            self._moments.traded(
                trade, self.bars, self._true_top(), self._depth, believable=believable, out=out
            )

    def changed(self, delta: BookDelta, out: MarketOutput) -> None:
        """Take a book message; without a snapshot before it, it says nothing."""
        book = self.book
        self.offset.sample(delta.ts_event, delta.ts_recv)
        self.last_recv = delta.ts_recv
        if book.is_empty or not book.change(delta.bids, delta.asks, delta.sequence):
            return
        self._book_is(delta, out)

    def replaced(self, snapshot: BookSnapshot, out: MarketOutput) -> None:
        """Take a whole book."""
        self.last_recv = snapshot.ts_recv
        if self.book.apply(snapshot):
            self._book_is(snapshot, out)

    def quoted(self, quote: Quote, out: MarketOutput) -> None:
        """Take a quote: it is the whole book, one level a side.

        Where they come from several exchanges those of one are shown, so that two of them are
        never taken for one book: the first that spoke, until it is silent as long as makes a book
        stale. A crossed quote is not asked for again: the next one says all that there is.
        """
        now = quote.ts_recv
        self.offset.sample(quote.ts_event, now)
        if quote.exchange != self.exchange:
            if self.exchange and now - self.last_book_recv <= self.stale_after:
                return
            self.exchange = quote.exchange
        self.replaced(as_book(quote), out)
        self.crossed = 0

    def aggregated(self, aggregate: Aggregate, out: MarketOutput) -> None:
        """Take a bar that the venue made: it goes on where we make none of that interval."""
        self.last_recv = aggregate.ts_recv
        if aggregate.interval in self.bars.series:
            return
        bar = self.venue_bars.take(aggregate)
        if bar is not None:
            out.bars = [*out.bars, bar]

    def broke(self, gap: FeedGap, out: MarketOutput) -> None:
        """Forget what the gap makes untrue."""
        now = gap.ts_recv
        if gap.channel != "trade":
            self.silence.book_broke(gap.reason, now, out)
            self.book.clear()
            if self._updates is not None:
                self._updates.broke()
            self._lose_depth()
            self.last_book_recv = min(self.last_book_recv, now)  # a restart may set clocks back
            self.top = None
            self.crossed = 0
            self._turn(State.RESYNCING, gap.reason, now, out)
        if gap.channel != "book":
            tell(self.silence.trade.ends(now, is_broken=True), out)
            self._interrupt(waits_for_trade=gap.channel == "trade")
        if self.had_data:
            self.gaps.begin(gap.channel, gap.reason, self.last_recv or now, out)

    def remembered(self, history: History, out: MarketOutput) -> None:
        """Take bars of the past; what they heal is told again, and never fires."""
        healed, features = self.bars.absorb(history)
        self._closed(healed, self.last_recv, out, are_healed=True)
        out.features = [*out.features, *features]
        if self._merged is not None:
            self._merged.remember(history, out)

    def inherit(self, event: LeftOpen) -> None:
        """Close with the first data what an earlier run has left open."""
        self.gaps.inherit(event.gaps)

    def left(self, event: Unsubscribed, out: MarketOutput) -> None:
        """Say all there is to say before this is forgotten."""
        for channel in list(self.open_gaps):
            self.gaps.end(channel, event.ts_recv, out)
        if self._merged is not None:
            self._merged.left(self.instrument, event.ts_recv, out)
        out.forgotten = [*out.forgotten, self.instrument]

    def beat(self, heartbeat: Heartbeat, out: MarketOutput) -> None:
        """A second passed on a connection: take care of what it carries.

        Where trades and book come on connections of their own, only the first knows that no trade
        of a bar is still to come, and only the second that the book would have changed.
        """
        venue_time = self.offset.venue_time(heartbeat.ts_recv)
        if heartbeat.channel != "book":
            self._watch_trades(heartbeat, out)
            self._close_bars(heartbeat.ts_recv, venue_time, out)
            if self._moments is not None:
                flows = not self.is_interrupted
                self._moments.beat(venue_time, heartbeat.ts_recv, flows=flows, out=out)
            if self._merged is not None:
                offset = self.offset.value or 0
                self._merged.beat(heartbeat, venue_time, clock_offset=offset, out=out)
        if heartbeat.channel != "trade":
            self._watch_book(heartbeat, out)
            self._judge_book(heartbeat, venue_time, out)

    def _close_bars(self, now: int, venue_time: int | None, out: MarketOutput) -> None:
        if venue_time is not None:
            self._closed(self.bars.advance(venue_time), now, out)
        outside = self.bars.outside
        out.trades_outside += max(0, outside - self.told_outside)
        self.told_outside = outside

    def _judge_book(self, heartbeat: Heartbeat, venue_time: int | None, out: MarketOutput) -> None:
        """Notice silence, ask again for a book that stays crossed, keep the best levels."""
        now = heartbeat.ts_recv
        silence = now - max(self.last_book_recv, heartbeat.heard)
        if self.state is State.LIVE and silence > self.stale_after:
            self._turn(State.STALE, "no message", now, out)
        elif (
            self.state is State.STALE
            and silence <= self.stale_after
            and self.silence.book.silence is None
        ):
            self._turn(State.LIVE, "", now, out)
        elif self.state is State.SUSPECT and self.crossed:
            out.resyncs = [*out.resyncs, (self.instrument, self.reason)]
            self.crossed = 0
        if self.liquidity is not None and self.state is State.LIVE:
            self._depth = self.liquidity.sample(*self.book.levels(), now)
        else:
            self._lose_depth()
        if self.top is not None:
            if self._updates is not None and self.state is State.LIVE:
                self._keep(self._updates.beat(self.top, self.book, now), out)
            out.latest = [*out.latest, self.top]
            top = msgspec.structs.replace(
                self.top,
                ts_event=now if venue_time is None else venue_time,
                ts_recv=now,
                state=self.state,
            )
            out.kept_tops = [*out.kept_tops, top]
            if self._bar_observers or self._book_observer is not None:
                out.moments.append(top)

    def _lose_depth(self) -> None:
        """Look at no whole book that is not true."""
        self._depth = None
        if self.liquidity is not None:
            self.liquidity.interrupt()

    def _watch_book(self, heartbeat: Heartbeat, out: MarketOutput) -> None:
        """Call a book stale when it should have changed, and ask for it when that goes on."""
        now = heartbeat.ts_recv
        if self.state is State.RESYNCING:
            self.silence.book.pause()
            return
        silence = self.silence.look_at_book(heartbeat, out)
        if silence is None:
            return
        if self.state is State.LIVE:
            self.silence.book_is_stale(self.book.sequence)
            self._turn(State.STALE, silence.reason, now, out)
        if not self.silence.goes_on(heartbeat):
            return
        self.gaps.begin("book", silence.reason, silence.since, out)
        if self.silence.asks(now):
            out.resyncs = [*out.resyncs, (self.instrument, silence.reason)]

    def _watch_trades(self, heartbeat: Heartbeat, out: MarketOutput) -> None:
        """Do not trust bars while trades should come and do not."""
        channel = self.silence.trade
        if channel.silence is None and ("all" in self.open_gaps or "trade" in self.open_gaps):
            channel.pause()
            return
        silence = self.silence.look_at_trades(heartbeat, out)
        if silence is not None and "trade" not in self.open_gaps:
            self._interrupt(waits_for_trade=True)
            self.gaps.begin("trade", silence.reason, silence.since, out)

    def _interrupt(self, *, waits_for_trade: bool) -> None:
        self.is_interrupted = True
        self.waits_for_trade = waits_for_trade
        self.bars.interrupt()
        if self._merged is not None:
            now = self.last_recv
            self._merged.interrupt(self.instrument, self.offset.venue_time(now) or now)

    def snapshot(self, *, with_book: bool) -> InstrumentState:
        """Return a copy of the state; without the book the first gap finds nothing to empty."""
        return InstrumentState(
            offset=copy.copy(self.offset),
            bars=self.bars.snapshot(),
            open_gaps=self.gaps.snapshot(),
            last_recv=self.last_recv,
            last_book_recv=self.last_book_recv,
            had_data=self.had_data,
            is_interrupted=self.is_interrupted,
            liquidity=copy.deepcopy(self.liquidity),
            crossed=self.crossed,
            state=self.state if with_book else State.RESYNCING,
            reason=self.reason if with_book else "restarted",
            top=self.top if with_book else None,
            levels=self.book.levels() if with_book and not self.book.is_empty else None,
            sequence=self.book.sequence,
            waits_for_trade=self.waits_for_trade,
            exchange=self.exchange,
            venue_bars=dict(self.venue_bars.told),
            silence=copy.deepcopy(self.silence),
            moments=copy.copy(self.moments_state),
        )

    def restore(self, kept: InstrumentState) -> None:
        """Go on from a snapshot."""
        self.offset = kept.offset
        self.bars.restore(kept.bars)
        self.told_outside = self.bars.outside
        self.gaps.restore(kept.open_gaps)
        self.last_recv = kept.last_recv
        self.last_book_recv = kept.last_book_recv
        self.had_data = kept.had_data
        self.is_interrupted = kept.is_interrupted
        self.waits_for_trade = kept.waits_for_trade
        self.exchange = kept.exchange
        self.venue_bars.told = dict(kept.venue_bars)
        self.silence = kept.silence
        self.moments_state = kept.moments or MomentsState()
        self.liquidity = kept.liquidity
        self.crossed = kept.crossed
        self.state = kept.state
        self.reason = kept.reason
        self.top = kept.top
        if kept.levels is not None:
            bids, asks = kept.levels
            self.book.replace(list(bids.items()), list(asks.items()), sequence=kept.sequence)
            if self._updates is not None:
                self._updates.resume(kept.sequence)

    # -- inside --------------------------------------------------------------------------------

    def _book_is(self, event: BookSnapshot | BookDelta, out: MarketOutput) -> None:
        """Judge the book after a message and say what it shows."""
        bids, asks = self.book.top(self.depth)
        spread = asks[0][0] - bids[0][0] if bids and asks else None
        now = event.ts_recv
        if now < self.last_book_recv:  # noqa: PLR1730 - a call of `max` for every message
            now = self.last_book_recv  # it waited for its snapshot, or for its connection's turn
        self.last_book_recv = now
        if now > self.silence.next_book_moment:
            self.silence.book_spoke(now)
        if event.catching_up:
            pass  # the book was so once: no reason to call it live, or crossed
        elif spread is not None and spread <= 0:
            self._crossed(now, out)
        elif self.state is not State.LIVE:
            self._speaks(event, now, out)
        top = self.top = BookTop(
            instrument=self.instrument,
            ts_event=event.ts_event,
            ts_recv=now,
            bids=bids,
            asks=asks,
            spread=spread,
            imbalance=self._imbalance(bids, asks),
            sequence=event.sequence,
            state=self.state,
        )
        if self.wants_tops:
            out.tops.append(top)
        if self._keeps_changes and self._updates is not None:
            self._keep(self._updates.message(event, now), out)
        if self._book_observer is not None and not event.catching_up:
            out.moments.append(top)
            out.moments.append(self._book_observer.observe(top, self._depth, self.reason))
        if self._moments is not None and not event.catching_up:
            self._moments.changed(top, self.reason, out)

    def _keep(self, update: BookUpdate | None, out: MarketOutput) -> None:
        if update is None:
            return
        if isinstance(out.book_updates, list):
            out.book_updates.append(update)
        else:
            out.book_updates = [update]

    def _crossed(self, now: int, out: MarketOutput) -> None:
        self.crossed += 1
        if self.state is not State.SUSPECT:
            self._turn(State.SUSPECT, "crossed book", now, out)
        if self.crossed == CROSSED_MESSAGES:
            out.resyncs = [*out.resyncs, (self.instrument, self.reason)]

    def _speaks(self, event: BookSnapshot | BookDelta, now: int, out: MarketOutput) -> None:
        """Take a book that was not live for live, unless it only answers what we asked."""
        if self.state is State.SUSPECT and type(event) is BookDelta:
            # Prices that moved on may hide the level that should not be there: only a whole book
            # ends the doubt.
            if self.crossed:
                self.crossed = 0
                out.resyncs = [*out.resyncs, (self.instrument, self.reason)]
            return
        if type(event) is BookSnapshot:
            lasting = self.silence.only_answers(event.sequence)
            if lasting is not None:
                self._turn(State.STALE, lasting.reason, now, out)
                return
        tell(self.silence.book.ends(now), out)
        self._live(event, now, out)

    def _live(self, event: BookSnapshot | BookDelta, now: int, out: MarketOutput) -> None:
        self.crossed = 0
        self.had_data = True
        self._turn(State.LIVE, "", now, out)
        if (
            self.is_interrupted
            and not self.waits_for_trade
            and not self.offset.is_future(event.ts_event, event.ts_recv)
        ):
            self._resume(event.ts_event, out)
        for channel in ("all", "book"):
            self.gaps.end(channel, now, out)

    def _turn(self, state: State, reason: str, now: int, out: MarketOutput) -> None:
        if state is self.state and reason == self.reason:
            return
        self.state = state
        self.reason = reason
        change = StateChange(instrument=self.instrument, ts_recv=now, state=state, reason=reason)
        out.states = [*out.states, change]
        out.moments.append(change)

    def _resume(self, ts: int, out: MarketOutput) -> None:
        self.is_interrupted = False
        self.bars.resume(ts)
        if self._merged is not None:
            self._merged.resume(self.instrument, ts, out)
        self.wish(out)

    def _closed(
        self, closed: Iterable[Closed], now: int, out: MarketOutput, *, are_healed: bool = False
    ) -> None:
        """Tell bars that closed or were corrected, and what follows from them."""
        until = 0
        for each in closed:
            bar, features = each.bar, each.features
            out.bars = [*out.bars, bar]
            if self._merged is not None:
                offset = self.offset.value or 0
                self._merged.take(
                    bar, each.times, clock_offset=offset, now=now, out=out, is_healed=are_healed
                )
            observer = self._bar_observers.get(bar.interval)
            if features:
                out.features = [*out.features, *features]
            if bar.interval in self._book_features and not bar.revision:
                out.features = [*out.features, *self._of_book(bar)]
            if observer is None or bar.revision:
                continue  # a correction never fires
            top = self._true_top()
            if top is not None:
                out.moments.append(top)
            said = {feature.name: feature.value for feature in features}
            cold = why_cold(features) if None in said.values() else ""
            observation = observer.observe(bar, said, top, self._depth, ts_recv=now, cold=cold)
            out.moments.append(observation)
            until = max(until, bar.end)
            if self._moments is not None:
                self._moments.told(observation, out)
        if self._moments is not None and until:
            self._moments.passed(until, now, flows=not self.is_interrupted, out=out)
        self.wish(out)

    def _true_top(self) -> BookTop | None:
        """Return the best levels, with the state that the book is in by now."""
        top = self.top
        if top is not None and top.state is not self.state:
            return msgspec.structs.replace(top, state=self.state)
        return top

    def _of_book(self, bar: Bar) -> list[Feature]:
        """Tell what indicators of the book say at a bar's close."""
        return self._book_features[bar.interval].features(
            bar,
            self.top,
            self._depth,
            state=self.state,
            live_ns=0 if self.liquidity is None else self.liquidity.live,
        )

    def wish(self, out: MarketOutput) -> None:
        """Ask for the bars of the past that the series wish for."""
        if self.bars.wishes:
            offset = self.offset.value or 0
            wishes, self.bars.wishes = self.bars.wishes, []
            out.wishes = [
                *out.wishes,
                *(msgspec.structs.replace(wish, clock_offset=offset) for wish in wishes),
            ]
