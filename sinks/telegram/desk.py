"""What happens when somebody commands the bot or presses a button."""

from collections.abc import Callable, Mapping

import msgspec
import psycopg

from market.errors import ConfigError
from market.intervals import SECOND
from sinks import outbox_report
from sinks.acknowledgements import acknowledge, acknowledged_by, carried_keys
from sinks.alert_facts import read_facts
from sinks.alert_settings import Role
from sinks.explanation import explain
from sinks.message import Composer, cut
from sinks.mutes import LONGEST_S, Mute, active_mutes, add_mute, lift_mutes
from sinks.telegram.buttons import Button
from sinks.telegram.commands import COMMANDS, Command, help_text, read_length
from sinks.telegram.names import followed_symbol, spec_or_symbol, spelled_symbol
from sinks.telegram.services import Services

SNOOZE_S = 3600
NEWEST = 10
"""Alerts that `/alerts` shows."""


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and from where.

    Attributes:
        name: in `[telegram.users]`.
        role: what they may do.
        target: name of the chat's target; None for a chat that is no target, where a mute concerns
            every one.
    """

    name: str
    role: Role
    target: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the bot says.

    Attributes:
        text: plain.
        picture: PNG, or None.
        notice: a short form for whoever pressed a button; empty where there was none.
        shown: whether the chat sees the text, too.
    """

    text: str
    picture: bytes | None = None
    notice: str = ""
    shown: bool = True


class Desk:
    """Answers; every call may use the database, and none waits for anything else.

    Args:
        services: what comes from the rooms above.
        composer: knows whose local time is told.
    """

    def __init__(self, services: Services, composer: Composer) -> None:
        self._services = services
        self._composer = composer
        self._acts: Mapping[str, Callable[..., Answer]] = {
            "alert": self._alert,
            "alerts": self._alerts,
            "delete": self._delete,
            "rules": self._rules,
            "mute": self._mute,
            "unmute": self._unmute,
            "status": self._status,
            "chart": self._chart,
            "why": self._why,
            "help": self._help,
            "start": self._help,
        }

    def answer(
        self, connection: psycopg.Connection, command: Command, asker: Asker, now: int
    ) -> Answer:
        """Do what a command asks for.

        Args:
            connection: in autocommit mode.
            command: as it was read.
            asker: who asks; known already.
            now: our clock, ns UTC.
        """
        act = self._acts.get(command.name)
        if act is None:
            return Answer(text=f"There is no /{cut(command.name, 30)}. /help tells what there is.")
        usage = COMMANDS.get(command.name)
        if usage is not None and not asker.role.may(usage.needs):
            return Answer(text=f"/{command.name} needs the role {usage.needs}; yours: {asker.role}")
        try:
            return act(connection, command.words, asker, now)
        except ConfigError as error:
            return Answer(text=str(error))

    def press(
        self,
        connection: psycopg.Connection,
        button: Button,
        outbox_id: int,
        asker: Asker,
        now: int,
    ) -> Answer:
        """Do what a button under an alert asks for.

        Args:
            connection: in autocommit mode.
            button: which.
            outbox_id: the row that the message stands for.
            asker: who asks; known already.
            now: our clock, ns UTC.
        """
        if button is not Button.WHY and not asker.role.may(Role.OPERATOR):
            return _notice(f"{button.label} needs the role operator; yours: {asker.role}")
        keys = carried_keys(connection, outbox_id)
        facts = read_facts(connection, keys)
        if not facts:
            return _notice("That alert is not stored any more.")
        known = [facts[key] for key in keys if key in facts]
        if button is Button.ACK:
            return self._acknowledge(connection, keys, asker, now)
        if button is Button.WHY:
            parts = [
                explain(one, self._composer, acked_by=acknowledged_by(connection, one.key))
                for one in known[:NEWEST]
            ]
            if len(known) > NEWEST:
                parts.append(f"and {len(known) - NEWEST} more")
            return Answer(text="\n\n".join(parts), notice="Why")
        ends_at = now + SNOOZE_S * SECOND if button is Button.SNOOZE else None
        wanted = list(dict.fromkeys((one.spec, one.symbol) for one in known))
        for spec, symbol in wanted:
            add_mute(
                connection,
                Mute(
                    target=asker.target,
                    spec=spec,
                    symbol=symbol,
                    ends_at=ends_at,
                    created_by=asker.name,
                ),
                now=now,
            )
        names = ", ".join(f"{spec} on {symbol}" for spec, symbol in wanted)
        length = "for 1 h" if ends_at is not None else "until /unmute"
        return Answer(text=f"{asker.name} muted {names} {length}", notice=f"muted {length}")

    def _acknowledge(
        self, connection: psycopg.Connection, keys: list[str], asker: Asker, now: int
    ) -> Answer:
        new = acknowledge(connection, keys, by=asker.name, now=now)
        if not new:
            by = acknowledged_by(connection, keys[0])
            return _notice(f"already acknowledged by {by}")
        count = "" if len(new) == 1 else f" {len(new)} alerts"
        text = f"acknowledged{count} by {asker.name}"
        return Answer(text=text, notice=text)

    def _alert(
        self, _connection: psycopg.Connection, words: tuple[str, ...], asker: Asker, _now: int
    ) -> Answer:
        add = self._services.add_spec
        if add is None:
            return _absent("adding specs")
        if not words:
            return _usage("alert")
        return Answer(text=add(" ".join(words), asker.name, asker.target))

    def _delete(
        self, _connection: psycopg.Connection, words: tuple[str, ...], asker: Asker, _now: int
    ) -> Answer:
        delete = self._services.delete_spec
        if delete is None:
            return _absent("deleting specs")
        if len(words) != 1:
            return _usage("delete")
        return Answer(text=delete(words[0], asker.name, asker.role.may(Role.OWNER)))

    def _rules(
        self, _connection: psycopg.Connection, _words: tuple[str, ...], _asker: Asker, _now: int
    ) -> Answer:
        listing = self._services.list_specs
        if listing is None:
            return _absent("the list of specs")
        return Answer(text="\n".join(listing()) or "no specs")

    def _why(
        self, connection: psycopg.Connection, words: tuple[str, ...], _asker: Asker, _now: int
    ) -> Answer:
        why = self._services.why
        if why is None:
            return _absent("explaining specs; the button Why under an alert works")
        if len(words) != 2:
            return _usage("why")
        return Answer(text=why(words[0], spelled_symbol(connection, words[1])))

    def _chart(
        self, connection: psycopg.Connection, words: tuple[str, ...], _asker: Asker, _now: int
    ) -> Answer:
        chart = self._services.chart
        if chart is None:
            return _absent("drawing charts")
        if len(words) != 1:
            return _usage("chart")
        symbol = followed_symbol(connection, words[0])
        picture = chart(words[0])
        text = symbol if picture is not None else f"{symbol}: there is nothing to draw yet"
        return Answer(text=text, picture=picture)

    def _help(
        self, _connection: psycopg.Connection, _words: tuple[str, ...], asker: Asker, _now: int
    ) -> Answer:
        return Answer(text=help_text(asker.role))

    def _alerts(
        self, connection: psycopg.Connection, _words: tuple[str, ...], _asker: Asker, _now: int
    ) -> Answer:
        rows = outbox_report.newest(connection, limit=NEWEST)
        lines = [
            f"{self._composer.moment(row.fired_at)} {row.state} {row.target}\n"
            f"  {cut(' '.join(row.text.split()), 100)}"
            for row in rows
        ]
        return Answer(text="\n".join([*lines, _sums(outbox_report.counts(connection))]))

    def _status(
        self, connection: psycopg.Connection, _words: tuple[str, ...], asker: Asker, now: int
    ) -> Answer:
        lines = []
        if self._services.status is not None:
            lines.append(self._services.status())
        lines.append(_sums(outbox_report.counts(connection)))
        mutes = active_mutes(connection, now=now, target=asker.target)
        lines += [f"mute {mute.id}: {self._told(mute)}" for mute in mutes]
        return Answer(text="\n".join(lines))

    def _mute(
        self, connection: psycopg.Connection, words: tuple[str, ...], asker: Asker, now: int
    ) -> Answer:
        *names, last = words or ("",)
        length = read_length(last)
        if length is None:
            names = list(words)
        if len(names) > 1:
            return _usage("mute")
        if length is not None and length > LONGEST_S:
            return Answer(
                text=f"A mute lasts {LONGEST_S // 86_400} days at most: write a shorter time, or"
                " none, and it lasts until /unmute."
            )
        name = names[0] if names else "all"
        spec, symbol = None, None
        if name.lower() != "all":
            watched = self._services.spec_ids
            spec, symbol = spec_or_symbol(connection, name, watched() if watched else ())
        mute = Mute(
            target=asker.target,
            spec=spec,
            symbol=symbol,
            ends_at=None if length is None else now + length * SECOND,
            created_by=asker.name,
        )
        number = add_mute(connection, mute, now=now)
        return Answer(text=f"mute {number}: {self._told(mute)}; /unmute {number} ends it")

    def _unmute(
        self, connection: psycopg.Connection, words: tuple[str, ...], asker: Asker, _now: int
    ) -> Answer:
        if len(words) > 1:
            return _usage("unmute")
        what = words[0] if words else None
        lifted = lift_mutes(connection, target=asker.target, what=what)
        if not lifted and what is not None:
            what = spelled_symbol(connection, what)
            lifted = lift_mutes(connection, target=asker.target, what=what)
        if not lifted:
            return Answer(text="There is no such mute; /status lists them.")
        return Answer(text="ended: " + ", ".join(mute.what for mute in lifted))

    def _told(self, mute: Mute) -> str:
        until = "lifted" if mute.ends_at is None else self._composer.moment(mute.ends_at)
        where = mute.target if mute.target is not None else "every target"
        return f"{mute.what} to {where} until {until}, by {mute.created_by}"


def _notice(text: str) -> Answer:
    return Answer(text=text, notice=text, shown=False)


def _absent(what: str) -> Answer:
    return Answer(text=f"Not available here: {what}. This process was started without it.")


def _usage(name: str) -> Answer:
    return Answer(text=f"Write it as /{name} {COMMANDS[name].arguments}")


def _sums(counted: Mapping[str, int]) -> str:
    parts = [f"{count} {state}" for state, count in counted.items() if count]
    return f"{sum(counted.values())} fired: {', '.join(parts) or 'none'}"
