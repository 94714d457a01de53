"""The errors that people see as a message, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """What was wrong, where, and what to do about it."""


def unknown(what: str, name: str, known: Iterable[str]) -> BenchError:
    """The error for an unknown name, with the most similar known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    return BenchError(f"There is no {what} called '{name}'. {hint}")
