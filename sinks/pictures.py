"""Pictures of alerts, drawn beside the sender and never waited for long."""

import logging
import threading
from collections.abc import Callable

from sinks.alert_facts import AlertFacts
from sinks.unexpected import Contained

Picture = Callable[[AlertFacts], bytes | None]
"""Draws an alert as PNG; None when there is nothing to draw. May raise `ValueError`, `OSError` or
`RuntimeError`: the text goes alone then."""

PATIENCE_S = 3.0

_log = logging.getLogger(__name__)


class Pictures:
    """Asks for one picture at a time and gives up on what takes too long.

    Args:
        draw: called in a thread of its own.
        patience_s: seconds before a text goes alone. While the drawing goes on nevertheless, every
            other text goes alone, too.
    """

    def __init__(self, draw: Picture, *, patience_s: float = PATIENCE_S) -> None:
        self._draw = draw
        self._patience_s = patience_s
        self._drawing: threading.Thread | None = None

    def of(self, facts: AlertFacts) -> bytes | None:
        """Return the picture of an alert, None when it cannot be had in time."""
        if self._drawing is not None and self._drawing.is_alive():
            _log.warning("no picture: the one before is still being drawn", extra=_of(facts))
            return None
        drawn: list[bytes | None] = []
        self._drawing = threading.Thread(
            target=self._try, args=(facts, drawn), name="alert-picture", daemon=True
        )
        self._drawing.start()
        self._drawing.join(self._patience_s)
        if self._drawing.is_alive():
            _log.warning(
                "no picture: drawing takes too long",
                extra={**_of(facts), "patience_s": self._patience_s},
            )
            return None
        return drawn[0] if drawn else None

    def _try(self, facts: AlertFacts, drawn: list[bytes | None]) -> None:
        with Contained(_log, "alert-picture", "no picture, by a bug in the drawing", **_of(facts)):
            try:
                drawn.append(self._draw(facts))
            except (OSError, RuntimeError, ValueError) as error:
                _log.warning("no picture", extra={**_of(facts), "reason": repr(error)})


def _of(facts: AlertFacts) -> dict[str, str]:
    return {"alert": facts.key}
