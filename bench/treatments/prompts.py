"""Continuing prompts that a treatment has changed."""

from __future__ import annotations

from collections.abc import Sequence

from bench.contract import System
from bench.music import Score


def continue_treated(
    system: System, prompts: Sequence[Score], treated: Sequence[Score], steps: int, seed: int
) -> list[Score]:
    """The system's continuations of the treated prompts.

    A system gives equal prompts different random streams by counting them. Different prompts that
    the treatment makes equal must not be counted together, or a sample would depend on the prompts
    beside it. They are therefore continued in separate rounds.
    """
    seen: dict[str, list[str]] = {}
    rounds: dict[int, list[int]] = {}
    for place, (prompt, changed) in enumerate(zip(prompts, treated, strict=True)):
        alike = seen.setdefault(changed.content_hash, [])
        if prompt.content_hash not in alike:
            alike.append(prompt.content_hash)
        rounds.setdefault(alike.index(prompt.content_hash), []).append(place)
    samples: dict[int, Score] = {}
    for places in rounds.values():
        drawn = system.sample([treated[place] for place in places], steps, seed)
        samples |= dict(zip(places, drawn, strict=True))
    return [samples[place] for place in range(len(prompts))]
