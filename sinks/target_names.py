"""The names of the targets, as specs and settings have them."""

import difflib
from collections.abc import Iterable

import msgspec

from market.errors import ConfigError
from sinks.alert_settings import CONSOLE, TELEGRAM, AlertSettings, TelegramSettings
from sinks.email_settings import EMAIL, EmailSettings
from sinks.secret import Secret
from sinks.webhook_settings import WEBHOOK, WebhookSettings

BOT_TOKEN = "TELEGRAM_BOT_TOKEN"  # noqa: S105  the name of a variable
SMTP_PASSWORD = "SMTP_PASSWORD"  # noqa: S105
WEBHOOK_SECRET = "WEBHOOK_SECRET"  # noqa: S105
SECRETS = (BOT_TOKEN, SMTP_PASSWORD, WEBHOOK_SECRET)
"""Variables, each also with `_FILE`, that targets need."""


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that alerts can go to, and what it needs.

    Attributes:
        telegram: chats.
        email: mailboxes.
        webhook: programs.
        token: of the bot; None when there is none.
        smtp_password: of `email.user`; None when there is none.
        webhook_secret: signs the calls of webhooks; None when there is none.
    """

    telegram: TelegramSettings = TelegramSettings()
    email: EmailSettings = EmailSettings()
    webhook: WebhookSettings = WebhookSettings()
    token: Secret | None = None
    smtp_password: Secret | None = None
    webhook_secret: Secret | None = None


def target_names(channels: Channels) -> tuple[str, ...]:
    """Return the names of all targets that the configuration knows."""
    return (
        CONSOLE,
        *(TELEGRAM + name for name in channels.telegram.chats),
        *(EMAIL + name for name in channels.email.addresses),
        *(WEBHOOK + name for name in channels.webhook.urls),
    )


def resolve_targets(
    names: Iterable[str], alerts: AlertSettings, channels: Channels, *, where: str = ""
) -> tuple[str, ...]:
    """Return the targets that `names` mean, each once; the default ones when there are none.

    Args:
        names: as a spec or `alerts.targets` names them.
        alerts: holds the default targets.
        channels: hold the targets.
        where: the file or setting that holds the names, for the error.

    Raises:
        ConfigError: a target that is not configured, or that lacks its secret.
    """
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        wanted = tuple(dict.fromkeys(alerts.targets))
        where = "alerts.targets"
    if not wanted:
        chats = tuple(TELEGRAM + name for name in channels.telegram.chats)
        return chats if channels.token is not None and chats else (CONSOLE,)
    for name in wanted:
        check_target(name, channels, where=where)
    return wanted


def check_target(name: str, channels: Channels, *, where: str = "") -> None:
    """Refuse a name that means no target, or one that cannot be used.

    Raises:
        ConfigError: a target that is not configured, or that lacks its secret.
    """
    known = target_names(channels)
    place = f"{where}: " if where else ""
    if name not in known:
        raise ConfigError(f"{place}{_unknown(name, known)}")
    for prefix, is_there, what, variable in (
        (TELEGRAM, channels.token is not None, "a bot token", BOT_TOKEN),
        (
            EMAIL,
            channels.smtp_password is not None or not channels.email.user,
            "the password of email.user",
            SMTP_PASSWORD,
        ),
        (WEBHOOK, channels.webhook_secret is not None, "a secret to sign with", WEBHOOK_SECRET),
    ):
        if name.startswith(prefix) and not is_there:
            raise ConfigError(
                f"{place}target {name!r} needs {what}: set {variable} or {variable}_FILE"
            )


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"unknown target {name!r}; did you mean {', '.join(near)}?"
    hint = (
        "name chats in [telegram.chats] or run `candlewax telegram setup`,"
        " mailboxes in [email.addresses], programs in [webhook.urls]"
    )
    return f"unknown target {name!r}: there is {', '.join(known)}; {hint}"
