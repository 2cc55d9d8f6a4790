"""A spec in one line: `BTC-USDT close crosses_above 70000`.

    line   = series, [ ":" ], condition ;
    series = [ venue, ":" ], symbol, [ "@", interval ] ;

A condition that begins with its comparison is about the price: `BTC-USDT > 70000` looks at every
trade, `BTC-USDT@5m > 70000` at the close of bars. Otherwise its fields say what is looked at: bars
where they can be read of bars, then trades, best prices, books.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from filters.fields import STREAMS, Stream
from filters.grammar import NOTHING_NAMED, Named, parse
from filters.relations import CROSSINGS, MOVES, GrammarError
from filters.spec_store import StoredSpec
from indicators.spelling import did_you_mean
from market.errors import SpecError

INTERVAL = "1m"
"""Of bars, where the line does not say it."""
PLACE = "spec"
"""How errors call the line."""
LONGEST_ID = 48

_HEAD = re.compile(r"\s*(?:([A-Za-z0-9_]+):)?([^\s:@<>=!]+)(?:@([A-Za-z0-9.]+))?:?\s*")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/.-]*|[0-9]{1,9}(?:[smhdw]| bars?)")
_SYMBOL = re.compile(r"[A-Z0-9.*?]+(?:-[A-Z0-9.*?]+)+|\*")
_BEGINNINGS = ("<", ">", "=", "!", "between ", "in ", *(f"{word} " for word in CROSSINGS + MOVES))
_SAID = ((">=", " above "), (">", " above "), ("<=", " below "), ("<", " below "), ("_", "-"))


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a line does not say. What is empty is left to the spec's own defaults.

    Attributes:
        ident: id; empty for one made of the line.
        interval: of the bars.
        hold: how long it must hold, `"3 bars"` or `"90s"`.
        cooldown: silence after it has fired, `"15m"`.
        severity: `info`, `warning` or `critical`.
        to: names of targets.
        once: it fires one time.
    """

    ident: str = ""
    interval: str = ""
    hold: str = ""
    cooldown: str = ""
    severity: str = ""
    to: tuple[str, ...] = ()
    once: bool = False


def spec_of_line(
    line: str,
    wishes: Wishes,
    *,
    symbols: Collection[str] = (),
    taken: Collection[str] = (),
    named: Mapping[Stream, Named] | None = None,
    by: str = "",
) -> StoredSpec:
    """Make a spec of a line; what else is wrong with it, its reader tells.

    Args:
        line: as a person wrote it.
        wishes: what is said beside it.
        symbols: that are followed, to know `btcusdt` by.
        taken: ids that a new one must differ from.
        named: conditions that have names, by stream.
        by: who wants it.

    Raises:
        SpecError: the line cannot be read; it has the place in it.

    Example:
        >>> print(spec_of_line("btc/usdt > 70000", Wishes(once=True)).text, end="")
        id: btc-usdt-above-70000
        source: {stream: trade, symbols: [BTC-USDT]}
        when: "price > 70000"
        once: true
    """
    found = _HEAD.match(line)
    if found is None:
        raise _wrong("expected a symbol and a condition, as in 'BTC-USDT close > 70000'", line, 0)
    venue, symbol = (found[1] or "").lower(), _symbol(found[2], symbols, line, found.start(2))
    rest, start = line[found.end() :].strip(), found.end()
    if not rest:
        raise _wrong(
            f"what of {symbol}? write a condition, as in '{symbol} > 70000'", line, len(line)
        )
    interval = wishes.interval or found[3] or ""
    is_bare = rest.startswith(_BEGINNINGS)
    prefix = ("close " if interval else "price ") if is_bare else ""
    streams: tuple[Stream, ...] = ("bar",) if interval else STREAMS
    stream = _stream(prefix + rest, streams, named or {}, line, start - len(prefix))
    ident = wishes.ident or _free(_id_of(symbol, interval, rest), taken)
    source = [f"stream: {stream}", f"symbols: [{_text(symbol)}]"]
    if stream == "bar":
        source.append(f"interval: {_text(interval or INTERVAL)}")
    if venue:
        source.append(f"venues: [{_text(venue)}]")
    parts = [
        f"id: {_text(ident)}",
        f"source: {{{', '.join(source)}}}",
        f"when: {json.dumps(prefix + rest, ensure_ascii=False)}",
        *_wished(wishes),
    ]
    return StoredSpec(id=ident, text="\n".join(parts) + "\n", created_by=by)


def _wished(wishes: Wishes) -> Iterator[str]:
    for key, text in (
        ("for", wishes.hold),
        ("cooldown", wishes.cooldown),
        ("severity", wishes.severity),
    ):
        if text:
            yield f"{key}: {_text(text)}"
    if wishes.once:
        yield "once: true"
    if wishes.to:
        yield f"notify: [{', '.join(f'{{to: {_text(name)}}}' for name in wishes.to)}]"


def _symbol(written: str, symbols: Collection[str], line: str, at: int) -> str:
    symbol = written.upper().replace("/", "-").replace("_", "-")
    if _SYMBOL.fullmatch(symbol):
        return symbol
    joined = [each for each in symbols if each.replace("-", "") == symbol]
    if len(joined) == 1:
        return joined[0]
    if joined:
        raise _wrong(f"{written!r} may be {' or '.join(sorted(joined))}: say which", line, at)
    hint = did_you_mean(symbol, [each.replace("-", "") for each in symbols])
    raise _wrong(f"{written!r} is no symbol{hint}: write it as in 'BTC-USDT'", line, at)


def _stream(
    condition: str,
    streams: tuple[Stream, ...],
    named: Mapping[Stream, Named],
    line: str,
    start: int,
) -> Stream:
    """Return the first stream of which a condition can be read."""
    errors: list[GrammarError] = []
    for stream in sorted(streams, key=("bar", "trade", "quote", "book").index):
        try:
            parse(condition, stream, named=named.get(stream, NOTHING_NAMED))
        except GrammarError as error:
            errors.append(error)
        else:
            return stream
    # What got furthest is most likely what was meant.
    furthest = max(errors, key=lambda each: each.offset)
    raise _wrong(furthest.message, line, max(0, start + furthest.offset))


def _id_of(symbol: str, interval: str, rest: str) -> str:
    said = rest.lower()
    for sign, word in _SAID:
        said = said.replace(sign, word)
    words = re.sub(r"[^a-z0-9]+", "-", f"{symbol} {interval} {said}".lower()).strip("-")
    return words[:LONGEST_ID].rstrip("-")


def _free(ident: str, taken: Collection[str]) -> str:
    number = 2
    name = ident
    while name in taken:
        name = f"{ident}-{number}"
        number += 1
    return name


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _wrong(message: str, line: str, at: int) -> SpecError:
    # A line break in a line would move the caret.
    source = " ".join(line.splitlines())
    return SpecError(message, path=PLACE, line=1, column=at + 1, source=source[:200])
