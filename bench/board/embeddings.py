"""What systems learnt of notes, chords or messages, by what it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.contract import Floats

Embedding = tuple[list[str], Floats]  # labels, and a vector for each


def has_embedding(cls: type[Any]) -> bool:
    """Whether systems of this class show what they learnt."""
    return hasattr(cls, "note_embeddings") or hasattr(cls, "note_embedding")


def embeddings_of(system: Any) -> Mapping[str, Embedding]:
    """Every embedding that the system shows, by what it is of; a single one is of notes."""
    several = getattr(system, "note_embeddings", None)
    return several() if several is not None else {"notes": system.note_embedding()}
