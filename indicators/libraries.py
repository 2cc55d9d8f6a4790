"""Indicators that libraries compute, by the word before the dot: `talib.adx`, `pta.supertrend`.

A library is loaded when one of its names is first asked for: importing pandas takes a second that
a flow without such names does not spend.
"""

from indicators.kinds import BarKind

LIBRARIES: dict[str, str] = {"talib": "TA-Lib", "pta": "pandas-ta-classic"}
"""The word before the dot, and what the library is called."""


def library_of(name: str) -> str:
    """Return the word of the library that a name belongs to; empty for none.

    Example:
        >>> library_of("talib.adx"), library_of("book.imbalance")
        ('talib', '')
    """
    word, dot, _ = name.partition(".")
    return word if dot and word in LIBRARIES else ""


def find(name: str) -> BarKind | None:
    """Return the kind of a library, or None when the name is of none or unknown there."""
    library = library_of(name)
    if library == "talib":
        from indicators import talib_kinds  # noqa: PLC0415 - loads TA-Lib

        return talib_kinds.find(name)
    if library == "pta":
        from indicators import pandas_ta_kinds  # noqa: PLC0415 - loads pandas

        return pandas_ta_kinds.find(name)
    return None


def names(library: str) -> list[str]:
    """Return the names that a library has here, sorted.

    Raises:
        KeyError: there is no such library.
    """
    if library == "talib":
        from indicators import talib_kinds  # noqa: PLC0415 - loads TA-Lib

        return talib_kinds.names()
    if library == "pta":
        from indicators import pandas_ta_kinds  # noqa: PLC0415 - loads pandas

        return pandas_ta_kinds.names()
    raise KeyError(library)


def why_not(name: str) -> str:
    """Return why a library's function of this name is no indicator; empty if there is none."""
    library = library_of(name)
    if library == "talib":
        from indicators import talib_kinds  # noqa: PLC0415 - loads TA-Lib

        return talib_kinds.why_not(name)
    if library == "pta":
        from indicators import pandas_ta_kinds  # noqa: PLC0415 - loads pandas

        return pandas_ta_kinds.why_not(name)
    return ""
