"""The listening surveys that the papers published, as data to compare with."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Iterator

from pydantic import BaseModel

from bench.survey.analysis.power import standard_error
from bench.survey.analysis.simulation import Components


class PublishedRating(BaseModel):
    """One published rating. The papers give no interval: `low` and `high` are ours.

    They would hold if ratings were independent, which they are not; `detectable` says what such a
    design can really tell, on the assumptions of `Components`.
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
    believable: float | None  # share
    about: str
    scale: dict[int, str]

    @property
    def detectable(self) -> float:
        """The least difference of two such systems that 80 % of such surveys find, about."""
        return 2.8 * standard_error(self.clips, self.raters, self.clips, Components())


def published_ratings() -> list[PublishedRating]:
    """Every rating of every paper that asked listeners."""
    return [one for text in _catalogues() for one in _ratings(tomllib.loads(text))]


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
    rated = {name: block["published"] for name, block in systems.items() if "published" in block}
    found = {
        name: figures["human_rating"] | {"believable": figures.get("believability_percent")}
        for name, figures in rated.items()
        if "human_rating" in figures
    }
    for name, figures in survey["others"].items():
        found[name] = figures | {"believable": figures.get("believability_percent")}
    for name, one in found.items():
        clips = survey["clips"].get(name, survey["clips"]["default"])
        ratings = clips * one["raters"]
        half = float(t.ppf(0.975, ratings - 1)) * one["sd"] / ratings**0.5
        yield PublishedRating(
            paper=paper["short"],
            section=survey["section"],
            system=name,
            clips=clips,
            raters=one["raters"],
            mean=one["mean"],
            sd=one["sd"],
            low=one["mean"] - half,
            high=one["mean"] + half,
            believable=None if one["believable"] is None else one["believable"] / 100,
            about=survey["about"],
            scale=survey["scale"],
        )
