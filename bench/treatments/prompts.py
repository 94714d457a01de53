"""Prompts that a treatment changes, given to the system that it wraps."""

from __future__ import annotations

from collections.abc import Sequence

from bench.contract import System
from bench.music import Score


def continue_treated(
    system: System, prompts: Sequence[Score], treated: Sequence[Score], steps: int, seed: int
) -> list[Score]:
    """The system's continuations of the treated prompts.

    A system tells equal prompts apart by counting them. Prompts that differ but are treated alike
    must not be counted together, or a sample would depend on those beside it: they are asked for
    in separate rounds.
    """
    seen: dict[str, list[str]] = {}
    rounds: dict[int, list[int]] = {}
    for place, (prompt, changed) in enumerate(zip(prompts, treated, strict=True)):
        alike = seen.setdefault(changed.content_hash, [])
        if prompt.content_hash not in alike:
            alike.append(prompt.content_hash)
        rounds.setdefault(alike.index(prompt.content_hash), []).append(place)
    found: dict[int, Score] = {}
    for places in rounds.values():
        samples = system.sample([treated[place] for place in places], steps, seed)
        found |= dict(zip(places, samples, strict=True))
    return [found[place] for place in range(len(prompts))]
