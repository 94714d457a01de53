"""Pieces of any network that reads REMI tokens: how likely they are, and new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from bench.contract import Floats
from bench.encodings import remi
from bench.music import Score
from bench.seeds import generators
from bench.training import token_model


def log_likelihood(network: nn.Module, scores: Sequence[Score]) -> Floats:
    """(pieces,) log p of the pieces' canonical tokens in nats.

    A bound: the same notes at other velocities, or held beyond the end, are other tokens.
    """
    nats = np.zeros(len(scores))
    for grid in sorted({score.grid for score in scores}):
        chosen = [place for place, score in enumerate(scores) if score.grid == grid]
        lengths = [scores[place].length for place in chosen]
        nats[chosen] = token_model.log_likelihood(
            network,  # type: ignore[arg-type]
            [remi.encode(scores[place]) for place in chosen],
            remi.BEGINNING,
            lambda group, lengths=lengths, grid=grid: remi.Grammar(  # type: ignore[misc]
                [lengths[piece] for piece in group], grid
            ),
        )
    return nats


def sample(network: nn.Module, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
    """Continue every prompt by well-formed tokens, drawn one after the other."""
    exact, streams = token_model.precise(network), generators(prompts, seed)
    pieces: dict[int, Score] = {}
    for grid in sorted({prompt.grid for prompt in prompts}):
        alike = [place for place, prompt in enumerate(prompts) if prompt.grid == grid]
        for start in range(0, len(alike), token_model.at_once(network)):
            group = alike[start : start + token_model.at_once(network)]
            said = [remi.encode(prompts[place]) for place in group]
            lengths = [prompts[place].length for place in group]
            rules = remi.Grammar([length + steps for length in lengths], grid)
            rules.read(said)
            rules.begin(lengths)
            drawn = token_model.draw(
                exact,
                [np.append(remi.BEGINNING, tokens) for tokens in said],
                rules,
                [streams[place] for place in group],
            )
            for place, first, then, length in zip(group, said, drawn, lengths, strict=True):
                # Only the bars of the prompt: its last note may not be taken for held on.
                tokens = np.concatenate([first[first == remi.BAR], then])
                whole = remi.decode(tokens, length + steps, grid)
                pieces[place] = whole.slice(length, length + steps)
    return [pieces[place] for place in range(len(prompts))]
