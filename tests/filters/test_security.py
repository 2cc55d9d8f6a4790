"""No text of a spec reaches Python, a file or the processor beyond what conditions may say."""

import builtins
import json
import os
from itertools import pairwise

import pytest

from filters.fields import STREAMS, Stream
from filters.grammar import parse
from filters.relations import GrammarError
from filters.risk import RiskError, parse_rule
from filters.spec_reader import read_specs
from filters.spec_set_error import SpecSetError
from filters.templates import TemplateError, parse_template

CONDITIONS = [
    "__import__('os').system('true') == 0",
    "open('/etc/passwd') == 0",
    "exec('1') == 0",
    "eval('1') > 0",
    "close.__class__ == 0",
    "close.__class__.__bases__[0].__subclasses__() == 0",
    "rsi(14).__init__ > 0",
    "rsi.__globals__ > 0",
    "rsi(__import__('os')) > 0",
    "rsi(14, __builtins__) > 0",
    "rsi(*[14]) > 0",
    "rsi(**{}) > 0",
    "(lambda: 0)() == 0",
    "lambda: 0",
    "[x for x in ()] == 0",
    "{1: 2} == 0",
    "f'{close}' == 0",
    "close if close else close",
    "(close := 5) > 1",
    "close == (yield 5)",
    "await close > 1",
    "values > 1",
    "get > 1",
    "v0 > 1",
    "close > 9**9**9**9",
    "close > 1 << 999999999",
    "close > 10e308",
    "close > " + "9" * 400,
    "close > 1; import os",
    "close > 1\nimport os",
    "close > 1 #",
    "close > 1\\",
    "close > 1\x00",
    "close > 'x' * 999999999",
    "rsi(" + "9" * 5000 + ") > 1",
    "(" * 900 + "close > 1",
    "not " * 200 + "close > 1",
    " or ".join(["close > 1"] * 100),
    "close > 1" + " " * 2000,
    "close crosses_above __import__('os')",
    "close crosses_above (lambda: 1)()",
    "close changes_by_pct >= 9**9**9 within 5m",
    "close changes_by_pct >= 2 within 99999999999999999999m",
    "close changes_by_pct >= 2 within 5m if True else 0",
    "close in [x for x in (1,)]",
    "close in (" + "1," * 500 + "1)",
    "close between open.__class__ and 5",
    "close@__import__ > 1",
    "close@BTC-USDT.__class__ > 1",
    "close@" + "A-" * 400 + "B > 1",
    "close@{0} > 1",
    "r0 > 1",
    "side == sell.__class__",
]
SPEC = (
    "version: 1\nfilters:\n  - id: x\n"
    "    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}\n    when: %s\n"
)
RULES = [
    "__import__('os').system('true')",
    "support.__class__ - 1%",
    "support - 0.1% if True else 1",
    "(lambda: 1)()*2",
    "atr(14)*9**9**9",
    "atr(14)*" + "9" * 400,
    "atr(" + "9" * 5000 + ")*2",
    "9" * 400 + "%",
    "atr(14)*1e308",
    "-5%",
    "nan%",
    "support - " + "9" * 300 + "%",
    "atr(14)*" + "(" * 900,
    " " * 5000 + "x",
    "{close}",
    "atr(__builtins__)*2",
]
TEMPLATES = [
    "{close.__class__}",
    "{close.__init__.__globals__[secret]}",
    "{symbol.__class__.__mro__[1]}",
    "{close!r:>10}",
    "{close:>999999999}",
    "{close:.999999999f}",
    "{close:{volume}}",
    "{0}",
    "{}",
    "{{{close.real}}}",
    "{__import__('os')}",
]


@pytest.fixture(autouse=True)
def nothing_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a spec reached Python")

    monkeypatch.setattr(os, "system", refuse)
    monkeypatch.setattr(builtins, "open", refuse)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("text", CONDITIONS, ids=lambda text: text[:30])
def test_a_condition_cannot_say_it(text: str, stream: str) -> None:
    for each in STREAMS:
        if each == stream:
            with pytest.raises(GrammarError) as caught:
                parse(text, each)
            assert 0 <= caught.value.offset <= len(text)
            assert len(caught.value.message) < 300


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_message_cannot_say_it(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(text, "bar")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("text", RULES, ids=lambda text: text[:30])
def test_a_stop_or_target_cannot_say_it(text: str, stream: Stream) -> None:
    with pytest.raises(RiskError) as caught:
        parse_rule(text, stream)
    assert 0 <= caught.value.offset <= len(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("key", ["stop", "target", "budget", "equity"])
@pytest.mark.parametrize("text", RULES, ids=lambda text: text[:30])
def test_a_strategy_cannot_say_it(text: str, key: str) -> None:
    risk = {"stop": "2%", "target": "2%", key: text}
    said = ", ".join(f"{name}: {json.dumps(each)}" for name, each in risk.items())
    strategy = f"{{entry: close > 1, risk: {{{said}}}}}"
    with pytest.raises(SpecSetError):
        read_specs([("specs.yaml", SPEC.replace("when: %s", f"strategy: {strategy}"))])


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nfilters: !!python/object/apply:os.system ['true']\n",
        "version: 1\nfilters: !!python/name:os.system\n",
        "!!python/object/new:os.system [true]",
        "version: 1\nfilters: &a [*a]\n",
        "version: 1\nfilters: [&a {id: x}, *a]\n",
        "version: 1\nfilters: [{<<: {id: x}}]\n",
        "version: 1\nfilters: " + "[" * 5000,
        "version: 1\nfilters: " + "{a: " * 5000,
        "version: 1\nfilters:\n" + "".join(" " * n + "-\n" for n in range(1, 200)),
        "version: 1\nfilters:\n  - when: " + "[all: " * 30,
        "version: 1\ndefine: {a: a or a}\nfilters: []\n",
        "version: 1\ndefine: {__import__: close > 1}\nfilters: []\n".replace("_import_", " "),
        "version: 1\nfilters: []\n" + "#" * 600_000,
        "version: 1\nfilters: [{id: x, when: {field: close.__class__, op: lt, value: 1}}]\n",
        SPEC % "{field: close, op: __lt__, value: 1}",
        SPEC % "{field: close, op: lt, value: [[1]]}",
        SPEC % "{field: \"__import__('os').system('true')\", op: lt, value: 1}",
        SPEC % "{'__import__@os': close > 1}",
        SPEC % ("{not: " * 25 + "close > 1" + "}" * 25),
        SPEC % "close > 1\n    tests: [{given: {close: [1 x 9999999]}, fires: []}]",
        SPEC % "close > 1\n    tests: [{given: {close.__class__: [1]}, fires: []}]",
        SPEC % "close > 1\n    expires: 9999999999-01-01",
    ],
    ids=range(22),
)
def test_a_file_cannot_say_it(text: str) -> None:
    with pytest.raises(SpecSetError):
        read_specs([("specs.yaml", text)])


def test_definitions_do_not_multiply() -> None:
    names = [f"a{number}" for number in range(12)]
    lines = ["  a0: close > 1 and open > 1"]
    lines += [f"  {one}: {before} or {before} or {before}" for before, one in pairwise(names)]
    text = "version: 1\ndefine:\n" + "\n".join(lines) + "\nfilters: []\n"
    with pytest.raises(SpecSetError, match="more than 64 comparisons"):
        read_specs([("specs.yaml", text)])


def test_many_parts_in_lists_do_not_pass_the_limit_either() -> None:
    many = "[" + ", ".join(["close > 1"] * 65) + "]"
    with pytest.raises(SpecSetError, match="more than 64 comparisons"):
        read_specs([("specs.yaml", SPEC % many)])


def test_an_indicator_in_a_spec_cannot_take_all_memory() -> None:
    with pytest.raises(SpecSetError):
        read_specs([("specs.yaml", SPEC % "sma(999999999) > 1")])
