"""Whether a spec that can be read can do what it says.

What can never work is an error; what may be meant, but probably is not, a warning.
"""

from collections.abc import Iterator, Mapping

import msgspec

from filters.compile import compile_condition
from filters.fields import OWN
from filters.grammar import LONGEST_CANONICAL
from filters.grammar import parse as parse_text
from filters.node_reader import NodeReader
from filters.places import split
from filters.specs import Spec
from filters.thresholds import contradictions
from filters.trees import All, Crossing, Move, Tree, duration_text, leaves
from filters.yaml_nodes import Mapping as MappingNode
from filters.yaml_nodes import Node, Sequence
from indicators.names import create_for_bars, parse
from indicators.spelling import did_you_mean
from market.activity import parse_bar_length
from market.instruments import MERGED
from market.intervals import Interval

MOST_HISTORY = 5000
"""Bars of the past that are fetched for an indicator at most, when nothing else is known."""


class Known(msgspec.Struct, frozen=True):
    """What a set of specs is judged by.

    Attributes:
        symbols: that some venue lists; None where the lists are not known.
        venues: there are; None where not known.
        history: bars of the past that are kept for an indicator at most.
        now: our time, ns; None where it is not known.
    """

    symbols: frozenset[str] | None = None
    venues: frozenset[str] | None = None
    history: int = MOST_HISTORY
    now: int | None = None


def judge(
    spec: Spec, when: Tree, keys: Mapping[str, Node], nodes: NodeReader, known: Known
) -> None:
    """Report what a spec cannot do, and warn of what it will hardly do.

    Args:
        spec: as it was read.
        when: its condition.
        keys: where its parts stand.
        nodes: takes errors and warnings.
        known: what it is judged by.
    """
    for key, message in _errors(spec, when):
        nodes.report(message, keys[key])
    for message in contradictions(when):
        nodes.warn(message, keys["when"])
    if spec.until:
        for message in contradictions(
            parse_text(spec.until, spec.source.stream, longest=LONGEST_CANONICAL)
        ):
            nodes.warn(message, keys["until"])
    for message in _cold(spec, known):
        nodes.warn(message, keys["when"])
    if spec.is_enabled:
        if spec.expires and known.now is not None and spec.expires <= known.now:
            nodes.warn("expires: this time is past: the filter says nothing", keys["expires"])
        _listed(spec, keys["source"], nodes, known)


def _errors(spec: Spec, when: Tree) -> Iterator[tuple[str, str]]:
    """Find what cannot work, by the key to change."""
    stream = spec.source.stream
    found = leaves(when)
    if stream != "bar" and spec.trigger == "bar_close":
        yield "trigger", f"trigger: a {stream} has no bars that close: leave it out"
    if stream != "bar" and spec.trigger == "every" and not spec.cooldown:
        yield (
            "trigger",
            f"trigger: it would speak at every {stream} while it is true: write 'cooldown: 1m' too",
        )
    waits = spec.hold > 0 or spec.hold_bars > 1
    if waits and any(isinstance(part, Crossing) for part in _needed(when)):
        yield "for", "for: a crossing is true at one moment only: leave 'for' out"
    if spec.looks_at_forming_bars:
        if spec.hold_bars > 1:
            yield "for", "for: with 'trigger: change' write a time such as '90s'"
        if any(isinstance(leaf, Move) and leaf.bars for leaf in found):
            yield "when", "within: with 'trigger: change' write a time such as '5m', not bars"
        if any("@" in name for name in spec.fields):
            yield "trigger", "trigger: other bars are looked at when bars close: leave it out"
    if MERGED in spec.source.venues:
        yield from _merged(spec)


def _merged(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.source.venues != (MERGED,):
        yield "source", f"venues: {MERGED!r} stands alone: make another filter for the others"
    if spec.source.stream != "bar":
        yield "source", f"venues: {MERGED!r} has bars only: name venues, or write 'stream: bar'"
        return
    if not isinstance(parse_bar_length(spec.source.interval), Interval):
        yield "source", f"interval: bars of {MERGED!r} are of a time, as in '1m'"
    if spec.looks_at_forming_bars:
        yield "trigger", f"trigger: bars of {MERGED!r} are known when they close: leave it out"
    for name in spec.fields:
        own, place = split(name)
        if place is not None:
            yield "when", f"{name!r}: bars of {MERGED!r} stand alone: leave out '{place.text}'"
        elif own not in OWN["bar"] and parse(own).reads != "bar":
            yield "when", f"{name!r} is of one venue's book: {MERGED!r} has none"


def _needed(tree: Tree) -> tuple[Tree, ...]:
    """Return the parts that must all be true."""
    return tree.of if isinstance(tree, All) else (tree,)


def _cold(spec: Spec, known: Known) -> Iterator[str]:
    """Say which indicators have no value for a long time, because too little past is kept."""
    if spec.source.stream != "bar":
        return
    conditions = [spec.when, spec.until] if spec.until else [spec.when]
    names = [name for each in conditions for name in compile_condition(each, "bar").fields]
    if spec.strategy is not None:
        names += spec.strategy.risk.fields
    for name in dict.fromkeys(names):
        own, place = split(name)
        if own in OWN["bar"] or parse(own).reads != "bar":
            continue
        interval = (place.interval if place is not None else "") or spec.source.interval
        bars = create_for_bars(own).warm_up
        length = parse_bar_length(interval)
        if bars > known.history and isinstance(length, Interval):
            more = duration_text((bars - known.history) * length.length)
            yield (
                f"{name!r} has its first value after {bars} bars, and {known.history} of the past"
                f" are kept at most: it says nothing for the first {more}"
            )


def _listed(spec: Spec, source: Node, nodes: NodeReader, known: Known) -> None:
    if known.venues is not None:
        for venue in spec.source.venues:
            if venue not in known.venues and venue != MERGED:
                hint = did_you_mean(venue, known.venues)
                nodes.warn(f"venue {venue!r} is not known{hint}", _item(source, "venues", venue))
    symbols = known.symbols
    if symbols is None:
        return
    for symbol in spec.source.symbols:
        one = Spec(
            id=spec.id, source=msgspec.structs.replace(spec.source, symbols=(symbol,)), when=""
        )
        if not any(map(one.source.matches_symbol, symbols)):
            hint = did_you_mean(symbol, symbols)
            nodes.warn(f"no venue lists {symbol!r}{hint}", _item(source, "symbols", symbol))
    for name in spec.fields:
        place = split(name)[1]
        if place is not None and place.symbol and place.symbol not in symbols:
            hint = did_you_mean(place.symbol, symbols)
            nodes.warn(f"{name!r}: no venue lists {place.symbol!r}{hint}", source)


def _item(source: Node, key: str, text: str) -> Node:
    """Find where a word of a list stands."""
    if isinstance(source, MappingNode):
        for word, value in source.items:
            if word.text == key:
                items = value.items if isinstance(value, Sequence) else (value,)
                found = [item for item in items if getattr(item, "text", "") == text]
                return found[0] if found else value
    return source
