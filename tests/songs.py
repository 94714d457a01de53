"""A data set of songs, large enough to tell a copy from what songs have in common anyway."""

import numpy as np

from bench.data.dataset import Dataset
from bench.music import Score

BAR = 16


def song(seed: int, bars: int = 20) -> Score:
    """A melody that wanders in a scale, over a bass and a chord in every bar."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    key, degree = int(rng.integers(-5, 7)), int(rng.integers(7))
    onset, duration, pitch = [], [], []

    def note(at: int, steps: int, step: int, base: int) -> None:
        onset.append(at)
        duration.append(steps)
        pitch.append(base + key + 12 * (step // 7) + int(scale[step % 7]))

    for bar in range(bars):
        root = int(rng.integers(7))
        note(BAR * bar, BAR, root, 36)
        for third in (0, 2, 4):
            for at in (0, 8) if rng.random() < 0.5 else (0,):
                note(BAR * bar + at, 4, root + third, 48)
        at = 0
        while at < BAR:
            steps = int(rng.choice([2, 2, 4, 4, 6]))
            degree = int(np.clip(degree + rng.integers(-3, 4), 0, 13))
            note(BAR * bar + at, min(steps, BAR - at), degree, 64)
            at += steps
    return Score.from_notes(onset, duration, pitch, length=BAR * bars)


def songs(pieces: int = 44, bars: int = 20) -> Dataset:
    """The data set; a third of its pieces are held out."""
    scores = {f"song{number:02d}": song(number, bars) for number in range(pieces)}
    names = tuple(scores)
    first, second = pieces - 20, pieces - 10
    return Dataset(
        "songs", 1, 4, BAR, "score", scores, names[:first], names[first:second], names[second:]
    )
