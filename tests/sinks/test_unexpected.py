import asyncio
import logging

import pytest
from prometheus_client import REGISTRY

from sinks.unexpected import Contained

_log = logging.getLogger(__name__)


def count() -> float:
    return REGISTRY.get_sample_value("candlewax_thread_errors_total", {"thread": "x"}) or 0.0


def test_a_bug_is_counted_and_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    before = count()
    with Contained(_log, "x", "nothing was done", what="a job") as contained:
        raise KeyError("nobody foresaw it")
    assert contained.failed
    assert count() == before + 1
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "nothing was done")
    assert record.__dict__["what"] == "a job"
    assert "nobody foresaw it" in caplog.text
    assert "test_unexpected.py" in caplog.text


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_on_purpose_ends(end: type[BaseException]) -> None:
    before = count()
    with pytest.raises(end), Contained(_log, "x", "nothing was done"):
        raise end
    assert count() == before


def test_what_goes_well_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with Contained(_log, "x", "nothing was done") as contained:
        pass
    assert not contained.failed
    assert not caplog.records
