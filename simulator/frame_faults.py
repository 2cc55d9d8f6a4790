"""Faults that act on the messages between a venue and its clients, whatever they say."""

from typing import TypeAlias

import msgspec

from simulator.fault_script import Fault
from simulator.frames import Binary, Frame, Text

Message: TypeAlias = Text | Binary

SPOILT = 8
"""Bytes that a corrupted message has wrong, in its middle."""
COUNTED = frozenset({"corrupt", "drop", "duplicate", "flood", "truncate"})
"""Kinds of fault that act on so many messages, each by itself."""


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


class FrameFault:
    """One fault, from its beginning until `is_over`; what it is not meant for passes.

    Args:
        fault: what goes wrong.
        window: when; its end is moved here.
    """

    def __init__(self, fault: Fault, window: Window) -> None:
        self._fault = fault
        self._window = window
        self.is_over = False

    def take(self, conn: str, message: Message, now: int) -> list[Message]:
        """Return what comes instead of a message, now."""
        fault = self._fault
        if (
            self.is_over
            or not message.channel
            or fault.channel not in {"", message.channel}
            or fault.symbol not in {"", message.symbol}
        ):
            return [message]
        return self._spoil(conn, message, now)

    def due(self, now: int) -> list[tuple[str, Frame]]:
        """Return what was kept back and comes now."""
        del now
        return []

    def closed(self, conn: str) -> None:
        """A connection ended: what was kept back for it is gone."""
        del conn

    def _spoil(self, conn: str, message: Message, now: int) -> list[Message]:
        raise NotImplementedError


class _Counted(FrameFault):
    """Acts on so many messages, each by itself."""

    def __init__(self, fault: Fault, window: Window) -> None:
        super().__init__(fault, window)
        self._left = 1 if fault.kind == "flood" else fault.count

    def _spoil(self, conn: str, message: Message, now: int) -> list[Message]:
        del conn
        self._window.end = now
        self._left -= 1
        self.is_over = self._left == 0
        match self._fault.kind:
            case "corrupt":
                return [_with_data(message, _corrupted(message.data))]
            case "truncate":
                return [_with_data(message, message.data[: len(message.data) // 2])]
            case "duplicate":
                return [message, message]
            case "flood":
                return [message] * self._fault.count
            case _:
                return []


class _Reorder(FrameFault):
    """Lets a message be overtaken by the next one of its channel, symbol and connection."""

    def __init__(self, fault: Fault, window: Window) -> None:
        super().__init__(fault, window)
        self._left = fault.count
        self._overtaken: dict[tuple[str, str, str], Message] = {}

    def _spoil(self, conn: str, message: Message, now: int) -> list[Message]:
        self._window.end = now
        place = (conn, message.channel, message.symbol)
        overtaken = self._overtaken.pop(place, None)
        if overtaken is not None:
            self.is_over = self._left == 0 and not self._overtaken
            return [message, overtaken]
        if self._left == 0:
            return [message]
        self._left -= 1
        self._overtaken[place] = message
        return []

    def closed(self, conn: str) -> None:
        self._overtaken = {at: kept for at, kept in self._overtaken.items() if at[0] != conn}
        self.is_over = self._left == 0 and not self._overtaken


class _Delay(FrameFault):
    """Lets messages come later, in their order; those of other channels overtake them."""

    def __init__(self, fault: Fault, window: Window) -> None:
        super().__init__(fault, window)
        self._until = window.end
        self._late: list[tuple[int, str, Message]] = []

    def _spoil(self, conn: str, message: Message, now: int) -> list[Message]:
        at = now + self._fault.delay if now < self._until else now
        for other, name, kept in self._late:
            if (name, kept.channel, kept.symbol) == (conn, message.channel, message.symbol):
                at = max(at, other)  # nothing of its own channel is overtaken
        if at == now:
            return [message]
        self._late.append((at, conn, message))
        self._window.end = max(self._window.end, at)
        return []

    def due(self, now: int) -> list[tuple[str, Frame]]:
        come: list[tuple[str, Frame]] = [(conn, late) for at, conn, late in self._late if at <= now]
        self._late = [kept for kept in self._late if kept[0] > now]
        self.is_over = now >= self._until and not self._late
        return come

    def closed(self, conn: str) -> None:
        self._late = [kept for kept in self._late if kept[1] != conn]


class _Silence(FrameFault):
    """Loses everything of a channel for a while."""

    def _spoil(self, conn: str, message: Message, now: int) -> list[Message]:
        del conn
        return [message] if now >= self._window.end else []

    def due(self, now: int) -> list[tuple[str, Frame]]:
        self.is_over = now >= self._window.end
        return []


def frame_fault(fault: Fault, window: Window) -> FrameFault | None:
    """Begin a fault; None when it is not one of messages."""
    match fault.kind:
        case "reorder":
            return _Reorder(fault, window)
        case "delay":
            return _Delay(fault, window)
        case "freeze_channel":
            return _Silence(fault, window)
        case kind if kind in COUNTED:
            return _Counted(fault, window)
        case _:
            return None


def _with_data(message: Message, data: bytes) -> Message:
    return msgspec.structs.replace(message, data=data)


def _corrupted(data: bytes) -> bytes:
    """Spoil the middle with a byte that stands in no UTF-8 text."""
    begin = max(0, (len(data) - SPOILT) // 2)
    end = min(len(data), begin + SPOILT)
    return data[:begin] + b"\xff" * (end - begin) + data[end:]
