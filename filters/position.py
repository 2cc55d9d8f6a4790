"""A paper position: what a strategy would hold. No order is sent anywhere."""

from typing import Literal, TypeAlias

import msgspec

from filters.fields import Stream
from filters.risk import SIGNS, Direction, Strategy

Reason: TypeAlias = Literal["stop", "target", "exit"]


class Quote(msgspec.Struct, frozen=True):
    """What a moment says of the price, as the owner of a position meets it.

    Attributes:
        first: price at the beginning of the moment.
        low: lowest price of it.
        high: highest price of it.
        last: price at its end, at which a position can be left.
        entry: price at its end, at which one can be entered.
    """

    first: float
    low: float
    high: float
    last: float
    entry: float


class Plan(msgspec.Struct, frozen=True):
    """An entry that can be made: its price, where it is left, and its size in base currency."""

    entry: float
    stop: float
    target: float | None
    size: float


class Position(msgspec.Struct, frozen=True):
    """What a strategy holds of one series, and what it has come to.

    Attributes:
        size: in base currency; 0 while there is none.
        entry: price at which it was entered.
        opened_at: venue's time of the entry, ns.
        stop: where it is left with a loss.
        target: where it is left with a gain; None for none.
        price: last known.
        closed: positions that were closed.
        won: of these, those with a gain.
        realised: gains less losses of these, quote currency.
    """

    size: float = 0.0
    entry: float = 0.0
    opened_at: int = 0
    stop: float = 0.0
    target: float | None = None
    price: float = 0.0
    closed: int = 0
    won: int = 0
    realised: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether something is held."""
        return self.size > 0

    def open_profit(self, side: Direction) -> float:
        """Return what it would gain if it were left at the last known price, quote currency."""
        return SIGNS[side] * (self.price - self.entry) * self.size

    def entered(self, plan: Plan, ts: int) -> "Position":
        """Return the position after an entry."""
        return msgspec.structs.replace(
            self,
            size=plan.size,
            entry=plan.entry,
            opened_at=ts,
            stop=plan.stop,
            target=plan.target,
            price=plan.entry,
        )

    def left(self, price: float, side: Direction) -> "Position":
        """Return the position after it was left at a price."""
        gain = msgspec.structs.replace(self, price=price).open_profit(side)
        return Position(
            price=price,
            closed=self.closed + 1,
            won=self.won + (gain > 0),
            realised=self.realised + gain,
        )


def quote_of(stream: Stream, side: Direction, values: dict[str, float | None]) -> Quote | None:
    """Return what a moment says of the price; None where it does not tell.

    A long position is entered at the ask and left at the bid, a short one the other way round.
    """
    if stream == "bar":
        first, low, high, last = (values.get(name) for name in ("open", "low", "high", "close"))
        if first is None or low is None or high is None or last is None:
            return None
        return Quote(first, low, high, last, last)
    if stream == "trade":
        price = values.get("price")
        return None if price is None else Quote(price, price, price, price, price)
    bid, ask = values.get("best_bid"), values.get("best_ask")
    if bid is None or ask is None:
        return None
    last, entry = (bid, ask) if side == "long" else (ask, bid)
    return Quote(last, last, last, last, entry)


def plan_entry(
    strategy: Strategy, quote: Quote | None, values: dict[str, float | None]
) -> Plan | str:
    """Return the entry that a strategy can make now, or why it can make none.

    The size is such that the budget is lost at the stop, so it shrinks as the stop is farther away;
    never more than the equity buys.
    """
    if quote is None or quote.entry <= 0:
        return "the price is not known"
    risk, sign, entry = strategy.risk, SIGNS[strategy.side], quote.entry
    stop = risk.stop.price(entry, -sign, values)
    if stop is None:
        return f"the stop is not known: {risk.stop.text}"
    distance = sign * (entry - stop)
    if distance <= 0 or stop <= 0:
        return f"the stop ({risk.stop.text}: {stop:.10g}) is on the wrong side of {entry:.10g}"
    target: float | None = None
    if risk.target is not None:
        target = risk.target.price(entry, sign, values)
        if target is None:
            return f"the target is not known: {risk.target.text}"
        if sign * (target - entry) <= 0 or target <= 0:
            return (
                f"the target ({risk.target.text}: {target:.10g}) is on the wrong side of"
                f" {entry:.10g}"
            )
    lost = risk.equity * risk.budget / 100
    return Plan(entry, stop, target, min(lost / distance, risk.equity / entry))


def leaving(
    position: Position, side: Direction, quote: Quote, *, is_live: bool = True
) -> tuple[Reason, float] | None:
    """Return why and at what price a position is left at its stop or target, if it is.

    Nobody knows in which order the prices of a bar came: the stop counts as the first. A bar that
    opens beyond the stop is left at its open, which is worse; one beyond the target at the target.

    Args:
        position: open.
        side: of the position.
        quote: what the moment says.
        is_live: False where trades may be missing: what is known to have traded may stop it, but
            nothing else may be read from it.
    """
    if side == "long":
        if quote.low <= position.stop:
            return "stop", min(position.stop, quote.first)
        reached = position.target is not None and quote.high >= position.target
    else:
        if quote.high >= position.stop:
            return "stop", max(position.stop, quote.first)
        reached = position.target is not None and quote.low <= position.target
    if reached and is_live and position.target is not None:
        return "target", position.target
    return None
