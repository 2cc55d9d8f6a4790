"""What stands under an alert, and what Telegram says when it is pressed."""

import enum
import re

_DATA = re.compile(r"(ack|snooze|mute|why):([0-9]{1,18})", re.ASCII)


class Button(enum.Enum):
    """A button: what Telegram gives back, and what people read."""

    ACK = ("ack", "Ack")
    SNOOZE = ("snooze", "Snooze 1 h")
    MUTE = ("mute", "Mute")
    WHY = ("why", "Why")

    @property
    def label(self) -> str:
        """What people read."""
        return str(self.value[1])


def data_of(button: Button, outbox_id: int) -> str:
    """Return what Telegram gives back for a button; at most 64 bytes, as it asks."""
    return f"{button.value[0]}:{outbox_id}"


def read_data(data: str) -> tuple[Button, int] | None:
    """Return the button and outbox row that pressed data means; None when it is not ours.

    Example:
        >>> read_data("ack:17")
        (<Button.ACK: ('ack', 'Ack')>, 17)
        >>> read_data("ack:-1") is None
        True
    """
    found = _DATA.fullmatch(data)
    if found is None:
        return None
    (button,) = (one for one in Button if one.value[0] == found[1])
    return button, int(found[2])
