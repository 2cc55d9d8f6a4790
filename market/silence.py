"""Whether a channel that should speak is silent.

A book that does not change is true as long as the venue would tell us of a change; a channel that
has stopped on a connection that goes on shows just the same. What tells them apart is how often the
channel spoke before: nothing for four seconds means nothing where a message comes now and then, and
it means that something is wrong where five came every second.
"""

import msgspec

from market.intervals import SECOND

SAME_MOMENT = SECOND // 100
"""Messages that come within this time count as one: a single order makes many trades, and they are
no sign of how long a pause may be."""
WINDOW = 120 * SECOND
"""How far back the rate is taken from: long enough that it is known to a few per cent, short enough
that it follows the market."""
LEAST_MOMENTS = 100
"""With fewer in the window the rate is too uncertain to judge a pause by: the channel is quiet."""
LEAST_SPAN = 10 * SECOND
"""A channel is known only after it was watched for so long: it may have begun with a burst."""
LEAST_SILENCE = 3 * SECOND
"""A shorter pause is never a silence, however busy the channel: networks pause, and so do we."""
UNLIKELY = 16
"""So many messages must be missing: by chance a channel does that with a probability of e^-16 for
each message. It makes less than one false alarm in a thousand hours of a channel of any rate, and
still finds one of five messages a second within five seconds, up to the next heartbeat included."""
PAUSE_FACTOR = 1.5
"""A silence is longer than the longest pause lately by this factor: real markets come in bursts."""
REMEMBERED = 300 * SECOND
"""How long the longest pause is remembered, at least; at most twice that."""
MOST_BETWEEN_LOOKS = 5 * SECOND // 2
"""Heartbeats come every second. After a longer time it was us who did not look: what came meanwhile
waits to be read, so nothing is judged."""


class ChannelWatch(msgspec.Struct):
    """Watches one channel of one instrument; looked at once a second, by its heartbeat.

    Attributes:
        is_silent: nothing came for longer than can be, for as often as the channel spoke.
        rate: how often it spoke, moments a second, when the silence was found.

    State: about 120 pairs of numbers.
    """

    is_silent: bool = False
    rate: float = 0.0
    _looks: list[tuple[int, int]] = []  # moments, and the time in which they came
    _moments: int = 0
    _span: int = 0
    _count: int = 0
    _looked_at: int = 0
    _from: int = 0
    _silence: int = 0
    _pause: int = 0
    _pause_before: int = 0
    _pause_until: int = 0

    def look(self, now: int, moments: int, last: int) -> bool:
        """A second has passed.

        Args:
            now: our clock, ns.
            moments: how many moments the channel has spoken in so far, `SAME_MOMENT` apart.
            last: when it last spoke, our clock, ns.

        Returns:
            Whether it is silent.
        """
        came = moments - self._count
        passed = now - self._looked_at
        if not self._looked_at or (passed > MOST_BETWEEN_LOOKS and not self.is_silent):
            self._count, self._looked_at, self._from = moments, now, now
            return self.is_silent
        if self.is_silent:
            if came:
                self.spoke(now)
                self._note(came, passed)
                self._count, self._looked_at = moments, now
            return self.is_silent
        self._count, self._looked_at = moments, now
        self._note(came, passed)
        if came:
            self._remember(self._silence, now)  # as long as it was when we last looked
        self._silence = now - max(last, self._from)
        self.is_silent = self._is_too_long(self._silence)
        return self.is_silent

    def spoke(self, now: int, *, is_broken: bool = False) -> None:
        """The channel speaks again, or nothing is expected of it any more.

        Args:
            now: our clock, ns.
            is_broken: messages were lost, so the silence was none of the market's. Otherwise it may
                have been a pause, and the next one must be longer to be called a silence.
        """
        if self.is_silent and not is_broken:
            self._remember(self._limit(), now)
        self.is_silent = False
        self._silence = 0

    def pause(self) -> None:
        """Expect nothing until the next look: the channel begins anew; its rate is remembered."""
        self._looked_at = self._silence = 0

    def _note(self, came: int, passed: int) -> None:
        looks = self._looks
        looks.append((came, passed))
        self._moments += came
        self._span += passed
        while self._span > WINDOW and len(looks) > 1:
            gone, span = looks.pop(0)
            self._moments -= gone
            self._span -= span

    def _is_too_long(self, silence: int) -> bool:
        if silence < LEAST_SILENCE or self._moments < LEAST_MOMENTS:
            return False
        spoken = self._span - silence  # the silence itself says nothing of the rate before it
        if spoken < LEAST_SPAN:
            return False
        self.rate = self._moments * SECOND / spoken
        return silence >= self._limit()

    def _limit(self) -> int:
        longest = max(self._pause, self._pause_before)
        unlikely = int(UNLIKELY * SECOND / self.rate)
        return max(LEAST_SILENCE, unlikely, int(PAUSE_FACTOR * longest))

    def _remember(self, pause: int, now: int) -> None:
        if now > self._pause_until:
            self._pause_before = self._pause if now <= self._pause_until + REMEMBERED else 0
            self._pause = 0
            self._pause_until = now + REMEMBERED
        self._pause = max(self._pause, pause)
