"""The open rows of one instrument's gap ledger."""

from collections.abc import Iterable

import msgspec

from flows.market_output import MarketOutput
from market.events import GapInterval


class GapIntervals:
    """Opens and closes intervals in which data may be missing, one at a time for each channel.

    Attributes:
        open: what is open, by channel. An earlier run may have left several behind: it died before
            it could tell their end.
    """

    def __init__(self, instrument: str) -> None:
        self.open: dict[str, list[GapInterval]] = {}
        self._instrument = instrument

    def begin(self, channel: str, reason: str, started: int, out: MarketOutput) -> None:
        """Open a row, unless there is one."""
        if channel in self.open:
            return
        opened = GapInterval(
            instrument=self._instrument, channel=channel, reason=reason, started=started
        )
        self.open[channel] = [opened]
        out.gaps = [*out.gaps, opened]

    def end(self, channel: str, now: int, out: MarketOutput) -> None:
        """Close what is open of a channel."""
        closed = [
            msgspec.structs.replace(opened, ended=max(now, opened.started))
            for opened in self.open.pop(channel, ())
        ]
        if closed:
            out.gaps = [*out.gaps, *closed]

    def inherit(self, left: Iterable[GapInterval]) -> None:
        """Take over rows that an earlier run has left open."""
        for gap in left:
            known = self.open.setdefault(gap.channel, [])
            if all(one.started // 1000 != gap.started // 1000 for one in known):  # stored in µs
                known.append(gap)

    def snapshot(self) -> dict[str, list[GapInterval]]:
        """Return a copy of what is open."""
        return {channel: list(opened) for channel, opened in self.open.items()}

    def restore(self, kept: dict[str, list[GapInterval]]) -> None:
        """Go on from a snapshot."""
        self.open.update(kept)
