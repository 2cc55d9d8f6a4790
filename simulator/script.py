"""Price moves and walls that are written down: a dip, or a great order, at a known second.

    moves:
      - {symbol: BTC-USDT, at: 20s, kind: dip, depth: 1.5%, fall: 4s, hold: 2s, recover: 6s}
    walls:
      - {symbol: BTC-USDT, side: bid, bps: 30, size: 100, from: 10s, until: 5m, end: traded}

Times count from the moment the market opens. `rally` is a dip upwards. `repeat: 60s` does it again
every minute. Moves of one symbol that overlap add up.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from simulator.listings import LISTINGS, Listing, choose
from simulator.quantities import duration, share
from simulator.script_file import load_text, read_entries

DEEPEST = 0.5
FARTHEST_WALL_BPS = 1000.0
LARGEST_WALL = 100_000.0


class _MoveText(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    at: str
    kind: Literal["dip", "rally"]
    depth: str
    fall: str
    hold: str = "0s"
    recover: str = "0s"
    repeat: str = ""


class _WallText(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}, kw_only=True):
    symbol: str
    side: Literal["bid", "ask"]
    bps: float
    size: float
    from_: str
    until: str
    end: Literal["pulled", "traded"] = "pulled"
    repeat: str = ""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """The price goes away from its base and comes back.

    Attributes:
        symbol: `"BTC-USDT"`.
        at: ns after the market opened.
        change: share of the base price at the far end; negative for a dip.
        fall: ns until the far end.
        hold: ns there.
        recover: ns until the base price again.
        repeat: ns from one beginning to the next; 0 for once only.
    """

    symbol: str
    at: int
    change: float
    fall: int
    hold: int
    recover: int
    repeat: int = 0

    @property
    def length(self) -> int:
        """Nanoseconds from beginning to end."""
        return self.fall + self.hold + self.recover

    def offset(self, elapsed: int) -> float:
        """Return the share of the base price to add, `elapsed` ns after the market opened."""
        since = elapsed - self.at
        if since <= 0:
            return 0.0
        if self.repeat:
            since %= self.repeat
        if since < self.fall:
            return self.change * since / self.fall
        since -= self.fall
        if since <= self.hold:
            return self.change
        since -= self.hold
        return self.change * (1 - since / self.recover) if since < self.recover else 0.0


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """One great level that rests in the book for a while.

    Attributes:
        symbol: `"BTC-USDT"`.
        is_bid: which side.
        bps: how far from the price it is built, in basis points of it: from the price that the
            script moves, without its noise. 0 is the best level.
        size: times the mean size of a level.
        at: ns after the market opened.
        length: ns that it rests.
        is_traded: it is traded through at its end, not pulled.
        repeat: ns from one beginning to the next; 0 for once only.
    """

    symbol: str
    is_bid: bool
    bps: float
    size: float
    at: int
    length: int
    is_traded: bool = False
    repeat: int = 0


class Script(msgspec.Struct, frozen=True):
    """All moves and walls of a run."""

    moves: tuple[Move, ...] = ()
    walls: tuple[Wall, ...] = ()

    def of(self, symbol: str) -> tuple[Move, ...]:
        """Return one symbol's moves."""
        return tuple(move for move in self.moves if move.symbol == symbol)

    def walls_of(self, symbol: str) -> tuple[Wall, ...]:
        """Return one symbol's walls."""
        return tuple(wall for wall in self.walls if wall.symbol == symbol)


def load_script(name: str) -> Script:
    """Read a script of price moves and walls from a file, or a shipped one by its name.

    Raises:
        ConfigError: no such file, or it is wrong; says where and what to do.
    """
    return read_script(*load_text(name))


def read_script(text: str, path: str, listings: Iterable[Listing] = LISTINGS) -> Script:
    """Read a script of price moves and walls.

    Args:
        text: YAML.
        path: named in errors.
        listings: the symbols that a move or a wall may have.

    Raises:
        ConfigError: says where and what to do.
    """
    known = tuple(listings)
    return Script(
        moves=read_entries(text, path, "moves", _MoveText, lambda move: _move(move, known)),
        walls=read_entries(text, path, "walls", _WallText, lambda wall: _wall(wall, known)),
    )


def _move(move: _MoveText, listings: tuple[Listing, ...]) -> Move:
    depth = share(move.depth)
    if not 0 < depth <= DEEPEST:
        raise ValueError(f"depth {move.depth!r} must be above 0% and at most {DEEPEST:.0%}")
    read = Move(
        symbol=choose([move.symbol], listings)[0].symbol,
        at=duration(move.at),
        change=-depth if move.kind == "dip" else depth,
        fall=duration(move.fall),
        hold=duration(move.hold),
        recover=duration(move.recover),
        repeat=duration(move.repeat) if move.repeat else 0,
    )
    if move.repeat and read.repeat < max(read.length, 1):
        raise ValueError(f"repeat {move.repeat!r} is shorter than the move itself")
    return read


def _wall(wall: _WallText, listings: tuple[Listing, ...]) -> Wall:
    if not 0 <= wall.bps <= FARTHEST_WALL_BPS:
        raise ValueError(f"bps {wall.bps:g} must be from 0 to {FARTHEST_WALL_BPS:g}")
    if not 0 < wall.size <= LARGEST_WALL:
        raise ValueError(f"size {wall.size:g} must be above 0 and at most {LARGEST_WALL:g}")
    at = duration(wall.from_)
    read = Wall(
        symbol=choose([wall.symbol], listings)[0].symbol,
        is_bid=wall.side == "bid",
        bps=wall.bps,
        size=wall.size,
        at=at,
        length=duration(wall.until) - at,
        is_traded=wall.end == "traded",
        repeat=duration(wall.repeat) if wall.repeat else 0,
    )
    if read.length <= 0:
        raise ValueError(f"until {wall.until!r} must be later than from {wall.from_!r}")
    if wall.repeat and read.repeat <= read.length:
        raise ValueError(f"repeat {wall.repeat!r} must be longer than the wall rests")
    return read
