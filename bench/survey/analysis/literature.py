"""The ratings that the papers published, from the catalogues of papers."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Iterator

from pydantic import BaseModel

from bench.protocol.statistics import LEVEL
from bench.survey.analysis.power import standard_error
from bench.survey.analysis.simulation import Components


class PublishedRating(BaseModel):
    """A published mean rating.

    The papers give no intervals. `low` and `high` are computed as if ratings were independent,
    which they are not; `detectable` says how small a difference the design can show, under the
    assumptions of `Components`.
    """

    paper: str
    section: str
    system: str
    clips: int
    raters: int
    mean: float
    sd: float
    low: float
    high: float
    believable: float | None  # share of yes
    about: str
    scale: dict[int, str]

    @property
    def detectable(self) -> float:
        """The smallest difference of two such systems that 80 % of such surveys find, about."""
        # 2.8 = 1.96 + 0.84, the normal quantiles of ALPHA / 2 and of POWER
        return 2.8 * standard_error(self.clips, self.raters, self.clips, Components())


def published_ratings() -> list[PublishedRating]:
    """Every rating of every paper that asked listeners."""
    return [rating for text in _catalogues() for rating in _ratings(tomllib.loads(text))]


def _catalogues() -> Iterator[str]:
    folder = importlib.resources.files("bench.papers")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.read_text(encoding="utf-8")


def _ratings(content: dict[str, object]) -> Iterator[PublishedRating]:
    from scipy.stats import t

    survey, paper, systems = (content.get(name) for name in ("survey", "paper", "systems"))
    if not isinstance(survey, dict) or not isinstance(paper, dict) or not isinstance(systems, dict):
        return
    published = {
        name: block["published"] for name, block in systems.items() if "published" in block
    }
    ratings = {
        name: values["human_rating"] | {"believable": values.get("believability_percent")}
        for name, values in published.items()
        if "human_rating" in values
    }
    for name, values in survey["others"].items():
        ratings[name] = values | {"believable": values.get("believability_percent")}
    for name, rating in ratings.items():
        clips = survey["clips"].get(name, survey["clips"]["default"])
        n = clips * rating["raters"]
        half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * rating["sd"] / n**0.5
        yield PublishedRating(
            paper=paper["short"],
            section=survey["section"],
            system=name,
            clips=clips,
            raters=rating["raters"],
            mean=rating["mean"],
            sd=rating["sd"],
            low=rating["mean"] - half,
            high=rating["mean"] + half,
            believable=None if rating["believable"] is None else rating["believable"] / 100,
            about=survey["about"],
            scale=survey["scale"],
        )
