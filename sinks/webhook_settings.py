"""What the section `[webhook]` of the configuration holds."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

WEBHOOK = "webhook/"
"""What the name of a webhook as a target begins with."""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which programs are told of alerts by HTTP. What signs is no setting: it is a secret.

    Attributes:
        urls: name, as in `webhook/desk`, to the address.
        per_s: calls of one address in any second.
    """

    urls: dict[str, str] = {}
    per_s: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50

    def __post_init__(self) -> None:
        """Refuse what is no address, and an address that holds a password."""
        for name, url in self.urls.items():
            if not name or name != name.strip() or "/" in name:
                raise ValueError(f"urls: {name!r} is no name for a webhook")
            check_url(f"urls.{name}", url)


def check_url(place: str, url: str) -> None:
    """Check an address; what is wrong with it is told without it: it may hold a secret.

    Raises:
        ValueError: not http or https, or with user and password.
    """
    wrong = ValueError(f"{place}: not an http or https address")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not is_address or not url.isprintable() or " " in url:
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{place}: an address with a password in it would be shown; leave it out")
