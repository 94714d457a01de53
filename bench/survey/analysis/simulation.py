"""Simulated listeners: to test the analysis, to plan a survey, and for the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.contract import Floats
from bench.errors import BenchError
from bench.survey.terms import HIGHEST, LOWEST

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Components:
    """How much ratings vary for each reason: standard deviations in points of the scale.

    The defaults are assumptions, of about the size that ratings of music from 1 to 10 show. A pilot
    survey gives better ones (`bench.survey.analysis.power.from_pilot`).
    """

    rater: float = 1.0  # listeners who rate low or high
    clip: float = 0.8  # better and worse clips of one system
    rater_system: float = 0.5  # a listener's taste for a system
    residual: float = 1.4  # everything else


# Share of the residual's variance that is the same again when a listener rates a clip twice.
REPEATABLE = 0.5


def design(systems: int, clips: int, raters: int, heard: int, seed: int) -> pd.DataFrame:
    """A balanced design: every listener hears `heard` of the `clips` clips of each system, once.

    Columns rater, clip, system, position and kind, as `simulate` takes them. Systems are called
    s0, s1, ...; the clips of a system are heard equally often, as far as possible.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    heard = min(heard, clips)
    used = np.zeros((systems, clips))
    rows = []
    for rater in range(raters):
        blocks = []
        for system in range(systems):
            chosen = np.lexsort((rng.random(clips), used[system]))[:heard]
            used[system, chosen] += 1
            blocks.append([(f"s{system}", f"s{system}c{clip}") for clip in rng.permutation(chosen)])
        # Each system once per block, block after block.
        order = [blocks[system][k] for k in range(heard) for system in rng.permutation(systems)]
        rows += [(rater, clip, system, n, "main") for n, (system, clip) in enumerate(order, 1)]
    return pd.DataFrame(rows, columns=["rater", "clip", "system", "position", "kind"])


def simulate(
    trials: pd.DataFrame,
    effects: Mapping[str, float],
    seed: int,
    components: Components | None = None,
    careless: float = 0.0,
    drift: float = 0.0,
) -> pd.DataFrame:
    """Answers of simulated listeners: `score` (1 to 10) and `believable`, one row per trial.

    `effects` is the true mean of each system. A listener who hears a clip again rates it similarly,
    not equally. `careless` is the probability that a listener answers at random; `drift` is how
    much scores change from the first position to the last.
    """
    import pandas as pd

    unknown = sorted(set(trials["system"]) - set(effects))
    if unknown:
        raise BenchError(f"effects has no true mean for {', '.join(unknown)}.")
    components = components or Components()
    rng = np.random.default_rng(seed)

    def effect_of(keys: pd.Series, sd: float) -> Floats:
        """(trials,) one normal draw for each distinct key."""
        codes, levels = pd.factorize(keys)
        effect: Floats = rng.normal(0, sd, len(levels))[codes]
        return effect

    pairs = trials["rater"].astype(str) + " "
    latent = (
        trials["system"].map(effects).to_numpy(float)
        + effect_of(trials["rater"], components.rater)
        + effect_of(trials["clip"], components.clip)
        + effect_of(pairs + trials["system"], components.rater_system)
        + effect_of(pairs + trials["clip"], components.residual * np.sqrt(REPEATABLE))
        + drift * (trials["position"] / trials["position"].max()).to_numpy()
    )
    momentary = rng.normal(0, components.residual * np.sqrt(1 - REPEATABLE), (2, len(trials)))
    middle = (LOWEST + HIGHEST) / 2
    score = np.clip(np.rint(latent + momentary[0]), LOWEST, HIGHEST).astype(int)
    believable = rng.random(len(trials)) < 1 / (1 + np.exp(middle - latent - momentary[1]))
    codes, listeners = pd.factorize(trials["rater"])
    at_random = (rng.random(len(listeners)) < careless)[codes]
    random_score = rng.integers(LOWEST, HIGHEST + 1, len(trials))
    return pd.DataFrame(
        {
            "score": np.where(at_random, random_score, score),
            "believable": np.where(at_random, rng.random(len(trials)) < 0.5, believable),
        },
        index=trials.index,
    )


def survey(
    effects: Mapping[str, float],
    clips: int = 8,
    raters: int = 16,
    heard: int = 3,
    repeats: int = 0,
    seed: int = 0,
    components: Components | None = None,
    careless: float = 0.0,
    drift: float = 0.0,
) -> pd.DataFrame:
    """The ratings of a complete simulated survey, with the columns of an export.

    `effects` is the true mean of each system; the names human and anchor are the references. At the
    end every listener hears the first `repeats` clips again.
    """
    import pandas as pd

    trials = design(len(effects), clips, raters, heard, seed)
    names = {f"s{number}": name for number, name in enumerate(effects)}
    trials["system"] = trials["system"].map(names)
    if repeats:
        again = trials[trials["position"] <= repeats].assign(kind="repeat")
        again["position"] += trials["position"].max()
        trials = pd.concat([trials, again])
    trials = trials.sort_values(["rater", "position"], ignore_index=True)
    answers = simulate(trials, effects, seed + 1, components, careless, drift)
    references = {"human": "human", "anchor": "anchor"}
    return trials.assign(
        survey="simulated",
        simulated=True,
        variant="corrected",
        dataset="toy",
        preset="quick",
        job=[f"{name}.toy" if name not in references else "" for name in trials["system"]],
        role=[references.get(name, "system") for name in trials["system"]],
        previous_system=trials.groupby("rater")["system"].shift().fillna(""),
        known=False,
        coverage=1.0,
        plays=1,
        answer_seconds=30.0,
        clip_seconds=20.0,
        date="2000-01-01",
        finished=True,
        excluded="",
        flags="",
        **answers,
    )
