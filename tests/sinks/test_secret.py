import copy
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from market.errors import ConfigError
from sinks.secret import Secret, read_secret

VALUE = "123456:AbCdEf-gh"


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:>40}",
        lambda secret: f"{secret!r}",
        lambda secret: "%s" % (secret,),  # noqa: UP031
        lambda secret: str([secret]),
        lambda secret: str({"token": secret}),
        lambda secret: logging.LogRecord("", 0, "", 0, "%s", (secret,), None).getMessage(),
    ],
)
def test_no_way_to_show_it_shows_it(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(VALUE))
    assert "***" in shown
    assert VALUE not in shown


def test_reveal_is_the_value() -> None:
    assert Secret(VALUE).reveal() == VALUE


def test_equality_is_by_value_and_only_among_secrets() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE), Secret("other")}) == 2
    assert Secret("\udcff") != Secret("x")


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"token": Secret(VALUE)})


def test_a_copy_is_a_secret() -> None:
    assert copy.deepcopy([Secret(VALUE)]) == [Secret(VALUE)]
    assert copy.copy(Secret(VALUE)) == Secret(VALUE)


def test_it_may_stand_in_a_struct_which_then_is_not_encoded() -> None:
    class Settings(msgspec.Struct):
        token: Secret | None

    settings = Settings(Secret(VALUE))
    assert VALUE not in repr(settings)
    for encode in (msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            encode(settings)


def test_it_comes_from_the_variable() -> None:
    assert read_secret("TOKEN", {"TOKEN": VALUE}) == Secret(VALUE)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_it_comes_from_a_file_without_its_line_end(tmp_path: Path, end: str) -> None:
    file = tmp_path / "token"
    file.write_bytes((VALUE + end).encode())
    assert read_secret("TOKEN", {"TOKEN_FILE": str(file)}) == Secret(VALUE)


@pytest.mark.parametrize("environ", [{}, {"TOKEN": ""}, {"TOKEN_FILE": ""}])
def test_nothing_is_none(environ: dict[str, str]) -> None:
    assert read_secret("TOKEN", environ) is None


def test_an_empty_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("\n")
    assert read_secret("TOKEN", {"TOKEN_FILE": str(file)}) is None


def test_both_set_is_refused_without_telling_it() -> None:
    with pytest.raises(ConfigError, match="TOKEN and TOKEN_FILE are both set") as caught:
        read_secret("TOKEN", {"TOKEN": VALUE, "TOKEN_FILE": "/run/token"})
    assert VALUE not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TOKEN_FILE: cannot read .*absent: No such file"):
        read_secret("TOKEN", {"TOKEN_FILE": str(tmp_path / "absent")})
    with pytest.raises(ConfigError, match="cannot read"):
        read_secret("TOKEN", {"TOKEN_FILE": str(tmp_path)})


def test_a_file_that_is_no_text_is_named_but_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file") as caught:
        read_secret("TOKEN", {"TOKEN_FILE": str(file)})
    assert caught.value.__cause__ is None
