"""A market that is made, not observed: true books, and trades that take from them.

Every instrument has a base price, moved by the script, and a noise around it that always comes
back. Makers keep the book near that price; takers print trades from its best levels. All times
are virtual and all chance comes from the seed, one generator an instrument: the same seed and
start give the same changes, however the time is cut into steps. Walls of the script stand in the
true book as well, see `simulator.walls`.
"""

import math
from collections.abc import Sequence
from operator import attrgetter
from random import Random

from market.intervals import SECOND, Interval
from simulator.candle import Candle
from simulator.candles import CandleBook
from simulator.listings import Listing
from simulator.script import Move, Script, Wall
from simulator.trades import IDS_PER_NS as TRADE_IDS_PER_NS
from simulator.trades import TradeLog
from simulator.true_book import BookCopy, Change, Ladder, LevelChange, Print, TrueBook
from simulator.walls import NEVER, Walls

LEVELS = 230
"""Levels a side that the makers aim at."""
FEWEST_LEVELS = 200
MOST_LEVELS = 260
LADDER_DEPTH = 0.004
"""Mean distance of a level from the best one, as a share of the price."""
LEAST_LADDER_TICKS = 150.0
SPREAD = 0.00001
"""Best ask less best bid when the makers are done, as a share of the price; at least a tick."""

NOISE = 0.00004
"""Standard deviation of the noise, as a share of the price; at least `LEAST_NOISE_TICKS`."""
LEAST_NOISE_TICKS = 2.0
NOISE_MEMORY = SECOND * 4 // 10
"""Time in which the noise forgets; far below a second, so that one-second closes do not trend."""
NOISE_STEP = SECOND // 4
LEVELS_A_TRADE = 3
LEAST_LEVELS = 3

BEYOND_WALL = 0.0005
"""How far the price goes beyond a wall that is traded through, as a share of it."""
LEAST_TICKS_BEYOND = 8
BEYOND_FOR = 10 * SECOND
BACK_IN = 10 * SECOND
"""How long it stays beyond, and then takes to come back."""

UPDATE_IDS_PER_NS = 10_000
"""Ids start at the start time over this: a later run begins above all ids of an earlier one."""


class _Instrument:
    """One instrument's book, its makers and its takers."""

    def __init__(
        self,
        listing: Listing,
        *,
        seed: int,
        start: int,
        script: Script,
        rate: float,
        past_until: int,
    ) -> None:
        self.listing = listing
        self.symbol = listing.symbol
        self.random = Random(f"{seed}:{listing.symbol}")
        self.book = TrueBook(listing, start // UPDATE_IDS_PER_NS)
        self.trade_id = start // TRADE_IDS_PER_NS
        self.candles = CandleBook(listing, seed=seed, start=start, rate=rate, fades=past_until)
        self.trades = TradeLog(listing.symbol, self.candles)
        self._start = start
        self._moves = script.of(listing.symbol)
        self.walls = Walls(script.walls_of(listing.symbol), start)
        self._passages: list[Move] = []  # of the price through walls
        self._skipped_to = start
        self._ladder_ticks = max(LEAST_LADDER_TICKS, LADDER_DEPTH * listing.price)
        self._spread = max(1, round(SPREAD * listing.price))
        self._noise = 0.0
        self._noise_until = start
        steps = NOISE_STEP / NOISE_MEMORY
        self._noise_kept = math.exp(-steps)
        noise = max(LEAST_NOISE_TICKS, NOISE * listing.price)
        self._noise_new = noise * math.sqrt(1 - math.exp(-2 * steps))
        self._change_gap = _gap(listing.changes_per_s * rate)
        self._trade_gap = _gap(listing.trades_per_s * rate)
        self._out: list[Change] = []
        self._ts = start
        self._fill()
        self.next_change = start + self._wait(self._change_gap)
        self.next_trade = start + self._wait(self._trade_gap)

    def advance(self, until: int) -> list[Change]:
        """Return what happens up to and including `until`."""
        out: list[Change] = []
        self._out = out
        walls = self.walls
        while True:
            change, trade = self.next_change, self.next_trade
            ts = min(trade, change)
            if walls.next <= ts:
                wall = max(walls.next, self._skipped_to)
                if wall <= until:
                    self._ts = wall
                    self._follow_walls()
                    continue
            if ts > until:
                return out
            self._ts = ts
            self._follow_price()
            if trade <= change:
                self._take()
                self.next_trade = ts + self._wait(self._trade_gap)
            else:
                self._make()
                self.next_change = ts + self._wait(self._change_gap)

    def skip(self, until: int) -> None:
        """Let the time up to `until` pass with nothing happening in it."""
        self._skipped_to = max(self._skipped_to, until)
        self.next_change = max(self.next_change, until)
        self.next_trade = max(self.next_trade, until)

    def _wait(self, gap: int) -> int:
        return int(gap * (0.2 + 1.6 * self.random.random())) + 1 if gap else NEVER

    def _fill(self) -> None:
        """Make the first book; nobody is told of it."""
        bid = self.listing.price - self._spread // 2
        for ladder, best, outwards in (
            (self.book.bids, bid, -1),
            (self.book.asks, bid + self._spread, 1),
        ):
            ladder.put(best, self._level_size())
            tries = 0
            while len(ladder) < LEVELS and tries < LEVELS * 10:
                tries += 1
                price = best + outwards * self._distance()
                if price > 0:
                    ladder.put(price, self._level_size())

    def _distance(self) -> int:
        return 1 + int(self.random.expovariate(1 / self._ladder_ticks))

    def _level_size(self) -> int:
        return 1 + int(self.random.expovariate(1 / self.listing.level_size))

    def _change(self, is_bid: bool, price: int, size: int) -> None:
        book = self.book
        (book.bids if is_bid else book.asks).put(price, size)
        if not size and (walls := self.walls.side(is_bid)):
            walls.discard(price)
        book.update_id += 1
        self._out.append(LevelChange(self.symbol, self._ts, book.update_id, is_bid, price, size))

    def _price(self) -> float:
        """Return the price that the makers see now, in ticks."""
        ts = self._ts
        while ts >= self._noise_until:
            self._noise = self._noise * self._noise_kept + self.random.gauss(0, self._noise_new)
            self._noise_until += NOISE_STEP
            if ts - self._noise_until > 10 * NOISE_MEMORY:
                # After a long silence what the noise was is forgotten anyway.
                self._noise_until = ts - ts % NOISE_STEP
        return self._scripted_price() + self._noise

    def _scripted_price(self) -> float:
        price = float(self.listing.price)
        elapsed = self._ts - self._start
        for move in self._moves:
            price += self.listing.price * move.offset(elapsed)
        if self._passages:
            price += self.listing.price * sum(move.offset(elapsed) for move in self._passages)
        return price

    def _stop_at_walls(self, highest_bid: int) -> tuple[int, int]:
        """Return the highest bid and the lowest ask that pass no wall."""
        walls = self.walls
        highest_bid = max(highest_bid, *walls.bids) if walls.bids else highest_bid
        lowest_ask = highest_bid + self._spread
        if walls.asks and min(walls.asks) < lowest_ask:
            lowest_ask = min(walls.asks)
            highest_bid = max(1, lowest_ask - self._spread, *walls.bids)
        return highest_bid, lowest_ask

    def _follow_price(self) -> None:
        """Take away levels that the price has passed, and put new ones where it left a hole."""
        highest_bid = max(1, int(self._price() - self._spread / 2))
        lowest_ask = highest_bid + self._spread
        if self.walls.bids or self.walls.asks:
            highest_bid, lowest_ask = self._stop_at_walls(highest_bid)
        bids, asks = self.book.bids, self.book.asks
        # A side is never empty: when all of it must go, its new best comes before the old go.
        if bids.prices[0] > highest_bid:
            self._change(True, highest_bid, self._level_size())
        if asks.prices[-1] < lowest_ask:
            self._change(False, lowest_ask, self._level_size())
        while bids.prices[-1] > highest_bid:
            self._change(True, bids.prices[-1], 0)
        while asks.prices[0] < lowest_ask:
            self._change(False, asks.prices[0], 0)
        if bids.prices[-1] <= highest_bid - self._spread:
            inside = self.random.randint(0, self._spread - 1)
            self._change(True, highest_bid - inside, self._level_size())
        if asks.prices[0] >= lowest_ask + self._spread:
            inside = self.random.randint(0, self._spread - 1)
            self._change(False, lowest_ask + inside, self._level_size())

    def _make(self) -> None:
        """Change one level, or a few where many are missing."""
        draw = self.random.random()
        is_bid = draw < 0.5
        draw = draw * 2 % 1
        ladder = self.book.bids if is_bid else self.book.asks
        count = len(ladder)
        if count < LEVELS:
            for _ in range(1 if count >= FEWEST_LEVELS else 3):
                self._add(is_bid, ladder)
        elif count > MOST_LEVELS:
            price = ladder.prices[0 if is_bid else -1]
            if price not in self.walls.side(is_bid):
                self._change(is_bid, price, 0)
        elif draw < 0.25:
            self._add(is_bid, ladder)
        else:
            # The fifth power: most changes are near the best price, as in real books.
            rank = int(count * self.random.random() ** 5)
            price = ladder.prices[count - 1 - rank if is_bid else rank]
            size = 0 if draw < 0.5 else self._level_size()
            if size != ladder.sizes[price] and price not in self.walls.side(is_bid):
                self._change(is_bid, price, size)

    def _add(self, is_bid: bool, ladder: Ladder) -> None:
        if is_bid:
            price = ladder.prices[-1] - self._distance()
        else:
            price = ladder.prices[0] + self._distance()
        size = self._level_size()
        if price <= 0 or price in self.walls.side(is_bid):
            return
        if ladder.sizes.get(price) != size:
            self._change(is_bid, price, size)

    def _take(self) -> None:
        """Print a trade from the best levels of one side, and take its size from them."""
        random = self.random
        buyer_took = random.random() < 0.5
        ladder = self.book.asks if buyer_took else self.book.bids
        wanted = 1 + int(random.expovariate(1 / self.listing.trade_size))
        for _ in range(LEVELS_A_TRADE):
            if not wanted or len(ladder) <= LEAST_LEVELS:
                return
            price = ladder.prices[0 if buyer_took else -1]
            there = ladder.sizes[price]
            size = min(wanted, there)
            wanted -= size
            self._hit(buyer_took, price, size, there - size)

    def _hit(self, buyer_took: bool, price: int, size: int, left: int) -> None:
        """Print a trade, and leave the level what is left of it."""
        self.trade_id += 1
        trade = Print(self.symbol, self._ts, self.trade_id, price, size, buyer_took)
        self._out.append(trade)
        self.trades.add(trade)
        self.candles.add(self._ts, price, size, buyer_took=buyer_took)
        self._change(not buyer_took, price, left)

    def _follow_walls(self) -> None:
        """Build the next wall, or let it end."""
        event, wall = self.walls.pop()
        if not event.is_end:
            price = self._wall_price(wall)
            self.walls.build(event, price)
            self._change(wall.is_bid, price, max(1, round(wall.size * self.listing.level_size)))
            return
        if event.price not in self.walls.side(wall.is_bid):
            return  # takers have eaten it
        ladder = self.book.bids if wall.is_bid else self.book.asks
        if event.price == ladder.prices[0 if wall.is_bid else -1]:  # the last of its side
            behind = event.price + (-self._spread if wall.is_bid else self._spread)
            if behind < 1:
                self.walls.side(wall.is_bid).discard(event.price)
                return
            self._change(wall.is_bid, behind, self.listing.level_size)
        if wall.is_traded:
            self._trade_through(wall.is_bid, event.price)
        else:
            self._change(wall.is_bid, event.price, 0)

    def _wall_price(self, wall: Wall) -> int:
        """Return where a wall is built: never beyond the best level of its side."""
        best = self.book.bids.prices[-1] if wall.is_bid else self.book.asks.prices[0]
        if not wall.bps:
            return best
        price = self._scripted_price()
        away = price * wall.bps / 10_000
        if wall.is_bid:
            return max(1, min(round(price - away), best))
        return max(round(price + away), best)

    def _trade_through(self, is_bid: bool, wall: int) -> None:
        """Let one order take a wall and all that is before it, and the price go beyond."""
        ladder = self.book.bids if is_bid else self.book.asks
        best = -1 if is_bid else 0
        while wall in ladder.sizes:
            price = ladder.prices[best]
            self._hit(not is_bid, price, ladder.sizes[price], 0)
        beyond = max(LEAST_TICKS_BEYOND, BEYOND_WALL * self.listing.price)
        target = wall - beyond if is_bid else wall + beyond
        elapsed = self._ts - self._start
        self._passages = [move for move in self._passages if elapsed < move.at + move.length]
        self._passages.append(
            Move(
                symbol=self.symbol,
                at=elapsed,
                change=(target - self._scripted_price()) / self.listing.price,
                fall=0,
                hold=BEYOND_FOR,
                recover=BACK_IN,
            )
        )


def _gap(rate: float) -> int:
    return round(SECOND / rate) if rate > 0 else 0


_by_time = attrgetter("ts")


class MarketModel:
    """A simulated market in virtual time.

    Args:
        listings: what is traded.
        seed: what all chance comes from.
        start: ns UTC at which the market opens and the script begins; ids begin above it too.
        script: price moves and walls.
        rate: multiplies the trades and book changes per second of every listing.
        past_until: ns UTC at which the candles of the past come to rest; `start` when not given.
            Two markets that have it in common have the past before it in common.

    State: the true books. Price, in the long run, is each listing's own; nothing drifts.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        *,
        seed: int,
        start: int,
        script: Script | None = None,
        rate: float = 1.0,
        past_until: int | None = None,
    ) -> None:
        self.now = start
        self.listings = tuple(listings)
        self._instruments = {
            listing.symbol: _Instrument(
                listing,
                seed=seed,
                start=start,
                script=script or Script(),
                rate=rate,
                past_until=start if past_until is None else past_until,
            )
            for listing in self.listings
        }

    def advance(self, until: int) -> list[Change]:
        """Let time pass and return what happened, in order of time.

        A trade comes before the level changes that it makes, at the same time. `until` is ns UTC;
        what happens at `until` itself is included; an earlier time than before gives nothing.
        """
        self.now = max(self.now, until)
        changes: list[Change] = []
        for instrument in self._instruments.values():
            # In short steps most have nothing to do most of the time.
            if (
                instrument.next_change <= until
                or instrument.next_trade <= until
                or instrument.walls.next <= until
            ):
                changes += instrument.advance(until)
        changes.sort(key=_by_time)  # stable: an instrument's own order is kept
        return changes

    def skip(self, until: int) -> None:
        """Let time pass with nothing happening, when a machine cannot keep up with the rate."""
        self.now = max(self.now, until)
        for instrument in self._instruments.values():
            instrument.skip(until)

    def postpone(self, opens: int) -> None:
        """Let the past go on until `opens`, ns UTC, in a market that has not moved yet."""
        for instrument in self._instruments.values():
            instrument.candles.postpone(opens)
            instrument.trade_id = max(instrument.trade_id, opens // TRADE_IDS_PER_NS)

    def true_book(self, symbol: str) -> TrueBook:
        """Return the book itself; do not change it. KeyError for an unknown symbol."""
        return self._instruments[symbol].book

    def book(self, symbol: str) -> BookCopy:
        """Return all levels of the true book. KeyError for an unknown symbol."""
        return self._instruments[symbol].book.copy()

    def last_trade_id(self, symbol: str) -> int:
        """Return the id of the symbol's last trade, or of the one before its first."""
        return self._instruments[symbol].trade_id

    def candles(
        self, symbol: str, interval: str, first: int, last: int, now: int, *, is_flat: bool = False
    ) -> list[Candle]:
        """Return the candles that start in `[first, last)`, ns UTC; see `CandleBook.candles`.

        KeyError for an unknown symbol.
        """
        book = self._instruments[symbol].candles
        return book.candles(Interval.parse(interval), first, last, now, is_flat=is_flat)

    def trades(self, symbol: str) -> TradeLog:
        """Return what has traded; do not change it. KeyError for an unknown symbol."""
        return self._instruments[symbol].trades
