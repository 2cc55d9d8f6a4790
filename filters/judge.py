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
from filters.places import Place, split
from filters.specs import Spec
from filters.thresholds import contradictions
from filters.trees import All, Crossing, Move, Tree, duration_text, leaves
from filters.yaml_nodes import Mapping as MappingNode
from filters.yaml_nodes import Node, Scalar, Sequence
from indicators.names import create_for_bars, parse
from indicators.spelling import did_you_mean
from market.activity import parse_bar_length
from market.instruments import MERGED, instrument_id
from market.intervals import Interval

MOST_HISTORY = 5000
"""Bars of the past that are fetched for an indicator at most, when nothing else is known."""


class Known(msgspec.Struct, frozen=True):
    """What a set of specs is judged by.

    Attributes:
        symbols: that some venue lists; None where the lists are not known.
        venues: there are; None where not known.
        followed: symbols that are followed; None where not known.
        series: instrument ids that are followed; None where not known.
        history: bars of the past that are kept for an indicator at most.
        now: our time, ns; None where it is not known.
    """

    symbols: frozenset[str] | None = None
    venues: frozenset[str] | None = None
    followed: frozenset[str] | None = None
    series: frozenset[str] | None = None
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
    for name in spec.fields:
        place = split(name)[1]
        if place is not None and place.venue == MERGED:
            where, offset = _where(name, spec, keys)
            nodes.report(
                f"{name!r}: bars of {MERGED!r} are not looked at by other bars: name a venue",
                where,
                offset=offset,
            )
    for message in contradictions(when):
        nodes.warn(message, keys["when"])
    if spec.until:
        for message in contradictions(
            parse_text(spec.until, spec.source.stream, longest=LONGEST_CANONICAL)
        ):
            nodes.warn(message, keys["until"])
    for name, message in _cold(spec, known):
        where, offset = _where(name, spec, keys)
        nodes.warn(message, where, offset=offset)
    for key, message in _wrong_side(spec):
        nodes.warn(message, keys[key])
    if spec.is_enabled:
        if spec.expires and known.now is not None and spec.expires <= known.now:
            nodes.warn("expires: this time is past: the filter says nothing", keys["expires"])
        _listed(spec, keys, nodes, known)


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


def _wrong_side(spec: Spec) -> Iterator[tuple[str, str]]:
    """Say which stop or target lies where the price would have to be on its other side."""
    if spec.strategy is None:
        return
    is_long, risk = spec.strategy.side == "long", spec.strategy.risk
    for key, rule, is_below in (("stop", risk.stop, is_long), ("target", risk.target, not is_long)):
        if rule is None or not rule.field or rule.factor or rule.field in OWN[spec.source.stream]:
            continue
        kind = parse(rule.field).kind
        is_wrong = rule.percent >= 0 if is_below else rule.percent <= 0
        if is_wrong and kind == ("resistance" if is_below else "support"):
            side = "above" if kind == "resistance" else "below"
            yield (
                key,
                (
                    f"{key}: {rule.text!r} lies {side} the price, and the {key} of a"
                    f" {spec.strategy.side} must lie {'below' if is_below else 'above'} it"
                ),
            )


def _cold(spec: Spec, known: Known) -> Iterator[tuple[str, str]]:
    """Name indicators have no value for a long time, because too little past is kept."""
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
                name,
                (
                    f"{name!r} has its first value after {bars} bars, and {known.history} of the"
                    f" past are kept at most: it says nothing for the first {more}"
                ),
            )


def _listed(spec: Spec, keys: Mapping[str, Node], nodes: NodeReader, known: Known) -> None:
    source = keys["source"]
    if known.venues is not None:
        for venue in spec.source.venues:
            if venue not in known.venues and venue != MERGED:
                hint = did_you_mean(venue, known.venues)
                nodes.warn(f"venue {venue!r} is not known{hint}", _item(source, "venues", venue))
    symbols, says = known.symbols, "no venue lists {!r}"
    if symbols is None:
        symbols, says = known.followed, "{!r} is not followed"
    for symbol in spec.source.symbols if symbols is not None else ():
        one = Spec(
            id=spec.id, source=msgspec.structs.replace(spec.source, symbols=(symbol,)), when=""
        )
        if not any(map(one.source.matches_symbol, symbols or ())):
            hint = did_you_mean(symbol, symbols or ())
            nodes.warn(f"{says.format(symbol)}{hint}", _item(source, "symbols", symbol))
    for name in spec.fields:
        place = split(name)[1]
        wrong = "" if place is None else _away(place, known)
        if wrong:
            where, offset = _where(name, spec, keys)
            nodes.warn(f"{name!r}: {wrong}", where, offset=offset)


def _away(place: Place, known: Known) -> str:
    """Say why other bars never come, or nothing."""
    if place.venue and known.venues is not None and place.venue not in known.venues:
        return f"venue {place.venue!r} is not known{did_you_mean(place.venue, known.venues)}"
    if not place.symbol:
        return ""
    if known.symbols is not None and place.symbol not in known.symbols:
        return f"no venue lists {place.symbol!r}{did_you_mean(place.symbol, known.symbols)}"
    named, followed = place.symbol, known.followed
    if place.venue and known.series is not None:
        named, followed = instrument_id(place.venue, place.symbol), known.series
    if followed is not None and named not in followed:
        return f"{named!r} is not followed, so it waits for ever{did_you_mean(named, followed)}"
    return ""


def _where(name: str, spec: Spec, keys: Mapping[str, Node]) -> tuple[Node, int]:
    """Find where a field is written: the text, and how many characters into it.

    The part that needs the field stands for it where it is written in another way.
    """
    own, place = split(name)
    wanted = own if place is None else place.text.removeprefix("@")
    parts = [keys[key] for key in _parts(name, spec) if key in keys]
    for part in parts:
        for scalar in _scalars(part):
            at = scalar.text.find(wanted)
            if at >= 0:
                return scalar, at
    return (parts[0] if parts else keys["source"]), 0


def _parts(name: str, spec: Spec) -> Iterator[str]:
    """Name the keys of what needs a field."""
    until, strategy = spec.until_condition, spec.strategy
    if name in spec.condition.fields:
        yield "when"
    if until is not None and name in until.fields:
        yield "until"
    if strategy is not None:
        if name == strategy.risk.stop.field:
            yield "stop"
        if strategy.risk.target is not None and name == strategy.risk.target.field:
            yield "target"
    yield "notify"


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _scalars(item)
    else:
        for key, value in node.items:
            yield key
            yield from _scalars(value)


def _item(source: Node, key: str, text: str) -> Node:
    """Find where a word of a list stands."""
    if isinstance(source, MappingNode):
        for word, value in source.items:
            if word.text == key:
                items = value.items if isinstance(value, Sequence) else (value,)
                found = [item for item in items if getattr(item, "text", "") == text]
                return found[0] if found else value
    return source
