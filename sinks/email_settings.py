"""What the section `[email]` of the configuration holds."""

from email.headerregistry import Address
from typing import Annotated, Literal

import msgspec

EMAIL = "email/"
"""What the name of a mailbox as a target begins with."""


class EmailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts go out by SMTP. The password is no setting: it comes from the environment.

    Attributes:
        host: of the mail server.
        port: of the mail server; 587 for STARTTLS, 465 for TLS from the start.
        security: `starttls`, `tls` (from the start), or `none` for a server on this machine.
        user: who logs in; empty for no login.
        sender: address that the mails come from.
        addresses: name, as in `email/ann`, to the address.
        per_minute: mails to one address in any minute; more alerts go out together.
    """

    host: str = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    sender: str = ""
    addresses: dict[str, str] = {}
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 6

    def __post_init__(self) -> None:
        """Refuse what could only fail later, or would send a password in the clear."""
        if not self.addresses:
            return
        for name, address in self.addresses.items():
            if not name or name != name.strip() or "/" in name:
                raise ValueError(f"addresses: {name!r} is no name for a mailbox")
            _check_address(f"addresses.{name}", address)
        if not self.host:
            raise ValueError("host: name the mail server, as in 'smtp.example.com'")
        _check_address("sender", self.sender)
        if self.user and self.security == "none" and not is_local(self.host):
            raise ValueError("security: 'none' would send the password in the clear")


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def _check_address(place: str, text: str) -> None:
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError):
        address = Address()
    if not address.username or not address.domain or not text.isprintable():
        raise ValueError(f"{place}: {text!r} is no mail address, as in 'ann@example.com'")
