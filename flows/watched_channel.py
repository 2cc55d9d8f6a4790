"""One channel of one instrument: how often it speaks, and what is said when it does not."""

import msgspec

from market.events import Silence
from market.intervals import SECOND
from market.silence import SAME_MOMENT, ChannelWatch

GOES_ON = SECOND
"""A connection goes on when it said anything so long after the channel's last word. A connection
that is silent as a whole is its own rule's business, which closes it."""
EXACT_BELOW = 2.0


class WatchedChannel(msgspec.Struct):
    """Keeps the channel's silence while there is one; who hears the channel counts its moments.

    Attributes:
        instrument: id.
        name: `"book"` or `"trade"`.
        silence: the one that lasts.
    """

    instrument: str
    name: str
    silence: Silence | None = None
    _watch: ChannelWatch = msgspec.field(default_factory=ChannelWatch)

    def look(self, now: int, moments: int, next_moment: int) -> Silence | None:
        """A second has passed: return the silence that begins or ends with it.

        Args:
            now: our clock, ns.
            moments: how many moments it has spoken in so far.
            next_moment: until then (our clock, ns) what it says belongs to the last of them.
        """
        moment = next_moment - SAME_MOMENT
        is_silent = self._watch.look(now, moments, moment)
        if is_silent and self.silence is None:
            rate = self._watch.rate
            shown = f"{rate:.1f}" if rate < EXACT_BELOW else f"{rate:.0f}"
            self.silence = Silence(
                instrument=self.instrument,
                channel=self.name,
                reason=f"no {self.name} messages for {(now - moment) / SECOND:.0f} s, "
                f"{shown} a second before",
                since=moment,
            )
            return self.silence
        return None if is_silent else self.ends(now)

    def ends(self, now: int, *, is_broken: bool = False) -> Silence | None:
        """The channel speaks again, or nothing is expected of it; return the silence this ends.

        Args:
            now: our clock, ns.
            is_broken: messages of it are known to be lost.
        """
        self._watch.spoke(now, is_broken=is_broken)
        silence, self.silence = self.silence, None
        return None if silence is None else msgspec.structs.replace(silence, ended=now)

    def pause(self) -> None:
        """Expect nothing of it before the next look."""
        self._watch.pause()
