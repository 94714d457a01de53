"""How jobs are run: one after the other, in several processes at once, or on a cluster."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["in-turn", "processes", "ray"]
ENGINES: dict[EngineName, str] = {
    "in-turn": "one job at a time",
    "processes": "as many jobs at a time as there are slots (--workers)",
    "ray": "as many jobs at a time as a Ray cluster has room for (--ray-address)",
}
