"""The samples of a job: one MIDI file each, bound to the hashes in its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.files import replacing_folder
from bench.jobs.run_folder import JobFolder
from bench.music import Score, from_midi, to_midi


def write_samples(place: Path, samples: Sequence[Score]) -> None:
    """One MIDI file per sample, all of them or none."""
    with replacing_folder(place) as half:
        for number, score in enumerate(samples):
            (half / f"{number:03d}.mid").write_bytes(to_midi(score))


def read_samples(folder: JobFolder, hashes: Sequence[str]) -> list[Score]:
    """The samples as they were made; BenchError when a file is gone or was changed."""
    scores = []
    for number, digest in enumerate(hashes):
        path = folder.samples / f"{number:03d}.mid"
        score = from_midi(path) if path.is_file() else None
        if score is None or score.content_hash != digest:
            raise BenchError(f"{path} is gone or was changed since it was sampled.")
        scores.append(score)
    return scores
