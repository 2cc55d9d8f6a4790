"""Price moves that are written down: a dip at a known second.

    moves:
      - {symbol: BTC-USDT, at: 20s, kind: dip, depth: 1.5%, fall: 4s, hold: 2s, recover: 6s}

`at` counts from the moment the market opens. `rally` is a dip upwards. `repeat: 60s` does it again
every minute. Moves of one symbol that overlap add up.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from simulator.listings import LISTINGS, Listing, choose
from simulator.quantities import duration, share
from simulator.script_file import load_text, read_entries

DEEPEST = 0.5


class _MoveText(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    at: str
    kind: Literal["dip", "rally"]
    depth: str
    fall: str
    hold: str = "0s"
    recover: str = "0s"
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


class Script(msgspec.Struct, frozen=True):
    """All moves of a run."""

    moves: tuple[Move, ...] = ()

    def of(self, symbol: str) -> tuple[Move, ...]:
        """Return one symbol's moves."""
        return tuple(move for move in self.moves if move.symbol == symbol)


def load_script(name: str) -> Script:
    """Read a script of price moves from a file, or a shipped one by its name.

    Raises:
        ConfigError: no such file, or it is wrong; says where and what to do.
    """
    return read_script(*load_text(name))


def read_script(text: str, path: str, listings: Iterable[Listing] = LISTINGS) -> Script:
    """Read a script of price moves.

    Args:
        text: YAML.
        path: named in errors.
        listings: the symbols that a move may have.

    Raises:
        ConfigError: says where and what to do.
    """
    known = tuple(listings)
    return Script(read_entries(text, path, "moves", _MoveText, lambda move: _move(move, known)))


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
