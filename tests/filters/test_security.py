"""No text of a spec reaches Python, a file or the processor beyond what conditions may say."""

import builtins
import os

import pytest

from filters.fields import STREAMS
from filters.grammar import GrammarError, parse
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
    ],
    ids=range(10),
)
def test_a_file_cannot_say_it(text: str) -> None:
    with pytest.raises(SpecSetError):
        read_specs([("specs.yaml", text)])
