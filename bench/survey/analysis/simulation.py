"""Listeners that do not exist: for studies of the analysis, for planning, and for the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.contract import Floats
from bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

LOWEST, HIGHEST = 1, 10


@dataclass(frozen=True)
class Components:
    """How much ratings vary for each reason: standard deviations in points of the scale.

    The defaults are assumptions of about the size that 1-10 ratings of music show; a pilot
    replaces them (`bench.survey.analysis.power.from_pilot`).
    """

    rater: float = 1.0  # severe and kind listeners
    clip: float = 0.8  # better and worse clips of one system
    rater_system: float = 0.5  # tastes for a system
    residual: float = 1.4  # all else


LASTING = (
    0.5  # of the residual's variance: what a listener says of a clip again when it is repeated
)


def design(systems: int, clips: int, raters: int, heard: int, seed: int) -> pd.DataFrame:
    """A balanced plan: every listener hears `heard` of the `clips` clips of each system, each once.

    Columns rater, clip, system, position and kind, as `simulate` takes them. Systems are called
    s0, s1, ...; clips of a system are heard equally often, as nearly as that is possible.
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
        # each system once per block, the blocks one after the other
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
    """What simulated listeners answer: `score` (1 to 10) and `believable`, one row per trial.

    `effects` is the true mean of each system. A clip heard again by the same listener is rated
    alike but not the same. `careless` is the chance that a listener answers at random; `drift` is
    what is added to a score from the first position to the last.
    """
    import pandas as pd

    unknown = sorted(set(trials["system"]) - set(effects))
    if unknown:
        raise BenchError(f"Give a true mean for {', '.join(unknown)} too.")
    components = components or Components()
    rng = np.random.default_rng(seed)

    def each(keys: pd.Series, sd: float) -> Floats:
        """One draw per distinct key, in the order of the table."""
        codes, levels = pd.factorize(keys)
        drawn: Floats = rng.normal(0, sd, len(levels))[codes]
        return drawn

    pairs = trials["rater"].astype(str) + " "
    latent = (
        trials["system"].map(effects).to_numpy(float)
        + each(trials["rater"], components.rater)
        + each(trials["clip"], components.clip)
        + each(pairs + trials["system"], components.rater_system)
        + each(pairs + trials["clip"], components.residual * np.sqrt(LASTING))
        + drift * (trials["position"] / trials["position"].max()).to_numpy()
    )
    passing = rng.normal(0, components.residual * np.sqrt(1 - LASTING), (2, len(trials)))
    middle = (LOWEST + HIGHEST) / 2
    score = np.clip(np.rint(latent + passing[0]), LOWEST, HIGHEST).astype(int)
    believable = rng.random(len(trials)) < 1 / (1 + np.exp(middle - latent - passing[1]))
    codes, listeners = pd.factorize(trials["rater"])
    bad = (rng.random(len(listeners)) < careless)[codes]
    guessed = rng.integers(LOWEST, HIGHEST + 1, len(trials))
    return pd.DataFrame(
        {
            "score": np.where(bad, guessed, score),
            "believable": np.where(bad, rng.random(len(trials)) < 0.5, believable),
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
    """The ratings of a whole simulated survey, as an export has them.

    `effects` is the true mean of each system; those called human and anchor are the references.
    The last `repeats` trials of every listener are clips of the beginning, heard again.
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
