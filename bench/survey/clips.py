"""Samples made into clips that differ in nothing but the music, and checked to be so."""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError
from bench.music import Score, encode, render
from bench.music.loudness import CEILING, Samples, loudness, normalise, true_peak
from bench.survey.config import SurveyConfig

FADE_IN, FADE_OUT = 0.010, 0.300  # seconds
ENCODER = 0.95  # what LAME multiplies every sample by
NEAR = 0.5  # LU that a clip's loudness may differ from what was asked


@dataclass(frozen=True)
class ClipSource:
    """A piece of music that a clip may be cut from."""

    name: str  # for the record
    score: Score
    sample: int | None = None  # its number among the job's samples


@dataclass(frozen=True)
class Clip:
    """A finished clip."""

    source: str
    content: str  # hash of the notes that are heard
    audio: bytes  # MP3 at a constant rate
    seconds: float
    lufs: float
    peak: float  # 1 being full scale
    sample: int | None = None  # its number among the job's samples

    @property
    def sha256(self) -> str:
        """Of the audio."""
        return hashlib.sha256(self.audio).hexdigest()


def excerpt(score: Score, config: SurveyConfig) -> Score | None:
    """As much of the piece as a clip holds, from its first note on, or as late as it can begin.

    The rule is the same for everybody, so it chooses nothing. None where the piece is too short.
    """
    steps = steps_of(config, score.grid)
    if score.length < steps:
        return None
    start = min(int(score.onset[0]) if len(score) else 0, score.length - steps)
    return score.slice(start, start + steps)


def steps_of(config: SurveyConfig, grid: int) -> int:
    """How many steps a clip holds."""
    return math.ceil(config.seconds * config.tempo / 60 * grid - 1e-9)


def make_clip(source: ClipSource, config: SurveyConfig) -> Clip | None:
    """The clip of a piece; none where the piece is too short."""
    import soundfile

    cut = excerpt(source.score, config)
    if cut is None:
        return None
    sound, rate = render(cut, config.tempo)
    mono: Samples = sound[: round(config.seconds * rate), :1].copy()
    fade_in, fade_out = round(FADE_IN * rate), round(FADE_OUT * rate)
    mono[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, None]
    mono[-fade_out:] *= np.linspace(1, 0, fade_out, dtype=np.float32)[:, None]
    level = mono
    for _ in range(2):  # made louder, more of a sparse clip passes the meter's gate
        level = normalise(level, config.loudness, rate)
    audio = encode(level / ENCODER, rate, "mp3")
    heard, _ = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
    return Clip(
        source=source.name,
        content=cut.content_hash,
        audio=audio,
        seconds=len(level) / rate,
        lufs=loudness(heard, rate),
        peak=true_peak(heard),
        sample=source.sample,
    )


def choose(
    who: str, sources: Sequence[ClipSource], wanted: int, config: SurveyConfig, order: Sequence[int]
) -> tuple[list[Clip], int]:
    """The first so many clips in that order of samples, and how many silent ones were passed over.

    BenchError where there are not enough.
    """
    made: list[Clip] = []
    short = silent = 0
    for number in order:
        if len(made) == wanted:
            break
        clip = make_clip(sources[number], config)
        if clip is None:
            short += 1
        elif not math.isfinite(clip.lufs) and config.skip_silent:
            silent += 1
        else:
            made.append(clip)
    if len(made) == wanted:
        return made, silent
    if short:
        one = next(one.score for one in sources if excerpt(one.score, config) is None)
        has = one.length / one.grid * 60 / config.tempo
        raise BenchError(
            f"{who}: its samples last {has:.1f} seconds at a tempo of {config.tempo:g}, and a clip"
            f" {config.seconds:g}. Set seconds = {math.floor(has * 10) / 10:g}, or a lower tempo, or"
            " make longer samples with `bench all --steps`."
        )
    raise BenchError(
        f"{who} has {len(order) - silent} samples that can be heard and {wanted} clips are asked"
        f" for. Lower clips, or make more samples with `bench all --samples`."
    )


def anchors(
    train: Sequence[Score], like: Score, n: int, rng: np.random.Generator
) -> list[ClipSource]:
    """Random notes: as many, as long and within the same keys as in training, and nothing else.

    Onsets and keys are uniform; each piece has the shape of `like`.
    """
    steps = max(1, sum(piece.length for piece in train))
    pitches = np.concatenate([piece.pitch for piece in train])
    durations = np.concatenate([piece.duration for piece in train])
    if not len(pitches):
        raise BenchError("The training pieces have no note to make random ones like.")
    notes = max(1, round(len(pitches) / steps * like.length))
    return [
        ClipSource(
            f"random notes {number}",
            Score.from_notes(
                rng.integers(0, like.length, notes),
                rng.choice(durations, notes),
                rng.integers(pitches.min(), pitches.max() + 1, notes),
                length=like.length,
                grid=like.grid,
            ),
        )
        for number in range(n)
    ]


def volume_clip(config: SurveyConfig) -> Clip:
    """A scale and its chord, up and down twice: as loud as every clip, and none of them."""
    scale = [48, 52, 55, 60, 64, 67, 72, 76, 72, 67, 64, 60, 55, 52]
    pitches = np.array(scale * 4)
    notes = np.arange(len(pitches)) * 2
    length = max(int(notes[-1]) + 2, steps_of(config, 4))
    score = Score.from_notes(notes, np.full(len(notes), 4), pitches, length=length)
    made = make_clip(ClipSource("the level", score), config)
    assert made is not None  # noqa: S101 - it is as long as was asked
    return made


def check(clips: dict[str, list[Clip]], config: SurveyConfig) -> None:
    """BenchError, with what to do, unless the clips can be told apart by the music alone."""
    problems: list[str] = []
    every = [(who, clip) for who, made in clips.items() for clip in made]

    def blame(wrong: Callable[[Clip], bool], say: str, advice: str) -> None:
        found = [f"{who} ({clip.source})" for who, clip in every if wrong(clip)]
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            problems.append(f"{say}: {', '.join(found[:5])}{more}. {advice}")

    blame(
        lambda clip: not math.isfinite(clip.lufs),
        "These clips are silent",
        "Leave the system out, or set skip_silent = true, which takes other samples of it and"
        " records how many were passed over.",
    )
    blame(
        lambda clip: math.isfinite(clip.lufs) and abs(clip.lufs - config.loudness) > NEAR,
        "These clips cannot be made as loud as the others without clipping",
        "Set a lower loudness for all, such as loudness = -28.",
    )
    blame(
        lambda clip: clip.peak > 10 ** ((CEILING + NEAR) / 20),
        "These clips would be clipped",
        "Set a lower loudness for all, such as loudness = -28.",
    )
    heard = Counter(clip.content for _, clip in every if math.isfinite(clip.lufs))
    blame(
        lambda clip: heard[clip.content] > 1,
        "These clips are equal, note for note",
        "Leave one of the systems out, take other samples with another seed, or ask for fewer"
        " clips.",
    )
    usual = Counter(len(clip.audio) for _, clip in every).most_common(1)[0][0]
    blame(
        lambda clip: len(clip.audio) != usual,
        "These clips are of another size than the rest, which would give them away",
        "This is a defect of the encoder: reinstall soundfile.",
    )
    if problems:
        raise BenchError("The clips are not fit for a blind survey.\n" + "\n".join(problems))
