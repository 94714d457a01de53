"""Figures, ranks and times in the form that people read."""

from __future__ import annotations


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A figure with its interval; an empty text for none."""
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def span(rank: int | None, low: int | None, high: int | None) -> str:
    """A rank with its interval; an empty text for none."""
    return "" if rank is None else f"{rank}" if low == high else f"{rank} ({low}–{high})"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
