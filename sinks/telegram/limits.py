"""How often Telegram lets a bot write (core.telegram.org/bots/faq, read 2026-11-20).

One message a second to one chat, twenty a minute to one group, about thirty a second to all.
"""

from sinks.alert_settings import ChatId, TelegramSettings
from sinks.pacing import Pace, Rate

FAMILY = "telegram"
GROUP_BURST = 5
"""Messages that a group may get at once; so many fewer come evenly in the rest of the minute."""


def pace_of(chat: ChatId, settings: TelegramSettings) -> Pace:
    """Return what limits messages to a chat; targets and answers of one chat share it."""
    group = settings.group_per_minute
    private = settings.private_per_s
    overall = settings.overall_per_s
    return Pace(
        place=f"{FAMILY} {chat}",
        rate=(
            Rate(private, 1.0, burst=max(1, private // 2))
            if is_private(chat)
            else Rate(group, 60.0, burst=min(GROUP_BURST, max(1, group // 4)))
        ),
        family=FAMILY,
        family_rate=Rate(overall, 1.0, burst=max(1, overall // 6)),
    )


def is_private(chat: ChatId) -> bool:
    """Whether a chat is with one person: its number is theirs, and positive."""
    return str(chat).isdecimal()
