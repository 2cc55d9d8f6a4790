"""The collector is set for a stream of events in every process of a flow."""

import subprocess
import sys

from flows.collector import YOUNG


def test_loading_the_flow_sets_it() -> None:
    code = "import gc, flows; print(*gc.get_threshold())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(YOUNG), "10", "10"]
