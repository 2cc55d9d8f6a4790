"""What the end-to-end tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def captures() -> Path:
    """Folder of captured exchange data; tests of it are skipped without."""
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder of captures")
    return Path(folder)
