"""What the sections `[alerts]` and `[telegram]` of the configuration hold."""

import enum
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from sinks.quiet_hours import QuietHours, find_zone

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
        digest_from: alerts of one severity that wait for a target, from which on they go out
            together.
        quiet_hours: `"22:00-07:00"`: what is not critical waits till they end; empty for none.
        timezone: of the quiet hours and of the times in messages, `"Europe/Berlin"`.
        escalate_to: target that is told of a critical alert that nobody acknowledges; empty for
            none.
        escalate_after_s: seconds that an alert may stay without acknowledgement.
        pictures: whether alerts to chats and mailboxes carry a chart.
    """

    max_age_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0
    targets: tuple[str, ...] = ()
    digest_from: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 5
    quiet_hours: str = ""
    timezone: str = "UTC"
    escalate_to: str = ""
    escalate_after_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 300.0
    pictures: bool = True

    def __post_init__(self) -> None:
        """Refuse a zone that there is not, and hours that are none."""
        try:
            zone = find_zone(self.timezone)
        except ValueError as error:
            raise ValueError(f"timezone: {error}") from None
        if self.quiet_hours:
            try:
                QuietHours.parse(self.quiet_hours, zone)
            except ValueError as error:
                raise ValueError(f"quiet_hours: {error}") from None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return find_zone(self.timezone)

    @property
    def quiet(self) -> QuietHours | None:
        """The quiet hours; None for none."""
        return QuietHours.parse(self.quiet_hours, self.zone) if self.quiet_hours else None


class Role(enum.StrEnum):
    """What somebody may ask of a bot; each may do what the one before may.

    `viewer`: look. `operator`: acknowledge, snooze, mute, add specs and delete
    their own. `owner`: delete the specs of others, too.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"

    def may(self, needed: "Role") -> bool:
        """Whether this role is enough where `needed` is asked for."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class TelegramUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who may command the bot.

    Attributes:
        id: the person's number, as Telegram has it; of a private chat it is the chat's.
        role: what they may do.
    """

    id: Annotated[int, msgspec.Meta(gt=0)]
    role: Role = Role.VIEWER


class TelegramSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which chats alerts can go to. The token is no setting: it comes from the environment.

    Attributes:
        base_url: address of the Bot API, up to where the token follows.
        chats: name, as in `telegram/main`, to chat id.
        users: who may command the bot, by a name of ours; nobody else is answered. They may write
            from these chats and from their private one.
        private_per_s: messages to one private chat in any second.
        group_per_minute: messages to one group or channel in any minute.
        overall_per_s: messages to all chats in any second.
    """

    base_url: str = "https://api.telegram.org/bot"
    chats: dict[str, ChatId] = {}
    users: dict[str, TelegramUser] = {}
    private_per_s: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    group_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    overall_per_s: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 30

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
        ids = [user.id for user in self.users.values()]
        for name, user in self.users.items():
            if ids.count(user.id) > 1:
                raise ValueError(f"users.{name}: id {user.id} is there twice")


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


def _is_chat(text: str) -> bool:
    return text.removeprefix("-").isdecimal() or (text.startswith("@") and len(text) > 1)
