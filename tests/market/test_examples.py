"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest

MODULES = [
    "activity",
    "activity_bars",
    "bars",
    "book",
    "clock_offset",
    "empty_bars",
    "errors",
    "events",
    "grouping",
    "instruments",
    "intervals",
    "merged_bars",
    "rollup",
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"market.{module}")).failed == 0
