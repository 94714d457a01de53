"""Libraries that load with their first use, as collecting the tests needs none of them.

Every worker collects all tests before it runs the first one: MusPy with music21 alone would take
two of its seconds.
"""

from importlib import import_module
from typing import Any


class Library:
    """Stands for a module until something of it is asked for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for these in all that a test module names
            raise AttributeError(name)
        return getattr(import_module(self._module), name)


altair = Library("altair")
apps = Library("streamlit.testing.v1")
muspy = Library("muspy")
pd = Library("pandas")
stats = Library("scipy.stats")
