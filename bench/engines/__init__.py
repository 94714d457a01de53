"""Who runs the jobs: one after the other, or several processes at once."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["in-turn", "processes"]
ENGINES: dict[EngineName, str] = {
    "in-turn": "one job at a time",
    "processes": "as many jobs at a time as there are slots (--workers)",
}
