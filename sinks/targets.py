"""From the configuration to the objects that deliver."""

from typing import TextIO

from sinks.alert_settings import CONSOLE, TELEGRAM, TelegramSettings
from sinks.console import ConsoleTarget
from sinks.delivery import Target
from sinks.secret import Secret


def make_targets(
    telegram: TelegramSettings, token: Secret | None, stream: TextIO
) -> dict[str, Target]:
    """Return a target for every name that an alert of this configuration can have.

    Args:
        telegram: the chats; left out without a token.
        token: of the bot.
        stream: what the console prints to.

    Raises:
        ConfigError: the token cannot be right.
    """
    targets: dict[str, Target] = {CONSOLE: ConsoleTarget(stream)}
    if token is not None and telegram.chats:
        from sinks.telegram.target import TelegramTarget  # noqa: PLC0415 - half a second to load

        for name, chat in telegram.chats.items():
            targets[TELEGRAM + name] = TelegramTarget(token, chat, base_url=telegram.base_url)
    return targets
