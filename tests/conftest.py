"""Fixtures that all tests share.

Property tests have no deadline: on a busy machine a slow example is no fault. How many
examples they draw is said in `drawn_examples.py`.
"""

import gc

import pytest
from hypothesis import settings

from tests.drawn_examples import examples

settings.register_profile("some examples", examples(25))
settings.load_profile("some examples")

pytest_plugins = ["tests.fixtures_database"]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage more rarely: modules and thousands of tests stay until the end anyway.

    The collector went over all of them again and again, for a seventh of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
