"""`candlewax filters preview`: what a spec would have done."""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from cli import options
from cli.filter_homes import read_both
from cli.options import Config
from cli.preview_fetch import Asked, Fetcher, stored_series
from cli.preview_progress import shown
from market.errors import ConfigError
from market.intervals import SECOND

if TYPE_CHECKING:
    from filters.specs import Spec
    from flows.configuration import Configuration
    from flows.preview_store import PreviewStore
    from flows.preview_tally import Preview
    from flows.settings import MarketSettings

COMMON = ("1s", "5s", "15s", "1m", "5m", "15m", "1h", "4h", "1d")
"""Intervals that are looked for in the store besides the configured ones."""
MOST_VARIED = 20

Listed = Annotated[
    tuple[str, ...], Parameter(converter=options.comma_separated, n_tokens=1, negative=())
]


def preview(
    spec: Annotated[
        str, Parameter(help="A file of specs, or the id of one, in the folder or the database.")
    ],
    /,
    *,
    last: Annotated[str, Parameter(help="So long up to now, as 7d or 12h.")] = "7d",
    from_: Annotated[
        str, Parameter(name="--from", help="From when, in place of --last: 2026-11-20 or 3d.")
    ] = "",
    to: Annotated[str, Parameter(help="Until when; now when not given.")] = "",
    symbols: Annotated[Listed, Parameter(help="Only these, in any spelling.")] = (),
    venue: Annotated[Listed, Parameter(help="Only these.")] = (),
    vary: Annotated[
        tuple[str, ...],
        Parameter(help="Try this threshold too, as 'rsi(14) < 28'.", n_tokens=1, negative=()),
    ] = (),
    after: Annotated[Listed, Parameter(help="Look at the price so long after a firing.")] = (
        "5m",
        "15m",
        "1h",
        "4h",
    ),
    fetch: Annotated[
        bool, Parameter(help="Ask the venues for the bars that are missing.", negative=())
    ] = False,
    recording: Annotated[
        tuple[Path, ...],
        Parameter(help="Try it on recordings, not on the store.", n_tokens=1, negative=()),
    ] = (),
    json: Annotated[bool, Parameter(help="One JSON object, with every firing.", negative=())] = (
        False
    ),
    config: Config = None,
) -> int:
    """Try a spec on the past: how often it would have fired, when, and what came after.

    It runs through the code that runs live, over the bars of the store. A spec that looks at books,
    trades, quotes or forming bars needs a recording.
    """
    from flows import configuration
    from flows.preview import needs_recording

    told = configuration.load(config, os.environ)
    chosen = [_variants(each, vary) for each in _specs(spec, told)]
    _check_varied(chosen, vary)
    horizons = _horizons(after)
    if recording:
        market = told.settings.market
        asked = Asked(symbols=symbols, venues=venue)
        found = _on_recordings(chosen, recording, market, horizons, asked)
        covered: list[Covered] = []
    else:
        reasons = [needs_recording(each[""]) for each in chosen]
        for each, reason in zip(chosen, reasons, strict=True):
            if reason:
                text = f"{each[''].id}: {reason}; the store has no such thing: name a recording"
                if all(reasons):
                    raise ConfigError(f"{text} with --recording FILE (`candlewax record` makes it)")
                print(f"note: {text} with --recording FILE", file=sys.stderr)
        chosen = [each for each, reason in zip(chosen, reasons, strict=True) if not reason]
        start, end = _range(last, from_, to)
        asked = Asked(symbols=symbols, venues=venue, start=start, end=end)
        found, covered = _on_store(chosen, told, horizons, asked, fetch=fetch)
    if json:
        facts = {"previews": [each for some in found for each in some], "stored": covered}
        print(msgspec.json.encode(_facts(facts)).decode())
    else:
        _print(found, covered)
    return 0


class Covered(msgspec.Struct, kw_only=True):
    """How much of the range is stored of one series.

    Attributes:
        spec: id.
        series: instrument id.
        interval: of the spec's bars.
        source: of the stored bars that they are made of.
        days: that are stored.
        of_days: that were asked for.
    """

    spec: str
    series: str
    interval: str
    source: str
    days: float
    of_days: float

    @property
    def is_whole(self) -> bool:
        """Whether nothing worth telling is missing."""
        return self.of_days - self.days < 0.01 * self.of_days


def _specs(place: str, told: "Configuration") -> list["Spec"]:
    from filters.load import read_place
    from indicators.spelling import did_you_mean

    path = Path(place)
    if path.exists():
        specs = list(read_place(path).specs)
        if not specs:
            raise ConfigError(f"{place}: no spec in it")
        return specs
    if path.suffix in (".yaml", ".yml"):
        raise ConfigError(f"{place}: no such file")
    known = {each.id: each for each in read_both(told)[0].specs}
    if place not in known:
        hint = did_you_mean(place, known)
        raise ConfigError(f"no spec {place!r} in {told.specs_folder} or the database{hint}")
    return [known[place]]


def _variants(spec: "Spec", vary: Sequence[str]) -> dict[str, "Spec"]:
    from filters.variation import VariationError
    from flows.preview import variants

    found = variants(spec, ())
    for text in vary:
        with contextlib.suppress(VariationError):  # told by `_check_varied` if no spec has it
            found |= variants(spec, [text])
    return found


def _check_varied(chosen: Sequence[dict[str, "Spec"]], vary: Sequence[str]) -> None:
    from filters.variation import VariationError
    from filters.variation import vary as changed

    if len(vary) > MOST_VARIED:
        raise ConfigError(f"--vary: at most {MOST_VARIED} at a time")
    for text in vary:
        said = ""
        for each in chosen:
            try:
                changed(each[""], text)
            except VariationError as error:
                said = said or str(error)
            else:
                break
        else:
            raise ConfigError(f"--vary {said}")


def _horizons(after: Sequence[str]) -> tuple[int, ...]:
    found = sorted({int(options.seconds(text) * SECOND) for text in after})
    if any(each <= 0 for each in found):
        raise ConfigError("--after: expected times above 0")
    return tuple(found)


def _range(last: str, from_: str, to: str) -> tuple[int, int]:
    now = time.time_ns()
    end = options.moment("--to", to, now) if to else now
    if from_:
        start = options.moment("--from", from_, now)
    else:
        start = end - int(options.seconds(last) * SECOND)
    if start >= end:
        raise ConfigError("there is no time between --from and --to")
    if start < 0:
        raise ConfigError(f"--last {last}: no venue is that old")
    return start, end


def _on_store(
    chosen: Sequence[dict[str, "Spec"]],
    told: "Configuration",
    horizons: tuple[int, ...],
    asked: Asked,
    *,
    fetch: bool,
) -> tuple[list[list["Preview"]], list[Covered]]:
    from flows.embedded import Embedded
    from flows.home import Home
    from flows.preview import preview as run
    from flows.preview_store import PreviewStore
    from sinks.gap_ledger import is_there
    from sinks.store_connection import complete, connect

    store = Embedded.attach(
        told, Home.of(os.environ), command="candlewax filters preview", migrate=fetch
    )
    found: list[list[Preview]] = []
    covered: list[Covered] = []
    try:
        address = store.database_url.reveal()
        with connect(complete(address)) as connection, shown() as progress:
            if not is_there(connection):
                raise ConfigError("the database has no tables yet: `candlewax db upgrade`")
            smaller = (*COMMON, *told.settings.market.bar_intervals)
            bars = PreviewStore(connection, dict.fromkeys(smaller), asked.start, asked.end)
            order = () if asked.venues else told.settings.primary  # a venue that is named counts
            for variants in chosen:
                spec = variants[""]
                if fetch:
                    fetcher = Fetcher(told, address, asked, progress)
                    known: list[str] = []
                    with contextlib.suppress(ConfigError):  # the venue may list the symbol
                        known = stored_series(spec, connection, asked, order)
                    fetcher.fetch(spec, known)
                    bars.forget()
                series = stored_series(spec, connection, asked, order)
                if not series:
                    raise ConfigError(_nothing(spec, asked))
                covered += [_covered(spec, each, bars, asked) for each in series]
                found.append(
                    run(
                        variants, series, bars.read, asked.start, asked.end,
                        horizons=horizons, report=progress.symbol(spec.id),
                    )
                )  # fmt: skip
    finally:
        store.stop()
    return found, covered


def _nothing(spec: "Spec", asked: Asked) -> str:
    where = f" at {', '.join(asked.venues)}" if asked.venues else ""
    return (
        f"{spec.id}: nothing is stored of {', '.join(spec.source.symbols)}{where}: run"
        " `candlewax run` for a while, or use --fetch"
    )


def _covered(spec: "Spec", series: str, bars: "PreviewStore", asked: Asked) -> Covered:
    from flows.preview import coverage

    interval = spec.source.interval
    missing = bars.missing(series, interval)
    source = bars.source_of(series, interval)
    days, of_days = coverage(missing, source, asked.start, asked.end)
    return Covered(
        spec=spec.id, series=series, interval=interval, source=source, days=days, of_days=of_days
    )


def _on_recordings(
    chosen: Sequence[dict[str, "Spec"]],
    recordings: Sequence[Path],
    configured: "MarketSettings",
    horizons: tuple[int, ...],
    asked: Asked,
) -> list[list["Preview"]]:
    from connectors import VENUES
    from flows.preview_recording import preview_recording
    from flows.recorded_settings import market_of, primary_of

    for file in recordings:
        if not file.is_file():
            raise ConfigError(f"{file}: no such recording; `candlewax record` makes one")
    paths = list(recordings)
    market = market_of(paths) or configured
    with shown() as progress:
        found, problems = preview_recording(
            chosen, paths, VENUES, market,
            horizons=horizons, series=asked.means, report=progress.records,
            primary={} if asked.venues else primary_of(paths),
        )  # fmt: skip
    for problem in problems:
        print(f"note: {problem}", file=sys.stderr)
    return found


def _print(found: Sequence[Sequence["Preview"]], covered: Sequence[Covered]) -> None:
    from flows.preview_text import preview_lines

    for previews in found:
        for line in preview_lines(previews):
            print(line)
        for each in covered:
            if each.spec == previews[0].spec and not each.is_whole:
                print(
                    f"  {each.series}: {_days(each.days)} of {_days(each.of_days)} days are"
                    f" stored ({each.source} bars); --fetch asks the venue for the others"
                )


def _days(days: float) -> str:
    return f"{days:.1f}" if days >= 1 else f"{days:.2g}"


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(told)
    for each, preview_ in zip(facts["previews"], told["previews"], strict=True):
        each |= {
            "fired": preview_.fired,
            "suppressed": preview_.suppressed,
            "held": preview_.held,
        }
    return facts
