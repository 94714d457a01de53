"""What a network learnt of notes or chords, laid out on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st

from bench import registry
from bench.board.embeddings import embeddings_of, has_embedding
from bench.contract import Floats
from bench.errors import BenchError
from bench.jobs.run_folder import JobFolder
from bench.music.key import CLASSES
from bench.registry import SystemSpec
from dashboards.views.board import digest_of
from dashboards.views.job import job_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 10  # vectors, below which a map of them says nothing
MOST = 400  # the most frequent ones
NAMED = 24  # of them are named on the map; the others when pointed at

Method = Literal["t-SNE", "PCA"]
METHODS: tuple[Method, ...] = ("t-SNE", "PCA")


@dataclass(frozen=True)
class Learnt:
    """The names of notes or chords, and a vector for each."""

    labels: tuple[str, ...]
    vectors: Floats


def learnt(spec: SystemSpec | None, jobs: Sequence[JobFolder]) -> dict[str, Learnt] | str:
    """What the first job's system learnt, by what it is of, or why that cannot be shown.

    Only code of installed systems is run, never code that a run folder names.
    """
    folder, job = next(((f, job) for f in jobs if (job := job_of(f))), (None, None))
    if folder is None or job is None:
        return "The jobs of this system are not on this machine."
    if spec is None or spec.class_path != job.class_path:
        return "This is drawn only for systems that are installed here."
    if not has_embedding(registry.load_object(spec.class_path)):
        return "This system learns no vector per note or chord."
    if not (folder.system / "system.json").is_file():
        return "The trained network is not on this machine, so what it learnt cannot be drawn."
    try:
        every = _learnt(digest_of(folder.result), spec.class_path, str(folder.system))
    except (
        BenchError,
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
    ):  # of another version, cut short
        return "The trained network cannot be read by the system that is installed here."
    enough = {of: vectors for of, vectors in every.items() if len(vectors.labels) >= FEWEST}
    if not enough:
        most = max((len(vectors.labels) for vectors in every.values()), default=0)
        return f"It has vectors for {most} notes or chords: too few to draw."
    return enough


@st.cache_resource(max_entries=16, show_spinner="Reading the trained network …")
def _learnt(digest: str, class_path: str, folder: str) -> dict[str, Learnt]:
    system = registry.load_object(class_path).load(Path(folder))
    return {
        of: Learnt(tuple(map(str, labels[:MOST])), np.asarray(vectors, dtype=np.float64)[:MOST])
        for of, (labels, vectors) in embeddings_of(system).items()
    }


def flattened(points: Learnt, method: Method) -> pd.DataFrame:
    """The vectors on two axes: x, y, label, place (the more frequent first), low (lowest note),
    state (on or off, of a message; else empty).
    """
    import pandas as pd

    if method == "PCA":
        from sklearn.decomposition import PCA

        flat = PCA(2, svd_solver="full").fit_transform(points.vectors)
    else:
        from sklearn.manifold import TSNE

        perplexity = min(30, len(points.labels) / 4)
        flat = TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(points.vectors)
    return pd.DataFrame(
        {
            "x": flat[:, 0],
            "y": flat[:, 1],
            "label": points.labels,
            "place": range(len(points.labels)),
            "low": [lowest(label) for label in points.labels],
            "state": [state(label) for label in points.labels],
        }
    )


def lowest(label: str) -> int | None:
    """The lowest note of a label such as C4-E4-G4 or C4 on, as a MIDI number; none without one."""
    first = label.partition(" ")[0].partition("-")[0]
    name, octave = first[:-1], first[-1:]
    if name not in CLASSES or not octave.isdigit():
        return None
    return 12 * (int(octave) + 1) + CLASSES.index(name)


def state(label: str) -> str:
    """Whether a label such as C4 off +2 is of a key that goes down or up; empty for others."""
    words = label.split(" ")
    return words[1] if len(words) > 1 and words[1] in ("on", "off") else ""
