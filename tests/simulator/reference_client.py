"""A client of the Binance dialect that follows the venue's rule for books, and nothing more."""

import json
from collections.abc import Callable

SECOND = 1_000_000_000
SILENCE = 5 * SECOND


class ReferenceBook:
    """One symbol's book: empty, waiting for its snapshot, or live."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.update_id = 0
        self.is_live = False
        self.waiting: list[dict] = []  # type: ignore[type-arg]
        self.asked = False

    def empty(self) -> None:
        self.__init__()  # type: ignore[misc]

    def snapshot(self, message: dict) -> bool:  # type: ignore[type-arg]
        """Return False when the snapshot is too old and must be asked for again."""
        if self.waiting and message["lastUpdateId"] < self.waiting[0]["U"] - 1:
            return False
        self.bids = {float(price): float(size) for price, size in message["bids"]}
        self.asks = {float(price): float(size) for price, size in message["asks"]}
        self.update_id = message["lastUpdateId"]
        self.is_live = True
        waiting, self.waiting = self.waiting, []
        return all(self.update(event) for event in waiting)

    def update(self, event: dict) -> bool:  # type: ignore[type-arg]
        """Return False at a gap."""
        if event["u"] <= self.update_id:
            return True
        if event["U"] > self.update_id + 1:
            return False
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in levels:
                if float(size):
                    side[float(price)] = float(size)
                else:
                    side.pop(float(price), None)
        self.update_id = event["u"]
        return True

    @property
    def is_crossed(self) -> bool:
        return max(self.bids) >= min(self.asks)


class ReferenceClient:
    """One connection at a time; every symbol's trades and book."""

    def __init__(self, natives: list[str], *, look: Callable[[str], None] | None = None) -> None:
        self.natives = natives
        self.books = {native: ReferenceBook() for native in natives}
        self.trades: dict[str, list[dict]] = {native: [] for native in natives}  # type: ignore[type-arg]
        self.gaps: list[tuple[int, str, str]] = []
        self.closed_reasons: list[str] = []
        self.notices: list[str] = []
        self.live_from: int | None = None
        self.look = look or (lambda native: None)
        self._number = 0
        self._conn = ""
        self._wish_at = 0
        self._heard = 0
        self._out: list[tuple[str, bytes | str]] = []
        self._close: list[str] = []

    @property
    def is_live(self) -> bool:
        return all(book.is_live for book in self.books.values())

    def open_wishes(self, now: int) -> list[tuple[str, str]]:
        if self._conn or now < self._wish_at:
            return []
        self._number += 1
        self._conn = f"reference-{self._number}"
        self._heard = now
        return [(self._conn, "wss://simulated/stream")]

    def opened(self, conn: str, now: int) -> None:
        self._heard = now
        streams = [
            f"{native.lower()}@{kind}"
            for native in self.natives
            for kind in ("trade", "depth@100ms")
        ]
        request = {"method": "SUBSCRIBE", "params": streams, "id": 1}
        self._out.append((conn, json.dumps(request).encode()))

    def received(self, conn: str, data: bytes, now: int, *, is_binary: bool) -> None:
        assert conn == self._conn
        assert not is_binary
        self._heard = now
        message = json.loads(data)
        if "stream" not in message:
            assert message == {"result": None, "id": 1}
            return
        if message["stream"] == "!serverShutdown":
            self.notices.append(message["data"]["e"])
            return
        event = message["data"]
        native = event["s"]
        if event["e"] == "trade":
            known = self.trades[native]
            if known and event["t"] != known[-1]["t"] + 1:
                self.gaps.append((now, native, "trade"))
            known.append(event)
            return
        book = self.books[native]
        if not book.is_live:
            book.waiting.append(event)
            if not book.asked:
                book.asked = True
                self._ask(native)
            return
        if not book.update(event) or book.is_crossed:
            self._resync(native, now)
        else:
            self.look(native)

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        assert status == 200
        native = url.partition("symbol=")[2].partition("&")[0]
        book = self.books[native]
        if book.snapshot(json.loads(body)):
            self.look(native)
        else:
            book.is_live = False
            self._ask(native)

    def closed(self, conn: str, reason: str, now: int) -> None:
        self.closed_reasons.append(reason)
        self._lost(now)

    def heartbeat(self, now: int) -> None:
        if self._conn and now - self._heard > SILENCE:
            self._close.append(self._conn)
            self._lost(now)

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        out, self._out = self._out, []
        return out

    def close_wishes(self) -> list[str]:
        close, self._close = self._close, []
        return close

    def _lost(self, now: int) -> None:
        for native, book in self.books.items():
            self.gaps.append((now, native, "all"))
            book.empty()
        self._conn = ""
        self._wish_at = now + SECOND

    def _resync(self, native: str, now: int) -> None:
        self.gaps.append((now, native, "book"))
        self.books[native].empty()

    def _ask(self, native: str) -> None:
        url = f"https://simulated/api/v3/depth?symbol={native}&limit=5000"
        self._out.append((self._conn, url))
