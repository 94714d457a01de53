"""Which random numbers belong to what, so that nothing depends on its neighbours or its past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.music import Score


def generators(prompts: Sequence[Score], seed: int) -> list[np.random.Generator]:
    """A random stream for every prompt that depends on the seed and the prompt alone.

    The k-th of several equal prompts gets the k-th stream of that prompt, so that asking for
    more pieces leaves the first ones as they were.
    """
    seen: Counter[str] = Counter()
    streams = []
    for prompt in prompts:
        content = prompt.content_hash
        streams.append(np.random.default_rng([seed, int(content, 16), seen[content]]))
        seen[content] += 1
    return streams


def step_seed(seed: int, step: int) -> int:
    """The seed of one training step: a resumed run draws what an unbroken one would have drawn."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
