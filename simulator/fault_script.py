"""Scripts of faults between a venue and its clients: what may be written, and how it is read.

    faults:
      - {at: 10s, kind: drop, channel: depth, symbol: BTC-USDT, count: 1}
      - {at: 30s, kind: freeze, for: 8s, venue: binance}

`docs/simulator.md` says what every kind does. `at` counts from the beginning of the run;
`repeat: 60s` does it again every minute. No `symbol`, `channel` or `venue` means any.
"""

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from simulator.dialects import DIALECTS
from simulator.listings import LISTINGS, Listing, choose
from simulator.quantities import duration
from simulator.script_file import load_text, read_entries

Kind = Literal[
    "age",
    "block",
    "corrupt",
    "cross",
    "cut",
    "delay",
    "drop",
    "duplicate",
    "flood",
    "freeze",
    "freeze_channel",
    "future_trade",
    "half_open",
    "jump",
    "max_connections",
    "oversize",
    "refuse_auth",
    "refuse_symbol",
    "reorder",
    "shutdown",
    "slow_snapshot",
    "stale_snapshot",
    "truncate",
    "unknown",
]
KINDS: tuple[str, ...] = get_args(Kind)
"""Every kind of fault."""

FLOOD = 10_000
"""Frames of a flood."""
OVERSIZE = 20 * 1024 * 1024
"""Bytes of an oversize frame: more than any client should take."""
LARGEST_SIZE = 1 << 30

_FRAMES = ("channel", "symbol", "count")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "age": (),
    "block": ("for",),
    "corrupt": _FRAMES,
    "cross": ("symbol",),
    "cut": ("code",),
    "delay": ("channel", "symbol", "for", "delay"),
    "drop": _FRAMES,
    "duplicate": _FRAMES,
    "flood": _FRAMES,
    "freeze": ("for", "http"),
    "freeze_channel": ("channel", "symbol", "for"),
    "future_trade": ("symbol", "ahead"),
    "half_open": (),
    "jump": ("symbol",),
    "max_connections": ("for",),
    "oversize": ("size",),
    "refuse_auth": ("for",),
    "refuse_symbol": ("symbol", "for"),
    "reorder": _FRAMES,
    "shutdown": ("grace",),
    "slow_snapshot": ("for", "delay"),
    "stale_snapshot": ("for",),
    "truncate": _FRAMES,
    "unknown": ("count",),
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "block": ("for",),
    "cross": ("symbol",),
    "delay": ("for", "delay"),
    "freeze": ("for",),
    "freeze_channel": ("channel", "symbol", "for"),
    "future_trade": ("symbol",),
    "jump": ("symbol",),
    "max_connections": ("for",),
    "refuse_auth": ("for",),
    "refuse_symbol": ("symbol", "for"),
    "slow_snapshot": ("for",),
    "stale_snapshot": ("for",),
}
_NEVER_SENT = frozenset({1004, 1005, 1006, *range(1015, 3000)})
"""Close codes that no close frame may hold."""


class _FaultText(
    msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for"}, omit_defaults=True
):
    at: str
    kind: Kind
    venue: str = ""
    channel: Literal["", "depth", "trade"] = ""
    symbol: str = ""
    count: int = 0
    for_: str = ""
    http: bool = False
    code: int = 0
    grace: str = ""
    delay: str = ""
    ahead: str = ""
    size: int = 0
    repeat: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. Times are ns; `at` counts from the beginning of the run.

    Attributes:
        at: when.
        kind: what; see `docs/simulator.md`.
        repeat: ns from one to the next; 0 for once.
        venue: whose; empty for every venue.
        channel: which messages: `"depth"`, `"trade"` or empty for both.
        symbol: which instrument; empty for any.
        count: how many messages; of a flood, how often the next one comes.
        length: for how long.
        http: `freeze`: answers to GETs are held as well.
        code: `cut`: code of the close frame, 0 for none.
        grace: `shutdown`: from the announcement to the end.
        delay: `slow_snapshot`, `delay`: how much later an answer or a message comes.
        ahead: `future_trade`: how much too late its time is.
        size: `oversize`: bytes of the frame.
    """

    at: int
    kind: Kind
    repeat: int = 0
    venue: str = ""
    channel: str = ""
    symbol: str = ""
    count: int = 1
    length: int = 0
    http: bool = False
    code: int = 0
    grace: int = 0
    delay: int = 0
    ahead: int = 0
    size: int = OVERSIZE


def load_faults(name: str) -> tuple[Fault, ...]:
    """Read a script of faults from a file, or a shipped one by its name.

    Raises:
        ConfigError: no such file, or it is wrong; says where and what to do.
    """
    return read_faults(*load_text(name))


def read_faults(text: str, path: str, listings: Iterable[Listing] = LISTINGS) -> tuple[Fault, ...]:
    """Read a script of faults.

    Args:
        text: YAML.
        path: named in errors.
        listings: the symbols that a fault may have.

    Raises:
        ConfigError: says where and what to do.
    """
    known = tuple(listings)
    return read_entries(text, path, "faults", _FaultText, lambda fault: _fault(fault, known))


def _fault(fault: _FaultText, listings: tuple[Listing, ...]) -> Fault:
    given = set(msgspec.to_builtins(fault)) - {"at", "kind", "repeat", "venue"}
    options = _OPTIONS[fault.kind]
    if foreign := sorted(given - set(options)):
        can = ", ".join(sorted(options)) or "nothing"
        raise ValueError(f"{fault.kind!r} does not take {', '.join(foreign)}; it takes {can}")
    if missing := [name for name in _NEEDED.get(fault.kind, ()) if name not in given]:
        raise ValueError(f"{fault.kind!r} needs {missing[0]!r}")
    if fault.venue and fault.venue not in DIALECTS:
        raise ValueError(f"unknown venue {fault.venue!r}; known are {', '.join(sorted(DIALECTS))}")
    if fault.count < 0:
        raise ValueError("count must be at least 1")
    if fault.code and (not 1000 <= fault.code < 5000 or fault.code in _NEVER_SENT):
        raise ValueError("code must be from 1000 to 4999 and one that a close frame may hold")
    if not 0 <= fault.size <= LARGEST_SIZE:
        raise ValueError(f"size must be from 1 to {LARGEST_SIZE} bytes")
    return Fault(
        at=duration(fault.at),
        kind=fault.kind,
        repeat=duration(fault.repeat) if fault.repeat else 0,
        venue=fault.venue,
        channel=fault.channel,
        symbol=choose([fault.symbol], listings)[0].symbol if fault.symbol else "",
        count=fault.count or (FLOOD if fault.kind == "flood" else 1),
        length=duration(fault.for_) if fault.for_ else 0,
        http=fault.http,
        code=fault.code,
        grace=duration(fault.grace or "10s"),
        delay=duration(fault.delay or "5s"),
        ahead=duration(fault.ahead or "1h"),
        size=fault.size or OVERSIZE,
    )
