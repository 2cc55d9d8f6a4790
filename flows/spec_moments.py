"""Moments that only some specs ask for: trades, quotes, forming bars, and copies for other symbols.

One is made for an instrument while some spec asks for any of them, so that they cost nothing else.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from filters.alerts import Copied, Observation, Passed
from filters.fields import TRADE_FIELDS
from filters.needs import Needs
from flows.instrument_bars import InstrumentBars
from flows.market_output import MarketOutput
from flows.observer import BarObserver, BookObserver
from indicators.contract import Depth
from market.bars import GRACE
from market.events import Bar, BookTop, Level, State, Trade

LOOK_AFTER = 250_000_000
"""A bar that has not closed is looked at again after so long (ns of our clock), not sooner."""


class MomentsState(msgspec.Struct):
    """What is remembered over a restart, and when specs change.

    Attributes:
        best: best levels and the state of the last quote that was told.
        next_look: our time from which on a forming bar is looked at again, ns.
    """

    best: tuple[list[Level], list[Level], State] | None = None
    next_look: int = 0


class SpecMoments:
    """What specs ask of one instrument besides its closed bars and its book.

    Args:
        instrument: id.
        needs: what they ask for.
        state: goes on from there, and changes.
    """

    def __init__(self, instrument: str, needs: Needs, state: MomentsState) -> None:
        self._instrument = instrument
        self._trade = [(name, TRADE_FIELDS[name].read) for name in needs.trade]
        self._quote = BookObserver(needs.quote, stream="quote") if needs.quote else None
        self._forming = {name: BarObserver(fields) for name, fields in needs.forming.items()}
        self._asking = needs.asking
        self._passes = needs.passes
        self._state = state

    @classmethod
    def of(cls, instrument: str, needs: Needs, state: MomentsState) -> "SpecMoments | None":
        """Return what makes these moments, or None where nobody asks for one."""
        asked = needs.trade or needs.quote or needs.forming or needs.passes
        return cls(instrument, needs, state) if asked else None

    def traded(
        self,
        trade: Trade,
        bars: InstrumentBars,
        top: BookTop | None,
        depth: Depth | None,
        *,
        believable: bool,
        out: MarketOutput,
    ) -> None:
        """Take a trade that is in the bars already."""
        if self._trade:
            out.moments.append(self._of_trade(trade, believable=believable))
        if self._forming and trade.ts_recv >= self._state.next_look:
            self._state.next_look = trade.ts_recv + LOOK_AFTER
            for name, observer in self._forming.items():
                bar = bars.forming(name)
                if bar is not None:
                    values = bars.series[name].provisional(bar, observer.indicators)
                    out.moments.append(_of_forming(observer, bar, values, top, depth, trade=trade))

    def changed(self, top: BookTop, reason: str, out: MarketOutput) -> None:
        """Take a book after a message; only its best prices count."""
        if self._quote is None:
            return
        best = (top.bids[:1], top.asks[:1], top.state)
        if best != self._state.best:
            self._state.best = best
            out.moments.append(self._quote.observe(top, None, reason))

    def told(self, observation: Observation, out: MarketOutput) -> None:
        """Take a closed bar as specs see it: those of other symbols get a copy."""
        copies = [
            (asker, Copied(observation))
            for asker, intervals in self._asking.items()
            if observation.interval in intervals
        ]
        if copies:
            out.copies = [*out.copies, *copies]

    def passed(self, until: int, now: int, *, flows: bool, out: MarketOutput) -> None:
        """Say that every bar that ends by `until` has been told.

        Args:
            until: the venue's time, ns.
            now: ours, ns.
            flows: trades are not known to be missing.
            out: where it is told.
        """
        if not self._passes:
            return
        state = State.LIVE if flows else State.SUSPECT
        passed = Passed(series=self._instrument, until=until, ts_recv=now, state=state)
        out.moments.append(passed)
        out.copies = [*out.copies, *((asker, Copied(passed)) for asker in self._asking)]

    def beat(self, venue_time: int | None, now: int, *, flows: bool, out: MarketOutput) -> None:
        """A second has passed; bars that ended before the grace are closed."""
        until = (now if venue_time is None else venue_time) - GRACE
        self.passed(until, now, flows=flows and venue_time is not None, out=out)

    def _of_trade(self, trade: Trade, *, believable: bool) -> Observation:
        return Observation(
            series=self._instrument,
            stream="trade",
            interval="",
            ts_event=trade.ts_event,
            ts_recv=trade.ts_recv,
            moment=_number_of(trade.trade_id) if trade.trade_id else trade.ts_event,
            revision=0,
            values={name: read(trade) for name, read in self._trade},
            state=State.LIVE if believable else State.SUSPECT,
            reason="" if believable else "its time is not to be believed",
        )


def _number_of(trade_id: str) -> int:
    """Return a number for an id: itself where it is one."""
    if trade_id.isascii() and trade_id.isdigit() and len(trade_id) < 20:
        return int(trade_id)
    return int.from_bytes(hashlib.blake2b(trade_id.encode(), digest_size=7).digest())


def _of_forming(
    observer: BarObserver,
    bar: Bar,
    values: Mapping[str, float | None],
    top: BookTop | None,
    depth: Depth | None,
    *,
    trade: Trade,
) -> Observation:
    observation = observer.observe(bar, values, top, depth, ts_recv=trade.ts_recv)
    return msgspec.structs.replace(
        observation, stream="forming", ts_event=trade.ts_event, moment=trade.ts_recv
    )
