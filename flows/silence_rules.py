"""When an instrument's channels are silent, and what follows: a book that is no longer true, a gap.

Whether a channel should have spoken `market.silence` decides; when its connection as a whole is
silent another rule applies, which closes it. Here is what an instrument does about it.
"""

import msgspec

from flows.market_output import MarketOutput
from flows.watched_channel import GOES_ON, WatchedChannel
from market.events import Heartbeat, Silence
from market.silence import SAME_MOMENT

ASK_AFTER = 10_000_000_000
"""A book silent for so long (ns) is fetched again: a shorter time may have been a pause."""
ASK_AGAIN_AFTER = 60_000_000_000
"""And again after so long, for as long as it is silent."""


class SilenceRules(msgspec.Struct):
    """The two channels of one instrument.

    Attributes:
        trade: its trades.
        book: its book.
        trade_moments: how many moments trades have come in so far.
        next_trade_moment: until then (our clock, ns) a trade belongs to the last of them.
        book_moments: the same of the book.
        next_book_moment: likewise.
        sequence: the book's, when it fell silent.
        asked_at: when the silent book was asked for, ns; 0 for not yet.
        awaits_answer: it was asked for, and what comes first is not the channel that speaks.
    """

    trade: WatchedChannel
    book: WatchedChannel
    trade_moments: int = 0
    next_trade_moment: int = 0
    book_moments: int = 0
    next_book_moment: int = 0
    sequence: int = 0
    asked_at: int = 0
    awaits_answer: bool = False

    def trade_spoke(self, now: int) -> None:
        """Take the first trade after `next_trade_moment`."""
        self.next_trade_moment = now + SAME_MOMENT
        self.trade_moments += 1

    def book_spoke(self, now: int) -> None:
        """Take the first book message after `next_book_moment`."""
        self.next_book_moment = now + SAME_MOMENT
        self.book_moments += 1

    def look_at_trades(self, heartbeat: Heartbeat, out: MarketOutput) -> Silence | None:
        """A second has passed: return the silence of trades, once their connection goes on."""
        now = heartbeat.ts_recv
        tell(self.trade.look(now, self.trade_moments, self.next_trade_moment), out)
        return _lasting(self.trade, heartbeat)

    def look_at_book(self, heartbeat: Heartbeat, out: MarketOutput) -> Silence | None:
        """A second has passed: return the silence of the book, if there is one."""
        now = heartbeat.ts_recv
        tell(self.book.look(now, self.book_moments, self.next_book_moment), out)
        return self.book.silence

    def book_is_stale(self, sequence: int) -> None:
        """The book has just been found silent, at this sequence number."""
        self.sequence = sequence
        self.asked_at = 0
        self.awaits_answer = False

    def goes_on(self, heartbeat: Heartbeat) -> bool:
        """Whether the connection of the silent book goes on without it."""
        return _lasting(self.book, heartbeat) is not None

    def asks(self, now: int) -> bool:
        """Whether the silent book is to be fetched (again) now."""
        silence = self.book.silence
        if silence is None:
            return False
        due = self.asked_at + ASK_AGAIN_AFTER if self.asked_at else silence.since + ASK_AFTER
        if now < due:
            return False
        self.asked_at = now
        return True

    def book_broke(self, reason: str, now: int, out: MarketOutput) -> None:
        """The book is lost: by a gap, or because we asked for it when it was silent."""
        silence = self.book.silence
        if silence is not None and reason == silence.reason:
            self.awaits_answer = True  # we asked for it, and it is not the channel that spoke
        else:
            tell(self.book.ends(now, is_broken=True), out)
        self.book.pause()

    def only_answers(self, sequence: int) -> Silence | None:
        """Take a whole book while it is silent: return the silence that lasts nevertheless.

        What we asked for says how the book is now; that its channel speaks again it says only where
        nothing has changed since.
        """
        silence = self.book.silence
        if silence is None or not self.awaits_answer:
            return None
        self.awaits_answer = False
        if sequence and sequence == self.sequence:
            return None
        # It was so a moment ago, and the channel that must tell what follows is silent.
        self.book.pause()
        return silence


def rules_for(instrument: str) -> SilenceRules:
    """Return the rules of an instrument of which nothing has been heard."""
    return SilenceRules(WatchedChannel(instrument, "trade"), WatchedChannel(instrument, "book"))


def tell(silence: Silence | None, out: MarketOutput) -> None:
    """Tell a silence that began or ended, where there is one."""
    if silence is not None:
        out.silences = [*out.silences, silence]


def _lasting(channel: WatchedChannel, heartbeat: Heartbeat) -> Silence | None:
    silence = channel.silence
    if silence is None or heartbeat.heard - silence.since < GOES_ON:
        return None
    return silence
