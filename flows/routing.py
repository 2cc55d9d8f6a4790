"""From the names that specs send alerts to, to the targets that are configured."""

from collections.abc import Iterable

from filters.specs import DEFAULT_TARGET
from flows.configuration import Configuration
from sinks.target_names import check_target, resolve_targets


class Routes:
    """Says which targets a name means.

    Args:
        settings: hold the targets.
    """

    def __init__(self, settings: Configuration) -> None:
        self._settings = settings
        self._known: dict[str, tuple[str, ...]] = {}

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that mean nothing, before anything starts.

        Raises:
            ConfigError: no such target, or a wrong one in `alerts.escalate_to`.
        """
        for name in names:
            self(name)
        second = self._settings.settings.alerts.escalate_to
        if second:
            check_target(second, self._settings.channels, where="alerts.escalate_to")

    def __call__(self, name: str) -> tuple[str, ...]:
        """Return the targets behind a name.

        Raises:
            ConfigError: no such target.
        """
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = resolve_targets(
                () if name == DEFAULT_TARGET else (name,),
                self._settings.settings.alerts,
                self._settings.channels,
                where=str(self._settings.specs_folder),
            )
        return found
