"""Durations and shares as a person writes them in a script: `20s`, `1.5%`."""

import re

import yaml

from market.errors import ConfigError

NANOSECONDS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")


def duration(text: str) -> int:
    """Read a duration and return nanoseconds.

    Raises:
        ValueError: not a number and one of ms, s, m, h.

    Example:
        >>> duration("1.5s")
        1500000000
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration: write a number and ms, s, m or h, as in 20s")
    return round(float(found[1]) * NANOSECONDS[found[2]])


def share(text: str) -> float:
    """Read a percentage and return it as a share of 1.

    Raises:
        ValueError: not a number and a percent sign.

    Example:
        >>> share("1.5%")
        0.015
    """
    found = _SHARE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no share: write a number and a percent sign, as in 1.5%")
    return float(found[1]) / 100


def read_yaml(text: str, path: str) -> object:
    """Return what a YAML text holds, None when it is empty.

    Raises:
        ConfigError: it is no YAML; names the file, line and column.
    """
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else path
        raise ConfigError(f"{place}: {error.problem}; write it as YAML") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error}); write it as YAML") from error
