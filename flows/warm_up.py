"""The past that indicators ask for: from the database where it is whole, else from the venue.

A few threads take the wishes of the flow, wait until what they name is over at the venue, and give
the answers back as `history` records, so that a recording has them too. What cannot be had is
answered with nothing: the series then warms up with the bars that follow. It does so too while a
venue fails, which is asked again, ever more slowly, for as long as its answer would be of use.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from prometheus_client import Counter, Gauge

from connectors.history import GRACE
from flows.bar_series import MOST_COLLECTED, HistoryWish
from market.errors import HistoryError
from market.events import Bar, History
from market.instruments import symbol_of
from market.intervals import SECOND, Interval
from sinks.unexpected import Contained

Stored: TypeAlias = Callable[[HistoryWish], list[Bar]]
Candles: TypeAlias = Callable[[HistoryWish], History]

WORKERS = 4
"""Answers that are fetched at once."""
WARNED_AFTER = 5
"""Tries of one wish after which the log warns; later failures are not worth a line."""
FIRST_PAUSE_S = 2.0
"""Before the second try; every further pause is twice as long."""
LONGEST_PAUSE_S = 60.0
"""Unless the venue wants a longer one."""
TURN_S = 0.2
NEVER = 1 << 62

LOADED = Counter(
    "candlewax_history_loaded_total", "Series whose past was loaded, by where from", ["source"]
)
AWAITED = Gauge("candlewax_history_awaited", "Series that wait for their past")

log = logging.getLogger(__name__)


class _Order(msgspec.Struct):
    """A wish and what has been tried for it."""

    wish: HistoryWish
    due: int
    tries: int = 0


class WarmUp:
    """Loads bars of the past for one process.

    Args:
        stored: returns what the database has of the wished bars, oldest first.
        candles: asks the venue.
        tells_sides: whether what is stored of an instrument says how much was bought.
        tell: takes the body of a `history` record to a symbol's market.
        now: our clock, ns UTC.
    """

    def __init__(
        self,
        *,
        stored: Stored,
        candles: Candles,
        tells_sides: Callable[[str], bool],
        tell: Callable[[str, bytes], None],
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._stored = stored
        self._candles = candles
        self._tells_sides = tells_sides
        self._tell = tell
        self._now = now
        self._orders: dict[tuple[str, str], _Order] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # Daemons: a venue that makes us wait does not keep the program from ending.
        self._threads = [
            threading.Thread(target=self._run, name=f"warm-up-{number}", daemon=True)
            for number in range(WORKERS)
        ]
        self._wanted = self._done = 0

    def start(self) -> None:
        """Begin to fulfil wishes."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Fulfil no more of them."""
        self._stopping.set()

    @property
    def progress(self) -> tuple[int, int]:
        """How many series have their past, and how many wanted it."""
        with self._lock:
            return self._done, self._wanted

    def wish(self, wish: HistoryWish) -> None:
        """Take a wish; one of the same bars that waits already is fulfilled with it."""
        key = wish.instrument, wish.interval
        with self._lock:
            earlier = self._orders.get(key)
            if earlier is not None:
                wish = both(earlier.wish, wish)
                if earlier.wish == wish:
                    return
            due = wish.until + wish.clock_offset + GRACE
            self._wanted += earlier is None
            self._orders[key] = _Order(wish, due)
            AWAITED.set(len(self._orders))

    def _run(self) -> None:
        while not self._stopping.wait(TURN_S):
            while (order := self._next()) is not None and not self._stopping.is_set():
                wish = order.wish
                with Contained(
                    log, "warm-up", "no history, by a bug: indicators warm up with what follows",
                    instrument=wish.instrument, interval=wish.interval,
                ) as contained:  # fmt: skip
                    self._fulfil(order)
                if contained.failed:
                    # One that raises too ends the thread, and with it the flow.
                    self._answer(order, _nothing(order.wish))

    def _next(self) -> _Order | None:
        """Return an order that is due, which is then ours, or None."""
        now = self._now()
        with self._lock:
            due = [each for each in self._orders.values() if each.due <= now]
            # A venue that fails does not keep others waiting.
            order = min(due, key=lambda each: each.tries, default=None)
            if order is not None:
                order.due = NEVER  # until its answer is there
        return order

    def _fulfil(self, order: _Order) -> None:
        wish = order.wish
        bars = self._stored(wish)
        if is_whole(bars, wish):
            history = History(
                instrument=wish.instrument,
                interval=wish.interval,
                bars=tuple(bars),
                until=wish.until,
                tells_sides=self._tells_sides(wish.instrument),
                asked=wish.bars,
            )
            source = "database"
        else:
            try:
                history = msgspec.structs.replace(self._candles(wish), asked=wish.bars)
            except HistoryError as error:
                self._try_again(order, error)
                return
            source = "venue"
        LOADED.labels(source).inc()
        self._answer(order, history)
        log.info(
            "history loaded",
            extra={
                "instrument": wish.instrument,
                "interval": wish.interval,
                "bars": len(history.bars),
                "source": source,
                "progress": "{} of {}".format(*self.progress),
            },
        )

    def _try_again(self, order: _Order, error: HistoryError) -> None:
        order.tries += 1
        wish = order.wish
        facts = {"instrument": wish.instrument, "interval": wish.interval, "reason": str(error)}
        if error.is_final or self._now() >= useful_until(wish):
            log.info("no history: indicators warm up with what follows", extra=facts)
            self._answer(order, _nothing(wish))
            return
        # The power is bounded, for nobody knows how long a venue stays away.
        pause = min(FIRST_PAUSE_S * 2 ** min(order.tries - 1, 10), LONGEST_PAUSE_S)
        pause = max(pause, error.retry_after_s)
        facts["again_in_s"] = f"{pause:g}"
        if order.tries < WARNED_AFTER:
            log.info("no history yet", extra=facts)
        elif order.tries == WARNED_AFTER:
            log.warning("no history yet: indicators warm up with what follows", extra=facts)
        with self._lock:
            order.due = self._now() + int(pause * SECOND)

    def _answer(self, order: _Order, history: History) -> None:
        key = order.wish.instrument, order.wish.interval
        with self._lock:
            if self._orders.get(key) is order:
                del self._orders[key]
                self._done += 1
            AWAITED.set(len(self._orders))
        self._tell(symbol_of(order.wish.instrument), msgspec.json.encode(history))


def both(earlier: HistoryWish, later: HistoryWish) -> HistoryWish:
    """Return the wish that fulfils two of the same instrument and interval."""
    length = Interval.parse(later.interval).length
    until = max(earlier.until, later.until)
    begin = min(wish.until - wish.bars * length for wish in (earlier, later))
    return msgspec.structs.replace(later, until=until, bars=(until - begin) // length)


def useful_until(wish: HistoryWish) -> int:
    """Return when nobody waits for an answer any more, ns of our clock.

    So many bars are kept for it; a series that has seen more of them does without.
    """
    length = Interval.parse(wish.interval).length
    return wish.until + wish.clock_offset + MOST_COLLECTED * length


def is_whole(bars: list[Bar], wish: HistoryWish) -> bool:
    """Tell whether stored bars are all that was wished for, with none missing and none marked."""
    length = Interval.parse(wish.interval).length
    end = wish.until
    for bar in reversed(bars):
        if bar.end != end or bar.gap or bar.partial:
            return False
        end -= length
    return len(bars) >= wish.bars


def _nothing(wish: HistoryWish) -> History:
    return History(
        instrument=wish.instrument,
        interval=wish.interval,
        bars=(),
        until=wish.until,
        asked=wish.bars,
    )
