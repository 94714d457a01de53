"""Figures, ranks and times as people read them."""

from __future__ import annotations


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A figure with its interval; empty for none."""
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def span(rank: int | None, low: int | None, high: int | None) -> str:
    """A rank with the interval of the place."""
    return "" if rank is None else f"{rank}" if low == high else f"{rank} ({low}–{high})"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
