"""How the Bot API answers."""

import msgspec

from simulator.frames import HttpAnswer


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A call is refused.

    Args:
        status: of HTTP; `error_code` says it, too.
        description: for people.
    """

    def __init__(self, status: int, description: str) -> None:
        self.status = status
        self.description = description
        super().__init__(description)


def as_json(status: int, content: object) -> HttpAnswer:
    """Return any content."""
    return HttpAnswer(status, msgspec.json.encode(content), {"Content-Type": "application/json"})


def granted(result: object) -> HttpAnswer:
    """Return the result of a call."""
    return as_json(200, {"ok": True, "result": result})


def refused(
    status: int, description: str, parameters: dict[str, object] | None = None
) -> HttpAnswer:
    """Return why there is no result, and what the caller should do."""
    answer: dict[str, object] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        answer["parameters"] = parameters
    return as_json(status, answer)
