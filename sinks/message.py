"""What a target is given to deliver: one alert, or several in a digest.

Pure: texts from rows and facts. Everything is plain text; a target that needs another form escapes
it itself.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from market.intervals import SECOND
from sinks.alert_facts import AlertFacts
from sinks.outbox_row import REPEAT_MARK, OutboxRow

MOST = 30
"""Alerts that one digest carries."""
LINE_LIMIT = 110
"""UTF-16 units of one alert in a digest, as Telegram counts; fewer where there is no room."""
TEXT_LIMIT = 3500
"""UTF-16 units of a body; with its details it fits into Telegram's 4,096."""
PICTURE_NAME = "chart.png"
CUT = "…"
STORE_AWAY = "the database is away: no picture or buttons"

Link = Callable[[str, str], str]
"""From venue and symbol to the address of the market's page; empty where there is none."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message.

    Attributes:
        body: what it says, plain text.
        details: where, when, at what price, plain text; empty when nothing is known of it.
        key: identity, the same at every attempt with the same alerts.
        rows: the alerts' rows, the one that carries the others first.
        facts: what is stored of them, by key.
        picture: PNG, or None.
    """

    body: str
    details: str = ""
    key: str = ""
    rows: tuple[OutboxRow, ...] = ()
    facts: dict[str, AlertFacts] = {}
    picture: bytes | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.body}\n{self.details}" if self.details else self.body

    @property
    def subject(self) -> str:
        """Its first line, not too long."""
        return cut(self.body.partition("\n")[0], 150)


class Composer(msgspec.Struct, frozen=True):
    """Makes messages.

    Attributes:
        zone: whose local time is told.
        link: address of a market's page.
    """

    zone: ZoneInfo
    link: Link = lambda _venue, _symbol: ""

    def one(self, row: OutboxRow, facts: AlertFacts | None) -> Message:
        """Return the message of one alert."""
        body = self._why_now(row, facts) + row.text
        return Message(
            body=cut(body, TEXT_LIMIT),
            details=self._details(row, facts) if facts is not None else "",
            key=f"{row.alert_key} {row.target}",
            rows=(row,),
            facts={} if facts is None else {facts.key: facts},
        )

    def without_store(self, rows: Sequence[OutboxRow], facts: Mapping[str, AlertFacts]) -> Message:
        """Return one message of alerts of which nothing can be looked up now.

        Args:
            rows: as in `digest`, one or more.
            facts: what is known of them without the store.
        """
        message = self.digest(rows, facts)
        details = "\n".join(part for part in (message.details, STORE_AWAY) if part)
        return msgspec.structs.replace(message, details=details)

    def digest(self, rows: Sequence[OutboxRow], facts: Mapping[str, AlertFacts]) -> Message:
        """Return one message of several alerts, by symbol, in their order.

        Args:
            rows: at most `MOST`; one alone gives its own message.
            facts: what is stored of them, by key.
        """
        if len(rows) == 1:
            return self.one(rows[0], facts.get(rows[0].alert_key))
        groups: dict[str, list[OutboxRow]] = {}
        for row in rows:
            known = facts.get(row.alert_key)
            groups.setdefault("" if known is None else known.symbol, []).append(row)
        if len(groups) == 1:
            (symbol,) = groups
            title = f"{len(rows)} alerts in {symbol}" if symbol else f"{len(rows)} alerts"
        else:
            title = f"{len(rows)} alerts in {len(groups)} symbols"
        first = rows[0]
        why = " (from the quiet hours)" if first.was_held else ""
        lines = [f"{title}, {first.severity}{why}"]
        heads = {
            symbol: f"{len(members)} in {cut(symbol, 24) or 'others'}:"
            for symbol, members in groups.items()
            if len(groups) > 1
        }
        # No alert may fall off the end of a message: it would count as told.
        room = TEXT_LIMIT - sum(len(text) + 1 for text in (*lines, *heads.values()))
        limit = min(LINE_LIMIT, room // len(rows) - 1)
        for symbol, members in groups.items():
            lines += [heads[symbol]] if symbol in heads else []
            lines += [cut(self._line(row, facts.get(row.alert_key)), limit) for row in members]
        return Message(
            body="\n".join(lines),
            details=f"times in {self.zone.key}",
            key=f"{first.alert_key} {first.target} +{len(rows) - 1}",
            rows=tuple(rows),
            facts=dict(facts),
        )

    def _line(self, row: OutboxRow, facts: AlertFacts | None) -> str:
        text = " ".join(row.text.split())
        mark = ""
        if text.startswith(REPEAT_MARK):
            mark, text = REPEAT_MARK, text.removeprefix(REPEAT_MARK)
        over = ""
        if row.was_held and facts is not None and facts.ended_at is not None:
            over = f"over since {self._clock(facts.ended_at)}: "
        return f"- {self._clock(row.fired_at)} {mark}{over}{text}"

    def _why_now(self, row: OutboxRow, facts: AlertFacts | None) -> str:
        if row.escalates is not None:
            return f"not acknowledged at {row.escalates}: "
        if not row.was_held:
            return ""
        if facts is not None and facts.ended_at is not None:
            return (
                f"over ({self._clock(row.fired_at)} to {self._clock(facts.ended_at)},"
                " in quiet hours): "
            )
        return f"since {self._clock(row.fired_at)} (quiet hours), no end seen: "

    def _details(self, row: OutboxRow, facts: AlertFacts) -> str:
        where = [facts.venue, facts.symbol, *([facts.interval] if facts.interval else [])]
        price = "" if facts.price is None else f" · price {number(facts.price)}"
        lines = [
            f"{' '.join(where)}{price} · {row.severity}",
            f"decided {facts.age_ns / SECOND:.1f} s after the market's time",
            self.moment(facts.fired_at),
        ]
        link = self.link(facts.venue, facts.symbol)
        return "\n".join([*lines, link] if link else lines)

    def moment(self, ns: int) -> str:
        """Return a moment in local time and UTC, `2026-11-20 14:03:05 (13:03:05 UTC)`."""
        utc = datetime.fromtimestamp(ns // SECOND, UTC)
        if self.zone.key == "UTC":
            return f"{utc:%Y-%m-%d %H:%M:%S} UTC"
        local = utc.astimezone(self.zone)
        return f"{local:%Y-%m-%d %H:%M:%S %Z} ({utc:%H:%M:%S} UTC)"

    def _clock(self, ns: int) -> str:
        return f"{datetime.fromtimestamp(ns // SECOND, self.zone):%H:%M:%S}"


def number(value: float) -> str:
    """Return a price as people write it.

    Example:
        >>> number(70123.4), number(0.05012), number(1e-08)
        ('70,123.4', '0.05012', '0.00000001')
    """
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return text if text not in ("0", "-0") else f"{value:g}"


def cut(text: str, limit: int) -> str:
    """Return `text`, ended with `…` where it has more UTF-16 units than `limit`.

    Example:
        >>> cut("abcdef", 4), cut("abcd", 4)
        ('abc…', 'abcd')
    """
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * limit:
        return units.decode("utf-16-le")
    # "ignore" drops the half of a letter that the cut may leave.
    return units[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + CUT
