"""How often this process may connect to a venue's host and ask it something.

A venue counts by address: all connections of a process share one budget for each host, whatever
feed they belong to. A budget is spent without waiting: who gets none is told when to come back.
"""

import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from connectors.contract import Limits, Venue
from market.intervals import SECOND


class Budget:
    """Earns a steady number a second, up to a most; begins full.

    Args:
        most: what may be spent at once.
        per_s: what is earned in a second.
        now: a clock in ns that only goes forward.
    """

    def __init__(self, most: float, per_s: float, now: int) -> None:
        self._most = most
        self._per_s = per_s
        self._has = most
        self._at = now

    def spend(self, amount: float, now: int) -> float:
        """Spend `amount`, or return the seconds until there is enough; 0 when it was spent.

        More than a full budget costs a full one.
        """
        self._has = min(self._most, self._has + max(0, now - self._at) / SECOND * self._per_s)
        self._at = max(self._at, now)
        amount = min(amount, self._most)
        if self._has >= amount:
            self._has -= amount
            return 0.0
        return (amount - self._has) / self._per_s

    def empty(self, now: int) -> None:
        """Have nothing, and earn again from `now` on."""
        self._has = 0.0
        self._at = now


class HostLimiter:
    """The budget of one host, used by many threads.

    Args:
        limits: what the venue allows.
        clock: ns; only goes forward.
    """

    def __init__(self, limits: Limits, clock: Callable[[], int] = time.monotonic_ns) -> None:
        now = clock()
        self._clock = clock
        self._connects = Budget(limits.connects, limits.connects_per_s, now)
        self._requests = Budget(limits.weight, limits.weight_per_s, now)
        self._refused_until = now
        self._lock = threading.Lock()

    def connect(self) -> float:
        """Return 0 when a connection may be opened now, else the seconds until one may."""
        return self._spend(self._connects, 1)

    def ask(self, weight: float = 1) -> float:
        """Return 0 when a request may be made now, else the seconds until it may."""
        return self._spend(self._requests, weight)

    def refused(self, wait_s: float) -> None:
        """The host wants to hear nothing for so long; afterwards budgets begin empty."""
        with self._lock:
            until = self._clock() + int(wait_s * SECOND)
            self._refused_until = max(self._refused_until, until)
            self._connects.empty(self._refused_until)
            self._requests.empty(self._refused_until)

    def _spend(self, budget: Budget, amount: float) -> float:
        with self._lock:
            now = self._clock()
            if now < self._refused_until:
                return (self._refused_until - now) / SECOND
            return budget.spend(amount, now)


_hosts: dict[tuple[str, str], HostLimiter] = {}
_hosts_lock = threading.Lock()


def limiter_of(venue: Venue, url: str) -> HostLimiter:
    """Return the one limiter of this process for the host of `url`."""
    host = urlsplit(url).netloc
    with _hosts_lock:
        limiter = _hosts.get((venue.name, host))
        if limiter is None:
            limiter = _hosts[venue.name, host] = HostLimiter(venue.limits)
        return limiter
