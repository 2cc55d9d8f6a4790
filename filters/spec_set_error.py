"""Everything that is wrong with a set of specs, told at once."""

from collections.abc import Iterable

from market.errors import ConfigError, SpecError


class SpecSetError(ConfigError):
    """One or more specs are wrong.

    Its text holds every error, in the order of files and lines.

    Args:
        errors: at least one.

    Attributes:
        errors: all of them, sorted.
    """

    def __init__(self, errors: Iterable[SpecError]) -> None:
        self.errors = tuple(
            sorted(errors, key=lambda error: (error.path, error.line, error.column))
        )
        super().__init__("\n".join(map(str, self.errors)))
