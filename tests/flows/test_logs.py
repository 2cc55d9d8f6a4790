import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.logs import configure
from flows.settings import LogSettings
from indicators.names import create_for_bars
from sinks.redaction import Redactor
from sinks.secret import Secret
from tests.indicators.flow_bars import make_bar

TOKEN = "987654:AbCdEfGhIj"
PASSWORD = 'p"ss\\word'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in ("loud", "quiet", "httpx", "pandas_ta_classic"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def redactor() -> Redactor:
    return Redactor([Secret(TOKEN), Secret(PASSWORD)])


def test_lines_are_json_when_nobody_watches(redactor: Redactor) -> None:
    stream = io.StringIO()
    configure(LogSettings(), redactor, stream=stream)
    logging.getLogger("sinks.timescale").info("rows %s", "written", extra={"rows": 3})
    line = json.loads(stream.getvalue())
    assert line["logger"] == "sinks.timescale"
    assert (line["level"], line["message"], line["rows"]) == ("info", "rows written", 3)
    assert line["time"].endswith("+00:00")
    assert "taskName" not in line


def test_lines_are_for_people_on_a_terminal(redactor: Redactor) -> None:
    stream = Terminal()
    configure(LogSettings(), redactor, stream=stream)
    logging.getLogger("sinks.timescale").warning("rows lost", extra={"rows": 3})
    assert "warning sinks.timescale: rows lost  rows=3" in stream.getvalue()


def test_a_terminal_can_be_told_to_show_json(redactor: Redactor) -> None:
    stream = Terminal()
    configure(LogSettings(format="json"), redactor, stream=stream)
    logging.getLogger("x").info("said")
    assert json.loads(stream.getvalue())["message"] == "said"


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_gets_through_by_any_way(redactor: Redactor, form: str, tmp_path: Path) -> None:
    stream, file = io.StringIO(), tmp_path / "logs" / "x.log"
    settings = LogSettings(format="console" if form == "console" else "json")
    configure(settings, redactor, stream=stream, file=file)
    log = logging.getLogger("x")
    log.info("in the text %s", TOKEN)
    log.info("in the text %s", PASSWORD)
    log.info("as a fact", extra={"token": TOKEN, "deep": {"list": [TOKEN]}})
    log.info("as a fact", extra={"password": PASSWORD})
    log.info("as an object", extra={"path": Path(f"/bot{TOKEN}/send")})
    log.info("as a secret", extra={"secret": Secret(TOKEN)})
    try:
        int(f"https://api.telegram.org/bot{TOKEN}/getMe and {PASSWORD}")
    except ValueError:
        log.exception("in a traceback")
    for text in (stream.getvalue(), file.read_text()):
        assert TOKEN not in text
        assert PASSWORD not in text
        assert json.dumps(PASSWORD)[1:-1] not in text
        assert "ValueError" in text
    for line in file.read_text().splitlines():
        json.loads(line)


def test_components_have_levels_of_their_own(redactor: Redactor) -> None:
    stream = io.StringIO()
    configure(LogSettings(level="warning", levels={"loud": "debug"}), redactor, stream=stream)
    logging.getLogger("loud.part").debug("told")
    logging.getLogger("quiet.part").info("not told")
    logging.getLogger("httpx").info("not told: it tells addresses with tokens")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["told"]


def test_a_library_that_warns_of_each_short_frame_says_nothing(redactor: Redactor) -> None:
    stream = io.StringIO()
    configure(LogSettings(), redactor, stream=stream)
    made = create_for_bars("pta.supertrend(9,4)")
    for number in range(60):
        made.update(make_bar(number, 100.0 + number))
    assert made.values[0] is not None
    assert stream.getvalue() == ""


def test_setting_up_twice_does_not_double_the_lines(redactor: Redactor) -> None:
    stream = io.StringIO()
    configure(LogSettings(), redactor, stream=stream)
    configure(LogSettings(), redactor, stream=stream)
    logging.getLogger("x").info("once")
    assert len(stream.getvalue().splitlines()) == 1
