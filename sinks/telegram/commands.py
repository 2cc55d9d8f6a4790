"""What people may ask of a bot, and who may.

Pure: from a text to a command. What it does is in `sinks.telegram.desk`.
"""

import re

import msgspec

from sinks.alert_settings import Role

_HOURS = re.compile(r"([0-9]{1,5})(s|m|h|d)", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Usage(msgspec.Struct, frozen=True):
    """One command.

    Attributes:
        arguments: as people write them after it.
        help: what it does.
        needs: the least role that may.
    """

    arguments: str
    help: str
    needs: Role = Role.VIEWER


COMMANDS: dict[str, Usage] = {
    "alert": Usage("SYMBOL > PRICE", "fire once when a price is crossed", Role.OPERATOR),
    "alerts": Usage("", "the newest alerts, and what became of all"),
    "delete": Usage("SPEC", "delete a spec that you made here; an owner any", Role.OPERATOR),
    "rules": Usage("", "the specs that are watched"),
    "mute": Usage("[SPEC|SYMBOL|all] [2h]", "silence alerts to this chat", Role.OPERATOR),
    "unmute": Usage("[NUMBER|SPEC|SYMBOL]", "end mutes; all, without a name", Role.OPERATOR),
    "status": Usage("", "whether everything works"),
    "chart": Usage("SYMBOL", "a picture of a market"),
    "why": Usage("SPEC SYMBOL", "why a spec fired last, or did not"),
    "help": Usage("", "this text"),
}
"""Every command, by its name."""


class Command(msgspec.Struct, frozen=True):
    """What somebody asked for.

    Attributes:
        name: without the slash, lower case; it may be unknown.
        words: what followed it.
    """

    name: str
    words: tuple[str, ...] = ()


def read_command(text: str, bot: str) -> Command | None:
    """Return the command in a message; None when it is none, or meant for another bot.

    Args:
        text: the message.
        bot: our user name, without `@`.

    Example:
        >>> read_command("/mute BTC-USDT 2h", "wax_bot")
        Command(name='mute', words=('BTC-USDT', '2h'))
        >>> read_command("/help@other_bot", "wax_bot") is None
        True
    """
    words = text.split()
    if not words or not words[0].startswith("/") or len(words[0]) < 2:
        return None
    name, at, whom = words[0][1:].partition("@")
    if at and whom.lower() != bot.lower():
        return None
    return Command(name.lower(), tuple(words[1:]))


def read_length(text: str) -> int | None:
    """Return a length of time such as `90s`, `30m`, `2h` or `1d` in seconds; None when it is none.

    Example:
        >>> read_length("2h"), read_length("2"), read_length("0h")
        (7200, None, None)
    """
    found = _HOURS.fullmatch(text.lower())
    if found is None or int(found[1]) == 0:
        return None
    return int(found[1]) * _UNITS[found[2]]


def help_text(role: Role) -> str:
    """Return the commands that somebody of this role may give, a line each."""
    lines = [
        f"/{name} {usage.arguments}".rstrip() + f": {usage.help}"
        for name, usage in COMMANDS.items()
        if role.may(usage.needs)
    ]
    return "\n".join([f"You are {role}. You may ask for:", *lines])
