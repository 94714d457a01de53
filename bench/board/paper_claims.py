"""What the papers claim, put to the board: does it hold here, on which data, at what budget?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench import registry
from bench.board.compare import direction_of
from bench.board.reproduce import PRESETS, chosen_paper
from bench.board.rows import Row, Standing
from bench.errors import BenchError
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.protocol import statistics
from bench.registry import ClaimBlock

Verdict = Literal[
    "holds", "does not hold", "no difference seen", "not settled", "not testable", "not run"
]


@dataclass(frozen=True)
class Answer:
    """A claim put to one figure on one data set."""

    claim: ClaimBlock
    verdict: Verdict
    dataset: str = ""
    preset: str = ""
    seeds: int = 0
    shares: str = ""  # of the paper's budget that the two systems spent, reduced networks named
    figure: str = ""
    first: float | None = None
    second: float | None = None
    low: float | None = None  # of their difference, 95 %
    high: float | None = None
    p: float | None = None  # after Holm over all answers
    note: str = ""


def answers(rows: Sequence[Row], runs: RunFolder, paper: str | None = None) -> list[Answer]:
    """Every claim of a paper, or of all, answered on each data set by the dearest preset there is."""
    chosen = chosen_paper(paper)
    given = [
        answer
        for claim in registry.claims()
        if chosen in (None, claim.paper)
        for answer in asked(claim, rows, runs)
    ]
    tested = [answer for answer in given if answer.p is not None]
    adjusted = iter(statistics.holm([answer.p for answer in tested if answer.p is not None]))
    return [a if a.p is None else judged(replace(a, p=next(adjusted))) for a in given]


def asked(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> list[Answer]:
    """The claim's answers, not judged yet; a single one with the reason where there are none."""
    if claim.untestable:
        return [Answer(claim, "not testable", note=claim.untestable)]
    given = list(measured(claim, rows, runs) if claim.than is not None else compared(claim, rows))
    names = " and ".join(filter(None, (claim.first, claim.second)))
    return given or [Answer(claim, "not run", note=f"no comparable rows of {names}")]


def side_by_side(rows: Sequence[Row], *names: str) -> list[tuple[Row, ...]]:
    """Finished rows of systems, `NAME` or `NAME:as-published`, side by side where they compare.

    Of each data set those of the dearest preset under which all of them ran.
    """
    by_standing: list[dict[Standing, Row]] = []
    for name in names:
        system, _, variant = name.partition(":")
        wanted = (system, variant or "corrected")
        chosen = [row for row in rows if (row.system, row.variant) == wanted]
        by_standing.append({row.standing: row for row in chosen if row.seeds})
    best: dict[str, tuple[Row, ...]] = {}
    for standing, row in by_standing[0].items():
        if all(standing in others for others in by_standing):
            before = best.get(row.dataset)
            if before is None or dearer(row, before[0]):
                best[row.dataset] = tuple(others[standing] for others in by_standing)
    return list(best.values())


def dearer(row: Row, other: Row) -> bool:
    """Whether more was spent on this row."""
    return PRESETS.index(row.preset) > PRESETS.index(other.preset)


def compared(claim: ClaimBlock, rows: Sequence[Row]) -> Iterator[Answer]:
    """Two systems' figures on the same pieces, with the interval of their difference."""
    for a, b in side_by_side(rows, claim.first, claim.second):
        blank = Answer(
            claim,
            "not settled",
            dataset=a.dataset,
            preset=a.preset,
            seeds=min(a.seeds, b.seeds),
            shares=" / ".join(share_of(row) for row in (a, b)),
        )
        yield from (answer for f in claim.by if (answer := by_figure(blank, f, a, b)))


def by_figure(blank: Answer, figure: str, a: Row, b: Row) -> Answer | None:
    """The answer by one figure; none where the two rows have none that may be compared."""
    of_likelihood = figure == "nats_per_step"
    if of_likelihood and a.likelihood_object != b.likelihood_object:
        return None
    x, y = a.value(figure), b.value(figure)
    if x is None or y is None:
        return None
    kinds = sorted({a.likelihood_kind, b.likelihood_kind})
    note = f"likelihoods: {' and '.join(kinds)}" if of_likelihood and len(kinds) > 1 else ""
    answer = replace(blank, figure=figure, first=float(x), second=float(y), note=note)
    if figure not in a.evidence.draws or figure not in b.evidence.draws:
        # A figure of the whole set without resamples: its sign is all there is.
        known = x != y and answer.claim.expects != "no different"
        sign = judged(replace(answer, p=0.0)) if known else answer
        return replace(sign, p=None, note=f"{figure} has no interval")
    draws = a.evidence.draws[figure] - b.evidence.draws[figure]
    low, high = statistics.interval(draws)
    return replace(answer, low=low, high=high, p=statistics.p_of(x - y, draws))


def measured(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> Iterator[Answer]:
    """What was recorded in training, against the number that the claim names."""
    for (row,) in side_by_side(rows, claim.first):
        for figure in claim.by:
            folders = [JobFolder(runs.root / "jobs" / job) for job in row.job_ids]
            last = [last_of(folder, figure) for folder in folders]
            values = [value for value in last if value is not None]
            if values and claim.than is not None:
                mean = float(np.mean(values))
                yield Answer(
                    claim,
                    "holds" if mean > claim.than + 0.005 else "does not hold",
                    dataset=row.dataset,
                    preset=row.preset,
                    seeds=len(values),
                    shares=share_of(row),
                    figure=figure,
                    first=mean,
                    second=claim.than,
                )


def last_of(folder: JobFolder, figure: str) -> float | None:
    """The last value of a figure in a job's curves."""
    return next((p[figure] for p in reversed(folder.read_curves()) if figure in p), None)


def share_of(row: Row) -> str:
    """What a row spent of the paper's budget, in words."""
    share = "none named" if row.budget_share is None else f"{row.budget_share:.1%}"
    return share if row.size == "full" else f"{share}, {row.size}"


def judged(answer: Answer) -> Answer:
    """The answer with its verdict: what differs by chance alone settles nothing."""
    if answer.first is None or answer.second is None or answer.p is None:
        return answer
    expects = answer.claim.expects
    differs = answer.p < 1 - statistics.LEVEL
    if expects == "no different":
        # That no difference shows is no proof that there is none.
        return replace(answer, verdict="does not hold" if differs else "no difference seen")
    if not differs:
        return answer
    higher = answer.first > answer.second
    if expects in ("better", "worse"):
        direction = direction_of(answer.figure)
        if direction == "none":
            raise BenchError(
                f"{answer.figure} is neither better nor worse; expect higher or lower."
            )
        wanted = (direction == "higher") == (expects == "better")
    else:
        wanted = expects == "higher"
    return replace(answer, verdict="holds" if higher == wanted else "does not hold")
