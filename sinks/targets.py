"""From the configuration to the objects that deliver."""

from typing import TextIO

from sinks.alert_settings import CONSOLE, TELEGRAM
from sinks.console import ConsoleTarget
from sinks.delivery import Target
from sinks.email_settings import EMAIL
from sinks.mail import MailTarget
from sinks.pacing import Pace, Rate
from sinks.target_names import Channels
from sinks.webhook import WebhookTarget
from sinks.webhook_settings import WEBHOOK


def make_targets(channels: Channels, stream: TextIO) -> dict[str, Target]:
    """Return a target for every name that an alert of this configuration can have.

    Args:
        channels: chats, mailboxes and programs; those that lack their secret are left out.
        stream: what the console prints to.

    Raises:
        ConfigError: the bot's token cannot be right.
    """
    targets: dict[str, Target] = {CONSOLE: ConsoleTarget(stream)}
    telegram, token = channels.telegram, channels.token
    if token is not None and telegram.chats:
        from sinks.telegram.limits import pace_of  # noqa: PLC0415
        from sinks.telegram.target import TelegramTarget  # noqa: PLC0415 - half a second to load

        for name, chat in telegram.chats.items():
            targets[TELEGRAM + name] = TelegramTarget(
                token,
                chat,
                base_url=telegram.base_url,
                pace=pace_of(chat, telegram),
                buttons=bool(telegram.users),
            )
    email = channels.email
    if channels.smtp_password is not None or not email.user:
        for name, address in email.addresses.items():
            targets[EMAIL + name] = MailTarget(address, email, channels.smtp_password)
    if channels.webhook_secret is not None and channels.webhook.urls:
        per_s = channels.webhook.per_s
        for name, url in channels.webhook.urls.items():
            pace = Pace(f"webhook {url}", Rate(per_s, 1.0, burst=max(1, per_s // 2)))
            targets[WEBHOOK + name] = WebhookTarget(url, channels.webhook_secret, pace=pace)
    return targets
