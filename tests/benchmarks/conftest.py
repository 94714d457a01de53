"""Timings are run by hand: pytest tests/benchmarks -s."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(config, items):
    if not any("benchmarks" in argument for argument in config.args):
        skip = pytest.mark.skip(reason="timings; pytest tests/benchmarks -s runs them")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)
