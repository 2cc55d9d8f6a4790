"""What goes wrong between a venue and its clients: what a script plans, done at its time.

Faults of messages are in `simulator.frame_faults`; here are those of connections, of answers to
GETs, and those that only the venue's dialect can make. A fault is for the connections that are
open when it begins, unless `docs/simulator.md` says otherwise; a new connection is healthy.
"""

from collections.abc import Iterable

from simulator.dialects.contract import (
    Dialect,
    EndsOldConnections,
    JumpsSequence,
    LimitsConnections,
    RefusesKeys,
    RefusesSymbols,
    TellsUnknown,
)
from simulator.fault_script import Fault, load_faults, read_faults
from simulator.frame_faults import FrameFault, Window, frame_fault
from simulator.frames import Binary, Close, Cut, Frame, HttpAnswer, Text

__all__ = ["Fault", "Faults", "Window", "can", "load_faults", "read_faults"]

MOST_HELD = 200_000
"""Frames that a frozen connection may hold; with more the venue would have cut it."""
MOST_REMEMBERED = 1_000
"""Answers to GETs that are kept to be given again when they are stale."""
NEVER = 1 << 62

_ASKED_OF_DIALECTS: dict[str, type] = {
    "refuse_auth": RefusesKeys,
    "refuse_symbol": RefusesSymbols,
    "unknown": TellsUnknown,
}


def can(kind: str, dialect: Dialect) -> bool:
    """Tell whether a kind of fault does anything with this dialect."""
    needed = _ASKED_OF_DIALECTS.get(kind)
    return needed is None or isinstance(dialect, needed)


class Faults:
    """Applies faults to what a dialect sends; in between sits whoever carries the frames.

    Args:
        faults: what shall happen.
        start: ns UTC that `at` counts from.
        venue: whose faults; those of other venues are left out.

    The carrier calls `due` as time passes, `frames` for everything a dialect sends, `answer` and
    `delay` for every answer to a GET, and `refusal` for every handshake. It asks `is_frozen` and
    `is_mute` before it hands a client's message to the dialect, and `blocked_until` before it
    hands anything to a client.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, start: int, venue: str = "") -> None:
        planned = [fault for fault in faults if not venue or fault.venue in {"", venue}]
        self._planned = sorted(
            ((start + fault.at, index, fault) for index, fault in enumerate(planned)),
            key=lambda planned: planned[:2],
        )
        self._windows: list[Window] = []
        self._at_work: list[FrameFault] = []
        self._frozen: dict[str, int] = {}
        self._mute: dict[str, Window] = {}
        self._held: dict[str, list[Frame]] = {}
        self._http_until = 0
        self._slow_until = 0
        self._delay = 0
        self._stale_until = 0
        self._full_until = 0
        self._blocked_until = 0
        self._remembers = any(fault.kind == "stale_snapshot" for fault in planned)
        self._answers: dict[str, HttpAnswer] = {}

    def due(self, now: int, conns: Iterable[str], dialect: Dialect) -> list[tuple[str, Frame]]:
        """Begin and end faults; return the frames that go out because of it.

        Args:
            now: the venue's clock, ns UTC.
            conns: connections that are open.
            dialect: told what it must do wrong itself.
        """
        is_idle = not (self._mute or self._frozen or self._at_work)
        if is_idle and (not self._planned or now < self._planned[0][0]):
            return []
        out: list[tuple[str, Frame]] = []
        for window in self._mute.values():
            window.end = now  # as long as the client holds on to what is dead
        for conn in [conn for conn, until in self._frozen.items() if until <= now]:
            del self._frozen[conn]
            out += [(conn, frame) for frame in self._held.pop(conn, ())]
        for fault in self._at_work:
            for conn, frame in fault.due(now):
                out += [(conn, passed) for passed in self._pass(conn, frame)]
        self._at_work = [fault for fault in self._at_work if not fault.is_over]
        while self._planned and self._planned[0][0] <= now:
            at, index, planned = self._planned.pop(0)
            out += self._begin(planned, at, tuple(conns), dialect)
            if planned.repeat:
                self._planned.append((at + planned.repeat, index, planned))
                self._planned.sort(key=lambda planned: planned[:2])
        return out

    def frames(self, conn: str, frame: Frame, now: int) -> list[Frame]:
        """Return what is to be sent in place of one frame, now."""
        if self._at_work and isinstance(frame, Text | Binary):
            messages: list[Text | Binary] = [frame]
            for fault in self._at_work:
                messages = [out for one in messages for out in fault.take(conn, one, now)]
            return [passed for one in messages for passed in self._pass(conn, one)]
        return self._pass(conn, frame)

    def answer(self, target: str, answer: HttpAnswer, now: int) -> HttpAnswer:
        """Return what a GET of `target` gets in place of the dialect's answer."""
        if not self._remembers:
            return answer
        if now < self._stale_until:
            return self._answers.get(target, answer)
        if len(self._answers) < MOST_REMEMBERED or target in self._answers:
            self._answers[target] = answer
        return answer

    def refusal(self, now: int) -> HttpAnswer | None:
        """Return the answer to a handshake that is not let in; None to let it in."""
        if now < self._full_until:
            return HttpAnswer(429, b"too many connections")
        return None

    def delay(self, now: int) -> int:
        """Return how many ns later the answer to a GET comes that is asked now."""
        delay = self._delay if now < self._slow_until else 0
        return max(delay, self._http_until - now)

    def is_frozen(self, conn: str) -> bool:
        """Tell whether what this client sends stays on the line."""
        return conn in self._frozen

    def is_mute(self, conn: str) -> bool:
        """Tell whether what this client sends is lost."""
        return conn in self._mute

    @property
    def blocked_until(self) -> int:
        """Until when the client does nothing, ns UTC on the venue's clock."""
        return self._blocked_until

    def closed(self, conn: str) -> None:
        """A connection ended: what was held for it is gone."""
        self._frozen.pop(conn, None)
        self._held.pop(conn, None)
        self._mute.pop(conn, None)
        for fault in self._at_work:
            fault.closed(conn)

    def windows(self) -> list[Window]:
        """Return when faults were at work, up to now."""
        return list(self._windows)

    @property
    def ended(self) -> int:
        """When the last fault ends, as far as it is known: ns UTC, the venue's clock."""
        planned = max((at for at, _, _ in self._planned), default=0)
        return max(planned, *(window.end for window in self._windows), 0)

    def _pass(self, conn: str, frame: Frame) -> list[Frame]:
        """Let a frame through a frozen line, or a half-open one, or neither."""
        if conn in self._mute:
            return []
        if conn not in self._frozen or isinstance(frame, Cut):
            return [frame]
        held = self._held.setdefault(conn, [])
        if len(held) >= MOST_HELD:
            self.closed(conn)
            return [Cut()]
        held.append(frame)
        return []

    def _begin(
        self, fault: Fault, at: int, conns: tuple[str, ...], dialect: Dialect
    ) -> list[tuple[str, Frame]]:
        window = Window(at, at + fault.length, fault.kind, fault.symbol)
        self._windows.append(window)
        if (of_messages := frame_fault(fault, window)) is not None:
            self._at_work.append(of_messages)
            return []
        match fault.kind:
            case "freeze":
                for conn in conns:
                    self._frozen[conn] = max(window.end, self._frozen.get(conn, 0))
                if fault.http:
                    self._http_until = window.end
            case "half_open":
                self._mute.update(dict.fromkeys(conns, window))
            case "block":
                self._blocked_until = max(self._blocked_until, window.end)
            case "slow_snapshot":
                self._slow_until, self._delay = window.end, fault.delay
                window.end += fault.delay
            case "stale_snapshot":
                self._stale_until = window.end
            case "cut":
                end = Close(fault.code, "fault") if fault.code else Cut()
                return [(conn, end) for conn in conns]
            case "oversize":
                large = Text(bytes(fault.size))
                return [(conn, large) for conn in conns]
            case "unknown" if isinstance(dialect, TellsUnknown):
                return [
                    (conn, dialect.unknown_message(conn))
                    for conn in conns
                    for _ in range(fault.count)
                ]
            case _:
                return self._begin_of_venue(fault, window, conns, dialect)
        return []

    def _begin_of_venue(
        self, fault: Fault, window: Window, conns: tuple[str, ...], dialect: Dialect
    ) -> list[tuple[str, Frame]]:
        """Begin a fault that is the venue's own doing."""
        now = window.start
        match fault.kind:
            case "cross":
                dialect.falsify_book(fault.symbol)
            case "future_trade":
                dialect.falsify_trade_time(fault.symbol, fault.ahead)
            case "shutdown":
                window.end += fault.grace
                dialect.shut_down(now, fault.grace)
            case "jump" if isinstance(dialect, JumpsSequence):
                dialect.jump_sequence(fault.symbol)
            case "jump":
                drop = Fault(at=fault.at, kind="drop", channel="depth", symbol=fault.symbol)
                lost = frame_fault(drop, window)
                self._at_work += [lost] if lost is not None else []
            case "refuse_auth" if isinstance(dialect, RefusesKeys):
                dialect.refuse_keys(window.end)
            case "refuse_symbol" if isinstance(dialect, RefusesSymbols):
                dialect.refuse_symbol(fault.symbol, window.end)
            case "age" if isinstance(dialect, EndsOldConnections):
                dialect.end_old(now)
            case "age":
                return [(conn, Close(1001, "Going away")) for conn in conns]
            case "max_connections" if isinstance(dialect, LimitsConnections):
                dialect.limit_connections(now, window.end)
            case "max_connections":
                self._full_until = window.end
                return [(conn, Cut()) for conn in conns]
            case _:
                pass  # `can` says so
        return []
