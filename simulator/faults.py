"""What goes wrong, and when: scripts of faults between a venue and its clients.

    faults:
      - {at: 10s, kind: drop, channel: depth, symbol: BTC-USDT, count: 1}
      - {at: 30s, kind: freeze, for: 8s}

    kind           what happens                                          options
    drop           the next messages of a channel do not come            channel symbol count
    cut            connections end, without a close frame or with one    code
    freeze         nothing comes and nothing is read                     for http
    cross          a level that crosses the book, never taken back       symbol
    block          the client itself does nothing                        for
    shutdown       the venue announces the end, and ends                 grace
    slow_snapshot  answers to GETs come late                             for delay
    future_trade   a trade with a time that is not yet                   symbol ahead

`at` counts from the beginning of the run; `repeat: 60s` does it again every minute. No `symbol`
means any. A fault is for the connections that are open then; a new connection is healthy.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from market.errors import ConfigError, UnknownInstrumentError
from simulator.dialects.contract import Dialect
from simulator.frames import Close, Cut, Frame, Text
from simulator.listings import LISTINGS, Listing, choose
from simulator.quantities import duration, read_yaml, wrong
from simulator.script import HELP, find_script

MOST_HELD = 200_000
"""Frames that a frozen connection may hold; with more the venue would have cut it."""

Kind = Literal[
    "drop", "cut", "freeze", "cross", "block", "shutdown", "slow_snapshot", "future_trade"
]
_OPTIONS: dict[str, frozenset[str]] = {
    "drop": frozenset({"channel", "symbol", "count"}),
    "cut": frozenset({"code"}),
    "freeze": frozenset({"for", "http"}),
    "cross": frozenset({"symbol"}),
    "block": frozenset({"for"}),
    "shutdown": frozenset({"grace"}),
    "slow_snapshot": frozenset({"for", "delay"}),
    "future_trade": frozenset({"symbol", "ahead"}),
}
_NEEDED = {
    "freeze": "for",
    "cross": "symbol",
    "block": "for",
    "slow_snapshot": "for",
    "future_trade": "symbol",
}


class _FaultText(
    msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for"}, omit_defaults=True
):
    at: str
    kind: Kind
    channel: Literal["", "depth", "trade"] = ""
    symbol: str = ""
    count: int = 0
    for_: str = ""
    http: bool = False
    code: int = 0
    grace: str = ""
    delay: str = ""
    ahead: str = ""
    repeat: str = ""


class _ScriptText(msgspec.Struct, forbid_unknown_fields=True):
    faults: list[_FaultText] = []


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. Times are ns; `at` counts from the beginning of the run.

    Attributes:
        at: when.
        kind: what; see the module.
        repeat: ns from one to the next; 0 for once.
        channel: `drop`: `"depth"`, `"trade"` or empty for both.
        symbol: which instrument; empty for any.
        count: `drop`: how many messages.
        length: `freeze`, `block`, `slow_snapshot`: for how long.
        http: `freeze`: answers to GETs are held as well.
        code: `cut`: code of the close frame, 0 for none.
        grace: `shutdown`: from the announcement to the end.
        delay: `slow_snapshot`: how much later an answer comes.
        ahead: `future_trade`: how much too late its time is.
    """

    at: int
    kind: Kind
    repeat: int = 0
    channel: str = ""
    symbol: str = ""
    count: int = 1
    length: int = 0
    http: bool = False
    code: int = 0
    grace: int = 0
    delay: int = 0
    ahead: int = 0


class Window(msgspec.Struct):
    """A time in which a fault is at work: what a client knows may be wrong or missing.

    It does not hold the time that a client needs to notice and to recover.

    Attributes:
        start: ns UTC, the venue's clock.
        end: the same; grows while a fault waits for its last message.
        kind: of the fault.
        symbol: the instrument, or empty for all.
    """

    start: int
    end: int
    kind: str
    symbol: str


def load_faults(name: str) -> tuple[Fault, ...]:
    """Read a script of faults from a file, or a shipped one by its name.

    Raises:
        ConfigError: no such file, or it is wrong; says where and what to do.
    """
    path = find_script(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a text file") from error
    return read_faults(text, str(path))


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
    try:
        script = msgspec.convert(read_yaml(text, path) or {}, _ScriptText)
    except msgspec.ValidationError as error:
        raise wrong(path, error, HELP) from error
    faults = []
    for index, fault in enumerate(script.faults):
        try:
            faults.append(_fault(fault, known))
        except (ValueError, UnknownInstrumentError) as error:
            raise ConfigError(f"{path}: faults[{index}]: {error}; {HELP}") from error
    return tuple(faults)


def _fault(fault: _FaultText, listings: tuple[Listing, ...]) -> Fault:
    given = set(msgspec.to_builtins(fault)) - {"at", "kind", "repeat"}
    if foreign := sorted(given - _OPTIONS[fault.kind]):
        can = ", ".join(sorted(_OPTIONS[fault.kind]))
        raise ValueError(f"{fault.kind!r} does not take {', '.join(foreign)}; it takes {can}")
    needed = _NEEDED.get(fault.kind)
    if needed is not None and needed not in given:
        raise ValueError(f"{fault.kind!r} needs {needed!r}")
    if fault.count < 0 or (fault.code and not 1000 <= fault.code < 5000):
        raise ValueError("count must be at least 1 and code from 1000 to 4999")
    return Fault(
        at=duration(fault.at),
        kind=fault.kind,
        repeat=duration(fault.repeat) if fault.repeat else 0,
        channel=fault.channel,
        symbol=choose([fault.symbol], listings)[0].symbol if fault.symbol else "",
        count=fault.count or 1,
        length=duration(fault.for_) if fault.for_ else 0,
        http=fault.http,
        code=fault.code,
        grace=duration(fault.grace or "10s"),
        delay=duration(fault.delay or "5s"),
        ahead=duration(fault.ahead or "1h"),
    )


class _Drop(msgspec.Struct):
    fault: Fault
    window: Window
    left: int


class Faults:
    """Applies faults to what a dialect sends; in between sits whoever carries the frames.

    Args:
        faults: what shall happen.
        start: ns UTC that `at` counts from.

    The carrier calls `due` as time passes, `frames` for everything a dialect sends, `delay` for
    every answer to a GET, and asks `is_frozen` before it hands a client's message to the dialect
    and `blocked_until` before it hands anything to a client.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, start: int) -> None:
        self._planned = sorted(
            ((start + fault.at, index, fault) for index, fault in enumerate(faults)),
            key=lambda planned: planned[:2],
        )
        self._windows: list[Window] = []
        self._drops: list[_Drop] = []
        self._frozen: dict[str, int] = {}
        self._held: dict[str, list[Frame]] = {}
        self._http_until = 0
        self._slow_until = 0
        self._delay = 0
        self._blocked_until = 0

    def due(self, now: int, conns: Iterable[str], dialect: Dialect) -> list[tuple[str, Frame]]:
        """Begin and end faults; return the frames that go out because of it.

        Args:
            now: the venue's clock, ns UTC.
            conns: connections that are open.
            dialect: told what it must do wrong itself.
        """
        out: list[tuple[str, Frame]] = []
        for conn in [conn for conn, until in self._frozen.items() if until <= now]:
            del self._frozen[conn]
            out += [(conn, frame) for frame in self._held.pop(conn, ())]
        while self._planned and self._planned[0][0] <= now:
            at, index, fault = self._planned.pop(0)
            out += self._begin(fault, at, tuple(conns), dialect)
            if fault.repeat:
                self._planned.append((at + fault.repeat, index, fault))
                self._planned.sort(key=lambda planned: planned[:2])
        return out

    def _begin(
        self, fault: Fault, at: int, conns: tuple[str, ...], dialect: Dialect
    ) -> list[tuple[str, Frame]]:
        window = Window(at, at + fault.length, fault.kind, fault.symbol)
        self._windows.append(window)
        match fault.kind:
            case "drop":
                self._drops.append(_Drop(fault, window, fault.count))
            case "cut":
                end = Close(fault.code, "fault") if fault.code else Cut()
                return [(conn, end) for conn in conns]
            case "freeze":
                for conn in conns:
                    self._frozen[conn] = max(window.end, self._frozen.get(conn, 0))
                if fault.http:
                    self._http_until = window.end
            case "cross":
                dialect.falsify_book(fault.symbol)
            case "block":
                self._blocked_until = max(self._blocked_until, window.end)
            case "shutdown":
                window.end += fault.grace
                dialect.shut_down(at, fault.grace)
            case "slow_snapshot":
                self._slow_until, self._delay = window.end, fault.delay
                window.end += fault.delay
            case "future_trade":
                dialect.falsify_trade_time(fault.symbol, fault.ahead)
        return []

    def frames(self, conn: str, frame: Frame, now: int) -> list[Frame]:
        """Return what is to be sent in place of one frame, now."""
        if self._drops and isinstance(frame, Text) and self._is_dropped(frame, now):
            return []
        if conn in self._frozen and not isinstance(frame, Cut):
            held = self._held.setdefault(conn, [])
            if len(held) >= MOST_HELD:
                self.closed(conn)
                return [Cut()]
            held.append(frame)
            return []
        return [frame]

    def _is_dropped(self, frame: Text, now: int) -> bool:
        for drop in self._drops:
            fault = drop.fault
            if (
                frame.channel
                and fault.channel in {"", frame.channel}
                and fault.symbol in {"", frame.symbol}
            ):
                drop.window.end = now
                drop.left -= 1
                if drop.left == 0:
                    self._drops.remove(drop)
                return True
        return False

    def delay(self, now: int) -> int:
        """Return how many ns later the answer to a GET comes that is asked now."""
        delay = self._delay if now < self._slow_until else 0
        return max(delay, self._http_until - now)

    def is_frozen(self, conn: str) -> bool:
        """Tell whether what this client sends stays on the line."""
        return conn in self._frozen

    @property
    def blocked_until(self) -> int:
        """Until when the client does nothing, ns UTC on the venue's clock."""
        return self._blocked_until

    def closed(self, conn: str) -> None:
        """A connection ended: what was held for it is gone."""
        self._frozen.pop(conn, None)
        self._held.pop(conn, None)

    def windows(self) -> list[Window]:
        """Return when faults were at work, up to now."""
        return list(self._windows)
