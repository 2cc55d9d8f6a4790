"""Previews in lines for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from filters.trees import duration_text
from flows.preview_tally import OfSeries, Preview

LISTED = 20
"""Firings that are shown; there may be more."""
NO_PROMISE = (
    "what a price did after such a moment is no promise of what it will do: few firings say"
    " little, and trying many thresholds finds one that fits by chance"
)


def preview_lines(previews: Sequence[Preview]) -> Iterator[str]:
    """Tell what a spec would have done, and what its variants would.

    Args:
        previews: the spec as it is, then its variants.
    """
    as_is = previews[0]
    yield f"{as_is.spec}: {as_is.when}"
    yield f"  would have fired {_times(as_is.fired)}{_burst(as_is)}"
    if as_is.suppressed:
        yield f"  the cooldown would have kept {as_is.suppressed} quiet"
    if as_is.held:
        yield f"  held back at {_held(as_is.held)}"
    yield from _by_series(as_is)
    yield from _returns(as_is)
    yield from _fires(as_is)
    for varied in previews[1:]:
        yield (
            f"  with {varied.varied}: {as_is.fired} -> {varied.fired}"
            f"{_burst(varied)}, {varied.suppressed} quiet"
        )
        yield from (f"  {line}" for line in _returns(varied, is_short=True))
    if as_is.fired:
        yield f"  note: {NO_PROMISE}"


def moment_text(ns: int) -> str:
    """Return a time for people: `"2026-11-20 08:00:00"`, UTC."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _burst(preview: Preview) -> str:
    burst = preview.burst
    if burst is None or burst.count < 2:
        return ""
    start, end = moment_text(burst.start), moment_text(burst.end)
    if start[:10] == end[:10]:
        end = end[11:]
    return f"; the longest burst {burst.count}, {start} to {end}"


def _held(held: dict[str, int]) -> str:
    return ", ".join(f"{moments:,} moments ({kind})" for kind, moments in sorted(held.items()))


def _by_series(preview: Preview) -> Iterator[str]:
    width = max(map(len, preview.by_series), default=0)
    if not width:
        return
    yield f"  {'series':{width}}  {'looked at':>9}  {'fired':>7}  {'quiet':>7}  {'held back':>9}"
    for series, of in sorted(preview.by_series.items()):
        yield f"  {series:{width}}  {_row(of)}"


def _row(of: OfSeries) -> str:
    return f"{of.looked:9,}  {of.fired:7,}  {of.suppressed:7,}  {sum(of.held.values()):9,}"


def _returns(preview: Preview, *, is_short: bool = False) -> Iterator[str]:
    known = [each for each in preview.returns if each.count]
    if known and not is_short:
        yield "  price after a firing, in basis points"
    for each in known:
        if each.mean is not None and each.median is not None and each.up is not None:
            yield (
                f"  {duration_text(each.after):>5} later: mean {each.mean:+.1f},"
                f" median {each.median:+.1f}, higher after {each.up:.0%} of {each.count}"
            )


def _fires(preview: Preview) -> Iterator[str]:
    for fired in preview.fires[:LISTED]:
        price = "" if fired.price is None else f" at {fired.price:.10g}"
        yield f"  {moment_text(fired.ts)}  {fired.series}{price}"
    if preview.fired > LISTED:
        yield f"  and {preview.fired - LISTED:,} more; --json has {len(preview.fires):,}"
