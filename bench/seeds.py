"""Random numbers by what they are for, so that no result depends on what was drawn before it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.music import Score


def generators(prompts: Sequence[Score], seed: int) -> list[np.random.Generator]:
    """A random stream for every prompt; it depends on the seed and the prompt alone.

    The k-th of several equal prompts gets the k-th stream of that prompt: when more pieces are
    asked for, the first ones stay the same.
    """
    seen: Counter[str] = Counter()
    streams = []
    for prompt in prompts:
        content = prompt.content_hash
        streams.append(np.random.default_rng([seed, int(content, 16), seen[content]]))
        seen[content] += 1
    return streams


def named_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A random stream that depends on the seed and on all of these names, and on nothing else."""
    text = "\n".join(f"{type(name).__name__} {name}" for name in names)
    return np.random.default_rng([seed, int(hashlib.sha256(text.encode()).hexdigest(), 16)])


def step_seed(seed: int, step: int) -> int:
    """The seed of one training step: a resumed run draws the same as an uninterrupted one."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
