"""The indicators there are: our own, each declared at the end of its file, and those of libraries.

How their names are read is in `indicators.names`.
"""

from indicators import (
    ao,
    atr,
    band_touch,
    bollinger,
    book_depth,
    book_imbalance,
    burst,
    cci,
    crosses,
    cvd,
    divergence,
    ema,
    libraries,
    macd,
    microprice,
    momentum,
    obv,
    peak,
    realised_volatility,
    rma,
    roc,
    rsi,
    sma,
    stoch,
    stoch_fast,
    support_resistance,
    trade_imbalance,
    volume_ratio,
    vwap,
    zero_cross,
    zone,
)
from indicators.kinds import Kind
from indicators.spelling import did_you_mean

_DECLARED: tuple[Kind, ...] = (
    rsi.KIND,
    ema.KIND,
    sma.KIND,
    rma.KIND,
    macd.KIND,
    stoch.KIND,
    stoch_fast.KIND,
    cci.KIND,
    ao.KIND,
    bollinger.KIND,
    atr.KIND,
    roc.KIND,
    momentum.KIND,
    obv.KIND,
    volume_ratio.KIND,
    vwap.KIND,
    trade_imbalance.KIND,
    cvd.KIND,
    realised_volatility.KIND,
    burst.KIND,
    crosses.KIND,
    zero_cross.KIND,
    zone.KIND,
    band_touch.KIND,
    peak.KIND,
    divergence.KIND,
    *book_imbalance.KINDS,
    microprice.KIND,
    *book_depth.KINDS,
    *support_resistance.KINDS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _DECLARED}
"""Every kind of our own by its name."""

ALIASES: dict[str, str] = {alias: kind.name for kind in _DECLARED for alias in kind.aliases}
"""Other names that are understood, and what they mean."""


def find_kind(name: str) -> Kind | None:
    """Return the kind that a name or an alias stands for, or None."""
    return KINDS.get(ALIASES.get(name, name)) or libraries.find(name)


def unknown(name: str) -> str:
    """Return what to tell who wrote a name that stands for nothing, with the nearest that does.

    Example:
        >>> unknown("rsii")
        "no indicator 'rsii'; did you mean 'rsi'?"
    """
    library = libraries.library_of(name)
    if not library:
        return f"no indicator {name!r}{did_you_mean(name, (*KINDS, *ALIASES))}"
    reason = libraries.why_not(name)
    if reason:
        return f"no indicator {name!r}: {reason}"
    return f"no indicator {name!r}{did_you_mean(name, libraries.names(library))}"
