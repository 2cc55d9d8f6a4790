"""What the sections `[alerts]` and `[telegram]` of the configuration hold."""

import difflib
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from market.errors import ConfigError

CONSOLE = "console"
TELEGRAM = "telegram/"
"""What the name of a Telegram target begins with; the chat's name follows."""

ChatId = int | str
"""A chat's number (negative for a group), or the `@name` of a public channel."""


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts are delivered.

    Attributes:
        max_age_s: seconds after which an alert that is still waiting is told to nobody.
        targets: where the alerts of a spec go that names no target; empty: every chat of
            `[telegram]` when there is a bot token, else the console.
    """

    max_age_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0
    targets: tuple[str, ...] = ()


class TelegramSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which chats alerts can go to. The token is no setting: it comes from the environment.

    Attributes:
        base_url: address of the Bot API, up to where the token follows.
        chats: name, as in `telegram/main`, to chat id.
    """

    base_url: str = "https://api.telegram.org/bot"
    chats: dict[str, ChatId] = {}

    def __post_init__(self) -> None:
        """Refuse what could only fail later, or could send the token to a wrong address."""
        check_base_url(self.base_url)
        for name, chat in self.chats.items():
            if not name or name != name.strip() or "/" in name:
                raise ValueError(f"chats: {name!r} is no name for a chat")
            if isinstance(chat, str) and not _is_chat(chat):
                raise ValueError(
                    f"chats.{name}: {chat!r} is neither a number nor a public channel's '@name'"
                )


def check_base_url(base_url: str) -> None:
    """Check the address of a Bot API.

    Raises:
        ValueError: it is not an http address that ends with `/bot`, where the token follows.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url: {base_url!r} is not an http or https address")
    if not parts.path.endswith("/bot") or parts.query or parts.fragment:
        raise ValueError(f"base_url: {base_url!r} must end with '/bot': the token follows it")


def target_names(telegram: TelegramSettings) -> tuple[str, ...]:
    """Return the names of all targets that the configuration knows."""
    return (CONSOLE, *(TELEGRAM + name for name in telegram.chats))


def resolve_targets(
    names: Iterable[str],
    alerts: AlertSettings,
    telegram: TelegramSettings,
    *,
    has_token: bool,
    where: str = "",
) -> tuple[str, ...]:
    """Return the targets that `names` mean, each once; the default ones when there are none.

    Args:
        names: as a spec or `alerts.targets` names them.
        alerts: holds the default targets.
        telegram: holds the chats.
        has_token: whether a bot token is set.
        where: the file or setting that holds the names, for the error.

    Raises:
        ConfigError: a target that is not configured, or a Telegram chat without a bot token.
    """
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        wanted = tuple(dict.fromkeys(alerts.targets))
        where = "alerts.targets"
    if not wanted:
        chats = target_names(telegram)[1:]
        return chats if has_token and chats else (CONSOLE,)
    known = target_names(telegram)
    place = f"{where}: " if where else ""
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{place}{_unknown(name, known)}")
        if name.startswith(TELEGRAM) and not has_token:
            raise ConfigError(
                f"{place}target {name!r} needs a bot token:"
                " set TELEGRAM_BOT_TOKEN or TELEGRAM_BOT_TOKEN_FILE"
            )
    return wanted


def _is_chat(text: str) -> bool:
    return text.removeprefix("-").isdecimal() or (text.startswith("@") and len(text) > 1)


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"unknown target {name!r}; did you mean {', '.join(near)}?"
    hint = "name chats in [telegram.chats], or run `candlewax telegram setup`"
    return f"unknown target {name!r}: there is {', '.join(known)}; {hint}"
