"""Hours of the day in which people do not want to be woken."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from market.intervals import SECOND

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class QuietHours(msgspec.Struct, frozen=True):
    """From one time of the day to another, over midnight when the second is the earlier.

    Attributes:
        start: first quiet minute, local time.
        end: first minute that is not quiet any more.
        zone: whose time it is.
    """

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> "QuietHours":
        """Read `"22:00-07:00"`.

        Raises:
            ValueError: it is not two times of the day, or they are the same.
        """
        found = _HOURS.fullmatch(text.replace(" ", ""))
        if found is None:
            raise ValueError(f"{text!r}: expected two times of the day, as in '22:00-07:00'")
        start_hour, start_minute, end_hour, end_minute = map(int, found.groups())
        start, end = time(start_hour, start_minute), time(end_hour, end_minute)
        if start == end:
            raise ValueError(f"{text!r}: begins when it ends; leave it empty for no quiet hours")
        return cls(start, end, zone)

    def until(self, now: int) -> int | None:
        """Return when the quiet hours end that `now` is in, ns UTC; None when it is in none.

        The clock on the wall decides: on the two days of the year on which it jumps, the hours are
        longer or shorter by as much.

        Example:
            >>> night = QuietHours.parse("22:00-07:00", ZoneInfo("Europe/Berlin"))
            >>> at = int(datetime(2026, 1, 10, 22, 30, tzinfo=UTC).timestamp()) * 10**9
            >>> datetime.fromtimestamp(night.until(at) / 10**9, UTC).isoformat()
            '2026-01-11T06:00:00+00:00'
        """
        local = datetime.fromtimestamp(now // SECOND, self.zone)
        clock = local.time()
        if self.start < self.end:
            is_quiet = self.start <= clock < self.end
        else:
            is_quiet = clock >= self.start or clock < self.end
        if not is_quiet:
            return None
        end = datetime.combine(local.date(), self.end, tzinfo=self.zone)
        if clock >= self.end:
            end = datetime.combine(local.date() + timedelta(days=1), self.end, tzinfo=self.zone)
        return int(end.astimezone(UTC).timestamp()) * SECOND


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name, `"Europe/Berlin"`.

    Raises:
        ValueError: there is none of that name here.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone known here: expected a name such as 'Europe/Berlin' or 'UTC'"
        ) from None
