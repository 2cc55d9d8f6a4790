"""The market before it opened: calm, seeded, and the same whichever part of it is asked for.

A minute is made of five bundles of trades, each at one price; everything of the minute follows from
them, and so do its seconds: the bundles are shared out over them. So a larger candle is exactly
what its smaller ones make up, in whole ticks and steps, and any minute can be had without those
before it. All chance is a hash of (seed, symbol, minute, purpose).

The price wanders around the listing's own by waves of many lengths, each as high as a random walk
would go in that time. Towards the opening every wave fades within its own length, so that the past
ends where the market begins; what is left is the noise that the market itself has.
"""

import hashlib
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from market.intervals import SECOND
from simulator.candle import Candle
from simulator.listings import Listing

MINUTE = 60 * SECOND
DAYS = 400
"""The market's past begins so long before its opening, as if it had been listed then."""
MINUTES_AT_ONCE = 1 << 15
HALF = SECOND // 2

WAVE = 0.00006
"""Height of a wave of one minute, as a share of the price; it grows with the root of its length."""
WAVES = tuple(4**power for power in range(1, 9))
"""Lengths in minutes: four minutes to 45 days."""
NOISE = 0.00004
LEAST_NOISE_TICKS = 2.0
"""As in the market itself."""

BUNDLES = 5
SHORTEST = 4
"""In a second the price goes from one bundle to the next; after four seconds it begins again."""
_FIRST, _LAST = 0, BUNDLES - 1
_SLOTS: tuple[tuple[int, ...], ...] = tuple(
    tuple(
        second * 2 + half
        for second in range(60)
        for half in (0, 1)
        if second % SHORTEST + half == bundle
    )
    for bundle in range(BUNDLES)
)
"""Which half seconds of a minute each bundle's trades may fall into, in order."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LANE = np.uint64(0xD1342543DE82EF95)
_NOISE, _AMOUNT, _ACTIVITY, _SPLIT, _KNOT = range(5)
_LANES = np.array([0, 16, 32, 48], dtype=np.uint64)

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


class PastTrade(msgspec.Struct, frozen=True, gc=False):
    """One trade: ns UTC, ticks, steps, and who took."""

    ts: int
    price: int
    size: int
    buyer_took: bool


class _Bundles:
    """The trades of some minutes, a row a minute and a column a bundle, in order of time."""

    __slots__ = ("bought", "counts", "minutes", "prices", "volumes")

    def __init__(
        self, minutes: _Ints, prices: _Ints, counts: _Ints, volumes: _Ints, bought: _Ints
    ) -> None:
        self.minutes = minutes
        self.prices = prices
        self.counts = counts
        self.volumes = volumes
        self.bought = bought


class Past:
    """What traded before a market opened.

    Args:
        listing: what is traded.
        seed: what all chance comes from, together with the symbol.
        fades: ns UTC at which the waves have faded; the market opens then or later.
        rate: multiplies the trades per second.
    """

    def __init__(self, listing: Listing, *, seed: int, fades: int, rate: float = 1.0) -> None:
        self._listing = listing
        self._fades = fades // MINUTE
        self._begins = max(0, self._fades - DAYS * 1440)
        self._trades = listing.trades_per_s * rate * 60
        digest = hashlib.sha256(f"{seed}:{listing.symbol}".encode()).digest()
        self._key = np.uint64(int.from_bytes(digest[:8], "little"))
        self._noise = max(LEAST_NOISE_TICKS, NOISE * listing.price)

    def seconds(self, first: int, last: int) -> Iterator[Candle]:
        """Give the candles of a second in `[first, last)`, ns, where anything traded."""
        begins = max(first // MINUTE, self._begins)
        ends = -(-last // MINUTE)
        for at in range(begins, ends, 60):
            bundles = self._bundles(at, min(at + 60, ends))
            for row in range(len(bundles.minutes)):
                for candle in self._seconds_of(bundles, row):
                    if first <= candle.start < last:
                        yield candle

    def grouped(self, length: int, offset: int, first: int, last: int) -> Iterator[Candle]:
        """Give candles of whole minutes; the last one holds what starts before `last`.

        Args:
            length: ns, whole minutes.
            offset: ns; one candle starts here, counted from the epoch.
            first: start of a candle, ns.
            last: the end of a minute, ns.
        """
        step, shift = length // MINUTE, offset // MINUTE
        begins = max(first // MINUTE, self._begins)
        ends = last // MINUTE
        at = begins
        while at < ends:
            # Cut where a candle ends, so that none is spread over two steps.
            until = (at + max(MINUTES_AT_ONCE, step) - shift) // step * step + shift
            yield from self._grouped(at, min(until, ends), step, shift)
            at = until

    def _grouped(self, first: int, last: int, step: int, shift: int) -> Iterator[Candle]:
        bundles = self._bundles(first, last)
        if not len(bundles.minutes):
            return
        prices, counts = bundles.prices, bundles.counts
        there = counts > 0
        groups = (bundles.minutes - shift) // step
        cuts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
        ends = np.append(cuts[1:], len(groups)) - 1
        worth = prices * bundles.volumes
        bought_worth = prices * bundles.bought
        highs = np.maximum.reduceat(np.where(there, prices, 0).max(axis=1), cuts)
        lows = np.minimum.reduceat(np.where(there, prices, 1 << 62).min(axis=1), cuts)
        opens = prices[cuts, _FIRST]
        closes = np.where(counts[ends, _LAST] > 0, prices[ends, _LAST], prices[ends, _FIRST])
        sums = [
            np.add.reduceat(part.sum(axis=1), cuts).tolist()
            for part in (bundles.volumes, bundles.bought, worth, bought_worth, counts)
        ]
        starts = ((groups[cuts] * step + shift) * MINUTE).tolist()
        for row in zip(
            starts, opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(), *sums,
            strict=True,
        ):  # fmt: skip
            yield Candle(*row)

    def _halves_of(self, bundles: _Bundles, row: int) -> dict[int, tuple[int, int, int, int]]:
        """Share the bundles of one minute out: price, trades, size, bought of each half second."""
        minute = int(bundles.minutes[row])
        halves: dict[int, tuple[int, int, int, int]] = {}
        for bundle, slots in enumerate(_SLOTS):
            count = int(bundles.counts[row, bundle])
            if not count:
                continue
            price = int(bundles.prices[row, bundle])
            places = (minute * BUNDLES + bundle) * 8 + np.arange(8)
            draws = self._uniform(places, _SPLIT).ravel()[: len(slots)]
            # A minute opens with its first half second and closes with its last.
            fixed = slots[-1] if bundle == _LAST else slots[0]
            chosen = _chosen(slots, count, fixed, draws)
            size = _shared(int(bundles.volumes[row, bundle]) - count, [w for _, _, w in chosen])
            volume, told = 0, 0
            whole, bought = int(bundles.volumes[row, bundle]), int(bundles.bought[row, bundle])
            for (slot, trades, _), more in zip(chosen, size, strict=True):
                volume += trades + more
                part = bought * volume // whole - told
                told += part
                halves[slot] = (price, trades, trades + more, part)
        return halves

    def _seconds_of(self, bundles: _Bundles, row: int) -> Iterator[Candle]:
        """Share the bundles of one minute out over its seconds."""
        minute = int(bundles.minutes[row])
        halves = self._halves_of(bundles, row)
        for second in range(60):
            found = [halves[slot] for slot in (second * 2, second * 2 + 1) if slot in halves]
            if not found:
                continue
            prices = [price for price, _, _, _ in found]
            yield Candle(
                start=minute * MINUTE + second * SECOND,
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=prices[-1],
                volume=sum(volume for _, _, volume, _ in found),
                bought=sum(part for _, _, _, part in found),
                worth=sum(price * volume for price, _, volume, _ in found),
                bought_worth=sum(price * part for price, _, _, part in found),
                count=sum(trades for _, trades, _, _ in found),
            )

    def trades(self, first: int, last: int) -> Iterator[PastTrade]:
        """Give the trades in `[first, last)`, ns, in order of time.

        They make the candles of a second: their prices, sizes, number and order. Of what was
        bought they make nearly as much, for a trade has one side.
        """
        begins = max(first // MINUTE, self._begins)
        ends = -(-last // MINUTE)
        for at in range(begins, ends, 60):
            bundles = self._bundles(at, min(at + 60, ends))
            for row, minute in enumerate(bundles.minutes.tolist()):
                halves = self._halves_of(bundles, row)
                for slot in sorted(halves):
                    begin = minute * MINUTE + slot * HALF
                    for trade in _spread(begin, *halves[slot]):
                        if first <= trade.ts < last:
                            yield trade

    def _bundles(self, first: int, last: int) -> _Bundles:
        """Return the minutes `[first, last)` in which anything trades."""
        minutes = np.arange(first, max(first, last), dtype=np.int64)
        draws = self._uniform(minutes, _ACTIVITY)
        # From half to one and a half of the usual, and the rest of a trade by chance.
        trades = (self._trades * (0.5 + draws[:, 0]) + draws[:, 1]).astype(np.int64)
        minutes, trades = minutes[trades > 0], trades[trades > 0]
        places = minutes[:, None] * BUNDLES + np.arange(BUNDLES)
        counts = np.zeros_like(places)
        counts[:, _FIRST] = 1
        counts[:, _LAST] = trades > 1
        draws = self._uniform(places, _AMOUNT)
        shares, sizes, sides = draws[..., 0], draws[..., 1], draws[..., 2]
        weights = np.cumsum(0.5 + shares, axis=1)
        rest = np.maximum(trades - 2, 0)[:, None]
        reached = (rest * (weights / weights[:, -1:])).astype(np.int64)
        reached[:, -1] = rest[:, 0]
        counts += np.diff(reached, axis=1, prepend=0)
        volumes = counts + (counts * self._listing.trade_size * (0.4 + 1.2 * sizes)).astype(
            np.int64
        )
        bought = (volumes * (0.2 + 0.6 * sides)).astype(np.int64)
        # The sum of four even draws is nearly normal, with a deviation of the root of a third.
        noise = (self._uniform(places, _NOISE).sum(axis=-1) - 2.0) * (self._noise * 3**0.5)
        prices = np.maximum(np.rint(self._wave(minutes)[:, None] + noise), 1).astype(np.int64)
        return _Bundles(minutes, prices, counts, volumes, bought)

    def _wave(self, minutes: _Ints) -> _Floats:
        """Return the price that the makers would see, in ticks, in the middle of each minute."""
        total = np.zeros(len(minutes))
        if not len(minutes):
            return total
        left = np.maximum(self._fades - minutes, 0)
        for number, length in enumerate(WAVES):
            knots = minutes // length
            share = (minutes % length) / length
            share = share * share * (3 - 2 * share)
            known = np.arange(knots[0], knots[-1] + 2)
            heights = self._uniform(known * len(WAVES) + number, _KNOT)[:, 0] * 2 - 1
            places = knots - known[0]
            fading = np.minimum(left / (2 * length), 1.0)
            height = WAVE * length**0.5
            total += fading * height * (heights[places] * (1 - share) + heights[places + 1] * share)
        return self._listing.price * (1 + total)

    def _uniform(self, places: _Ints, purpose: int) -> _Floats:
        """Return four numbers from 0 to 1 for each place: a hash of both (splitmix64), cut up."""
        with np.errstate(over="ignore"):
            state = places.astype(np.uint64) * _GOLDEN + self._key
            state = state + np.uint64(purpose + 1) * _LANE
            state = (state ^ (state >> np.uint64(30))) * _MIX_1
            state = (state ^ (state >> np.uint64(27))) * _MIX_2
            state ^= state >> np.uint64(31)
        return ((state[..., None] >> _LANES) & np.uint64(0xFFFF)).astype(np.float64) * 2.0**-16


def _spread(begin: int, price: int, count: int, size: int, bought: int) -> Iterator[PastTrade]:
    """Make the trades of one half second."""
    each, more = divmod(size, count)
    told = 0
    for number in range(count):
        part = each + (number < more)
        told += part
        yield PastTrade(
            begin + HALF * number // count, price, part, buyer_took=2 * told - part <= 2 * bought
        )


def _chosen(
    slots: tuple[int, ...], count: int, fixed: int, draws: _Floats
) -> list[tuple[int, int, float]]:
    """Spread trades over slots: each with how many it gets and a weight, in order of time."""
    each, more = divmod(count, len(slots))
    ranked = sorted(range(len(slots)), key=lambda place: (slots[place] != fixed, draws[place]))
    extra = set(ranked[:more])
    spread = [
        (slot, each + (place in extra), 0.4 + 1.2 * float(draws[place]))
        for place, slot in enumerate(slots)
    ]
    return [one for one in spread if one[1]]


def _shared(amount: int, weights: list[float]) -> list[int]:
    """Share a whole number out by weight, exactly."""
    total = sum(weights)
    shares: list[int] = []
    reached, sum_so_far = 0.0, 0
    for weight in weights[:-1]:
        reached += weight
        share = int(amount * (reached / total)) - sum_so_far
        shares.append(share)
        sum_so_far += share
    return [*shares, amount - sum_so_far]
