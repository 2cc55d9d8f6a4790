"""What a bot has sent."""

import msgspec


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the bot sent.

    Attributes:
        message_id: 1 and up.
        chat_id: as the bot gave it.
        method: `sendMessage` or `sendPhoto`.
        text: the text, or the caption of a photo.
        parse_mode: `HTML`, `MarkdownV2` or empty.
        photo: bytes of the picture.
        filename: that the picture was sent with.
        received_at: ns UTC.
        buttons: what the buttons under it give back, in order.
    """

    message_id: int
    chat_id: str
    method: str
    text: str
    parse_mode: str
    photo: int
    filename: str
    received_at: int
    buttons: tuple[str, ...] = ()


class _Pressable(msgspec.Struct):
    callback_data: str = ""


class _Keyboard(msgspec.Struct):
    inline_keyboard: list[list[_Pressable]] = []


def buttons_of(markup: str) -> tuple[str, ...]:
    """Return what the buttons of a message's `reply_markup` give back, in order."""
    if not markup:
        return ()
    keyboard = msgspec.json.decode(markup, type=_Keyboard)
    return tuple(button.callback_data for row in keyboard.inline_keyboard for button in row)
