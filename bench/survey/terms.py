"""The terms that every part of the survey shares, and the limits of an answer. No configuration
changes them."""

from __future__ import annotations

from typing import Literal

SurveyState = Literal["draft", "open", "closed", "published"]
Role = Literal["system", "human", "anchor"]  # human: the hidden reference; anchor: random notes

LOWEST, HIGHEST = 1, 10  # of the rating scale
FULL_COVERAGE = 0.95  # share of a clip that counts as all of it: browsers report its end early
MOST_PLAYS = 1000  # of one clip that are recorded, whatever number a browser reports
LONGEST_COMMENT = 500  # characters


def shows_results(state: SurveyState) -> bool:
    """Whether the results of a survey in this state may be seen: nobody can rate any more."""
    return state in ("closed", "published")
