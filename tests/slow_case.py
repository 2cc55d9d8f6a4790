"""A case of a test that only `make test-slow` runs, beside quicker ones that `make test` runs."""

import pytest


def slow(*values: object) -> object:
    """Return a case for `pytest.mark.parametrize`."""
    return pytest.param(*values, marks=pytest.mark.slow)
