"""Renders samples as clips that differ in nothing but the music, and checks that they do."""

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
ENCODER_GAIN = 0.95  # LAME multiplies every sample by this
LOUDNESS_TOLERANCE = 0.5  # LU between a clip's loudness and the configured one
NAMED = 5  # clips that an error names; more are counted


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
    audio: bytes  # MP3 at a constant bit rate
    seconds: float
    lufs: float
    peak: float  # 1 is full scale
    sample: int | None = None  # its number among the job's samples

    @property
    def sha256(self) -> str:
        """The hash of the audio."""
        return hashlib.sha256(self.audio).hexdigest()


def excerpt(score: Score, config: SurveyConfig) -> Score | None:
    """The part of a piece that a clip plays; None where the piece is shorter than a clip.

    It begins at the first note, or as late as the length allows: the same rule for every piece.
    """
    steps = clip_steps(config, score.grid)
    if score.length < steps:
        return None
    start = min(int(score.onset[0]) if len(score) else 0, score.length - steps)
    return score.slice(start, start + steps)


def clip_steps(config: SurveyConfig, grid: int) -> int:
    """The length of a clip in steps of the grid."""
    return math.ceil(config.seconds * config.tempo / 60 * grid - 1e-9)


def make_clip(source: ClipSource, config: SurveyConfig) -> Clip | None:
    """The clip of a piece; None where the piece is shorter than a clip."""
    import soundfile

    cut = excerpt(source.score, config)
    if cut is None:
        return None
    stereo, rate = render(cut, config.tempo)
    mono: Samples = stereo[: round(config.seconds * rate), :1].copy()
    fade_in, fade_out = round(FADE_IN * rate), round(FADE_OUT * rate)
    mono[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, None]
    mono[-fade_out:] *= np.linspace(1, 0, fade_out, dtype=np.float32)[:, None]
    level = mono
    for _ in range(2):  # after the first pass, more of a sparse clip is above the meter's gate
        level = normalise(level, config.loudness, rate)
    audio = encode(level / ENCODER_GAIN, rate, "mp3")
    decoded, _ = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
    return Clip(
        source=source.name,
        content=cut.content_hash,
        audio=audio,
        seconds=len(level) / rate,
        lufs=loudness(decoded, rate),
        peak=true_peak(decoded),
        sample=source.sample,
    )


def choose(
    name: str,
    sources: Sequence[ClipSource],
    wanted: int,
    config: SurveyConfig,
    order: Sequence[int],
) -> tuple[list[Clip], int]:
    """The first `wanted` clips in that order of samples, and how many silent ones were skipped.

    BenchError where there are not enough.
    """
    clips: list[Clip] = []
    short = silent = 0
    for number in order:
        if len(clips) == wanted:
            break
        clip = make_clip(sources[number], config)
        if clip is None:
            short += 1
        elif not math.isfinite(clip.lufs) and config.skip_silent:
            silent += 1
        else:
            clips.append(clip)
    if len(clips) == wanted:
        return clips, silent
    if short:
        score = next(source.score for source in sources if excerpt(source.score, config) is None)
        seconds = score.length / score.grid * 60 / config.tempo
        raise BenchError(
            f"{name}: its samples last {seconds:.1f} seconds at a tempo of {config.tempo:g}, and a"
            f" clip lasts {config.seconds:g}. Set seconds = {math.floor(seconds * 10) / 10:g}, or a"
            " lower tempo, or make longer samples with `bench all --steps`."
        )
    raise BenchError(
        f"{name} has {len(order) - silent} samples that can be heard, and the survey needs {wanted}"
        " clips of it. Set fewer clips, or make more samples with `bench all --samples`."
    )


def anchors(
    train: Sequence[Score], like: Score, n: int, rng: np.random.Generator
) -> list[ClipSource]:
    """`n` pieces of random notes, each with the length and grid of `like`.

    They have the training data's density, durations and range of keys; onsets and keys are uniform.
    """
    steps = max(1, sum(piece.length for piece in train))
    pitches = np.concatenate([piece.pitch for piece in train])
    durations = np.concatenate([piece.duration for piece in train])
    if not len(pitches):
        raise BenchError(
            "The training pieces have no notes that random ones could resemble. Choose systems of"
            " another data set."
        )
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
    """A broken chord up and down, as loud as every clip: to set the volume with."""
    chord = [48, 52, 55, 60, 64, 67, 72, 76, 72, 67, 64, 60, 55, 52]
    pitches = np.array(chord * 4)
    onsets = np.arange(len(pitches)) * 2
    length = max(int(onsets[-1]) + 2, clip_steps(config, 4))
    score = Score.from_notes(onsets, np.full(len(onsets), 4), pitches, length=length)
    clip = make_clip(ClipSource("volume check", score), config)
    assert clip is not None  # noqa: S101 - the score is as long as a clip
    return clip


def check(clips: dict[str, list[Clip]], config: SurveyConfig) -> None:
    """BenchError, with advice, unless the clips of all systems differ by their music alone."""
    problems: list[str] = []
    named_clips = [(name, clip) for name, own in clips.items() for clip in own]

    def report(wrong: Callable[[Clip], bool], problem: str, advice: str) -> None:
        names = [f"{name} ({clip.source})" for name, clip in named_clips if wrong(clip)]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            problems.append(f"{problem}: {', '.join(names[:NAMED])}{more}. {advice}")

    report(
        lambda clip: not math.isfinite(clip.lufs),
        "These clips are silent",
        "Leave the system out, or set skip_silent = true, which takes other samples of it and"
        " records how many were skipped.",
    )
    report(
        lambda clip: (
            math.isfinite(clip.lufs) and abs(clip.lufs - config.loudness) > LOUDNESS_TOLERANCE
        ),
        "These clips cannot be made as loud as the others without clipping",
        "Set a lower loudness for all, such as loudness = -28.",
    )
    report(
        lambda clip: clip.peak > 10 ** ((CEILING + LOUDNESS_TOLERANCE) / 20),
        "These clips would be clipped",
        "Set a lower loudness for all, such as loudness = -28.",
    )
    copies = Counter(clip.content for _, clip in named_clips if math.isfinite(clip.lufs))
    report(
        lambda clip: copies[clip.content] > 1,
        "These clips are equal, note for note",
        "Leave one of the systems out, take other samples with another seed, or set fewer clips.",
    )
    usual = Counter(len(clip.audio) for _, clip in named_clips).most_common(1)[0][0]
    report(
        lambda clip: len(clip.audio) != usual,
        "These files have another size than the rest, which could tell listeners what they hear",
        "This is a defect of the encoder: reinstall soundfile.",
    )
    if problems:
        raise BenchError("The clips are unfit for a blind survey.\n" + "\n".join(problems))
