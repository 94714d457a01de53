"""Scoring and drawing pieces with any network that reads REMI tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from bench.contract import Floats
from bench.encodings import remi
from bench.music import Score
from bench.seeds import generators
from bench.training import token_model
from bench.training.text import Packed, Text


def text(scores: Sequence[Score], grammar: bool = True) -> Text:
    """The pieces' tokens to learn from; without the grammar any token may follow any other."""
    sequences = [remi.encode(score) for score in scores]
    positions = (
        remi.Grammar.along(tokens, score.length, score.grid)
        for tokens, score in zip(sequences, scores, strict=True)
    )
    return Text.of(sequences, remi.BEGINNING, Packed.of(positions) if grammar else None)


def log_likelihood(network: nn.Module, scores: Sequence[Score]) -> Floats:
    """(pieces,) log p of the pieces' canonical tokens in nats.

    A lower bound of log p of the piece: other tokens describe the same notes at other velocities,
    or held beyond the end of the piece.
    """
    sequences = [remi.encode(score) for score in scores]

    def along(piece: int) -> remi.Grammar:
        score = scores[piece]
        return remi.Grammar.along(sequences[piece], score.length, score.grid)

    return token_model.log_likelihood(network, sequences, remi.BEGINNING, along)  # type: ignore[arg-type]


def sample(network: nn.Module, prompts: Sequence[Score], steps: int, seed: int) -> list[Score]:
    """Continue every prompt by well-formed tokens, drawn one after the other."""
    precise, streams = token_model.precise(network), generators(prompts, seed)
    pieces: dict[int, Score] = {}
    for grid in sorted({prompt.grid for prompt in prompts}):
        alike = [place for place, prompt in enumerate(prompts) if prompt.grid == grid]
        for start in range(0, len(alike), token_model.at_once(network)):
            group = alike[start : start + token_model.at_once(network)]
            prompt_tokens = [remi.encode(prompts[place]) for place in group]
            lengths = [prompts[place].length for place in group]
            rules = remi.Grammar([length + steps for length in lengths], grid)
            rules.read(prompt_tokens)
            rules.begin(lengths)
            drawn = token_model.draw(
                precise,
                [np.append(remi.BEGINNING, tokens) for tokens in prompt_tokens],
                rules,
                [streams[place] for place in group],
            )
            for place, before, after, length in zip(
                group, prompt_tokens, drawn, lengths, strict=True
            ):
                # Only the prompt's bars, or decoding could join a drawn note to its last note.
                tokens = np.concatenate([before[before == remi.BAR], after])
                whole = remi.decode(tokens, length + steps, grid)
                pieces[place] = whole.slice(length, length + steps)
    return [pieces[place] for place in range(len(prompts))]
