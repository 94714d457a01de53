"""How fast figures of pieces are, compared with MusPy's where the two are equal."""

import numpy as np
import pytest

from bench.music import Score
from bench.music.muspy_music import to_muspy
from metrics.descriptors import pitch_range
from metrics.pitch import scale_consistency
from metrics.polyphony import polyphony


def voices(seed):
    """Four voices that move in eighths or hold."""
    rng = np.random.default_rng(seed)
    onset = np.repeat(np.arange(0, 256, 2), 4)
    keep = rng.random(len(onset)) < 0.6
    pitch = np.tile([48, 57, 64, 70], 128) + rng.integers(-4, 5, len(onset))
    return Score.from_notes(onset[keep], rng.integers(2, 6, keep.sum()), pitch[keep])


@pytest.mark.parametrize(
    "figure",
    [scale_consistency, polyphony, pitch_range],
    ids=lambda figure: figure.__name__,
)
def test_a_figure_against_muspys(figure, seconds, measured):
    import muspy

    peer, pieces = getattr(muspy, figure.__name__), [voices(seed) for seed in range(32)]
    music = [to_muspy(piece) for piece in pieces]
    assert np.allclose(list(map(figure, pieces)), list(map(peer, music)))
    ours, theirs = seconds(
        lambda: list(map(figure, pieces)), lambda: list(map(peer, music)), repeats=5
    )
    measured(
        "metrics",
        figure.__name__.replace("_", " "),
        size="32 pieces of 256 steps, in each library's own form",
        against="muspy",
        ours=ours,
        theirs=theirs,
    )
