"""What the papers claim, put to the board: does it hold here, on which data, at what budget?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench import registry
from bench.board.build import Entry
from bench.board.compare import direction_of
from bench.board.reproduce import PRESETS, chosen_paper
from bench.errors import BenchError
from bench.jobs.run_folder import Store
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


def answers(entries: Sequence[Entry], store: Store, paper: str | None = None) -> list[Answer]:
    """Every claim of a paper, or of all, answered on each data set by the dearest preset there is."""
    named = chosen_paper(paper)
    found = [
        answer
        for claim in registry.claims()
        if named in (None, claim.paper)
        for answer in asked(claim, entries, store)
    ]
    tested = [answer for answer in found if answer.p is not None]
    adjusted = iter(statistics.holm([answer.p for answer in tested if answer.p is not None]))
    return [a if a.p is None else judged(replace(a, p=next(adjusted))) for a in found]


def asked(claim: ClaimBlock, entries: Sequence[Entry], store: Store) -> list[Answer]:
    """The claim's answers, not judged yet; one that says why, where there are none."""
    if claim.untestable:
        return [Answer(claim, "not testable", note=claim.untestable)]
    found = list(
        measured(claim, entries, store) if claim.than is not None else compared(claim, entries)
    )
    names = " and ".join(filter(None, (claim.first, claim.second)))
    return found or [Answer(claim, "not run", note=f"no comparable rows of {names}")]


def rows_of(entries: Sequence[Entry], *names: str) -> list[tuple[Entry, ...]]:
    """Finished rows of systems, `NAME` or `NAME:as-published`, side by side where they compare.

    Of each data set those of the dearest preset under which all of them ran.
    """
    groups: list[dict[object, Entry]] = []
    for name in names:
        system, _, variant = name.partition(":")
        wanted = (system, variant or "corrected")
        rows = [one for one in entries if (one.row.system, one.row.variant) == wanted]
        groups.append({one.row.group: one for one in rows if one.row.seeds})
    best: dict[str, tuple[Entry, ...]] = {}
    for group, one in groups[0].items():
        if all(group in other for other in groups):
            before = best.get(one.row.dataset)
            if before is None or dearer(one, before[0]):
                best[one.row.dataset] = tuple(other[group] for other in groups)
    return list(best.values())


def dearer(one: Entry, other: Entry) -> bool:
    """Whether more was spent on this row."""
    return PRESETS.index(one.row.preset) > PRESETS.index(other.row.preset)


def compared(claim: ClaimBlock, entries: Sequence[Entry]) -> Iterator[Answer]:
    """Two systems' figures on the same pieces, with the interval of their difference."""
    for a, b in rows_of(entries, claim.first, claim.second):
        said = Answer(
            claim,
            "not settled",
            dataset=a.row.dataset,
            preset=a.row.preset,
            seeds=min(a.row.seeds, b.row.seeds),
            shares=" / ".join(share_of(one) for one in (a, b)),
        )
        yield from (answer for f in claim.by if (answer := one_figure(said, f, a, b)))


def one_figure(said: Answer, figure: str, a: Entry, b: Entry) -> Answer | None:
    """The answer by one figure; none where the two rows have none that may be compared."""
    of_likelihood = figure == "nats_per_step"
    if of_likelihood and a.row.likelihood_object != b.row.likelihood_object:
        return None
    both = [one.flat().get(figure) for one in (a, b)]
    if None in both:
        return None
    x, y = (float(value) for value in both if value is not None)
    kinds = sorted({a.row.likelihood_kind, b.row.likelihood_kind})
    note = f"likelihoods: {' and '.join(kinds)}" if of_likelihood and len(kinds) > 1 else ""
    said = replace(said, figure=figure, first=x, second=y, note=note)
    if figure not in a.draws or figure not in b.draws:
        # A figure of the whole set without resamples: its sign is all there is.
        known = x != y and said.claim.expects != "no different"
        sign = judged(replace(said, p=0.0)) if known else said
        return replace(sign, p=None, note=f"{figure} has no interval")
    draws = a.draws[figure] - b.draws[figure]
    low, high = statistics.interval(draws)
    return replace(said, low=low, high=high, p=statistics.p_of(x - y, draws))


def measured(claim: ClaimBlock, entries: Sequence[Entry], store: Store) -> Iterator[Answer]:
    """What was noted in training, against the number that the claim names."""
    for (one,) in rows_of(entries, claim.first):
        for figure in claim.by:
            values = [last_of(store, job, figure) for job in one.row.jobs.split()]
            there = [value for value in values if value is not None]
            if there and claim.than is not None:
                mean = float(np.mean(there))
                yield Answer(
                    claim,
                    "holds" if mean > claim.than + 0.005 else "does not hold",
                    dataset=one.row.dataset,
                    preset=one.row.preset,
                    seeds=len(there),
                    shares=share_of(one),
                    figure=figure,
                    first=mean,
                    second=claim.than,
                )


def last_of(store: Store, job: str, figure: str) -> float | None:
    """The last value of a figure in a job's curves."""
    path = store.root / "jobs" / job / "metrics.jsonl"
    if not path.is_file():
        return None
    found = None
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line).get(figure, found)
        except ValueError:
            continue  # the last line of a job that was killed
    return found


def share_of(one: Entry) -> str:
    """What a row spent of the paper's budget, in words."""
    share = "none named" if one.row.budget_share is None else f"{one.row.budget_share:.1%}"
    return share if one.row.size == "full" else f"{share}, {one.row.size}"


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
