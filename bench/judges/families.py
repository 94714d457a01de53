"""The families of judges, and which of them may judge a system. Imports nothing heavy."""

from __future__ import annotations

from typing import get_args

from bench import registry
from bench.errors import BenchError
from bench.registry import Family

FAMILIES: tuple[Family, ...] = get_args(Family)
BACKWARD = "a judge reads forwards; the samples lead up to their prompts"  # why it says nothing

CLASSES: dict[Family, str] = {
    "attention": "bench.judges.frames:AttentionJudge",
    "recurrent": "bench.judges.frames:RecurrentJudge",
    "feed-forward": "bench.judges.notes:NotesJudge",
}


def judges_for(family: str) -> tuple[Family, ...]:
    """The judges that may score a system of that family: all others. Of no family: all."""
    return tuple(judge for judge in FAMILIES if judge != family)


def family_of(system: str) -> str:
    """The family of an installed system, by its id; "" where it has none or is not installed.

    A system that treats another one is of the other's family, unless its catalogue says otherwise.
    """
    try:
        spec = registry.system(system)
    except BenchError:
        return ""  # an entrant from outside, or an older run's: every judge may score it
    return spec.family or (family_of(spec.wraps) if spec.wraps else "")
