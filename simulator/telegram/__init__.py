"""A Telegram Bot API that is not Telegram's."""
