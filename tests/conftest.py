"""Fixtures that all tests share.

Property tests have no deadline: on a busy machine a slow example is no fault.
"""

import gc

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

pytest_plugins = ["tests.fixtures_database"]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage more rarely: modules and thousands of tests stay until the end anyway.

    The collector went over all of them again and again, for a seventh of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
