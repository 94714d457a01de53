"""Surveys whose truth is known."""

import pandas as pd
import pytest

from bench.survey.simulation import Components, design, simulate

ROLES = {"human": "human", "anchor": "anchor"}


@pytest.fixture
def survey():
    """Make the ratings of a simulated survey: true means by system, clips, listeners, heard."""

    def make(
        effects: dict[str, float],
        clips: int = 8,
        raters: int = 16,
        heard: int = 3,
        seed: int = 0,
        components: Components | None = None,
        repeats: bool = False,
        **others,
    ) -> pd.DataFrame:
        trials = design(len(effects), clips, raters, heard, seed)
        names = {f"s{n}": name for n, name in enumerate(effects)}
        trials["system"] = trials["system"].map(names)
        if repeats:
            again = trials.groupby("rater").head(2).assign(kind="repeat")
            last = trials["position"].max()
            again["position"] = last + again.groupby("rater").cumcount() + 1
            trials = pd.concat([trials, again], ignore_index=True)
        trials = trials.sort_values(["rater", "position"], ignore_index=True)
        before = trials.groupby("rater")["system"].shift().fillna("")
        answers = simulate(trials, effects, seed + 1, components, **others)
        return trials.assign(
            survey="toy",
            simulated=False,
            variant="corrected",
            dataset="toy",
            preset="quick",
            job=[f"{n}.job" if n not in ROLES else "" for n in trials["system"]],
            role=[ROLES.get(n, "system") for n in trials["system"]],
            previous_system=before,
            known=False,
            coverage=1.0,
            plays=1,
            answer_seconds=30.0,
            clip_seconds=20.0,
            date="2026-11-20",
            finished=True,
            excluded="",
            flags="",
            **answers,
        )

    return make
