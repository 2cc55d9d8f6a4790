"""Values that must not be shown: bot tokens, passwords, addresses with a password inside."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from market.errors import ConfigError

MASK = "***"


class Secret:
    """A text that shows itself as `***` wherever it is printed, formatted or logged.

    `reveal` is the one way to its value, so that a search for it finds every use. It refuses to be
    pickled, and msgspec refuses to encode it: a secret leaves the process only where meant to.

    Example:
        >>> token = Secret("123456:abcdef")
        >>> f"{token} {token!r} {token:>5}"
        '*** *** ***'
        >>> token.reveal()
        '123456:abcdef'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK  # whatever the width: not even the length is told

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Surrogates are what the environment makes of bytes that are no text.
        return hmac.compare_digest(
            self._value.encode(errors="surrogatepass"), other._value.encode(errors="surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Secret":
        return self


def read_secret(name: str, environ: Mapping[str, str]) -> Secret | None:
    """Read a secret from the variable `NAME`, or from the file that `NAME_FILE` names.

    Args:
        name: of the variable, `"TELEGRAM_BOT_TOKEN"`.
        environ: where to look, usually `os.environ`.

    Returns:
        The secret without the line end of the file, or None when neither is set or both are empty.

    Raises:
        ConfigError: both are set, or the file cannot be read.
    """
    value = environ.get(name, "")
    path = environ.get(f"{name}_FILE", "")
    if value and path:
        raise ConfigError(f"{name} and {name}_FILE are both set: keep one of them")
    if path:
        value = _content(Path(path), f"{name}_FILE")
    return Secret(value) if value else None


def _content(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(
            f"{variable}: cannot read {path}: {error.strerror}; correct the path or its rights"
        ) from error
    except UnicodeDecodeError:
        # Not chained: the error carries the bytes of the file.
        raise ConfigError(f"{variable}: {path} is not a text file in UTF-8") from None
