"""What the papers claim, put to the board: does it hold here, on which data, at what budget?

A verdict needs a figure that both sides have in the same kind, with an interval, and samples that
the figure can judge. With fewer than SEEDS training runs on a side it holds for these runs only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from bench import data, registry
from bench.board import compare
from bench.board.compare import difference, direction_of
from bench.board.reproduce import MEASURED, PRESETS, chosen_paper
from bench.board.rows import Row, Standing
from bench.contract import Floats
from bench.errors import BenchError
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.jobs.scores import read_scores
from bench.music import MidiError, from_midi
from bench.protocol import statistics
from bench.registry import ClaimBlock

Verdict = Literal[
    "holds",
    "holds for these runs",
    "does not hold",
    "does not hold for these runs",
    "no difference seen",
    "not settled",
    "not testable",
    "not run",
]
SEEDS = 3  # training runs on each side that a verdict on systems, not on runs, needs
LATE = 0.15  # the part of a training at its end whose curve is compared
DEGENERATE = 0.1  # of the samples: of human excerpts at most 0.3 % are so, on every data set
CLASSES = 2  # pitch classes that a sample has at least


@dataclass(frozen=True)
class Answer:
    """A claim put to one figure on one data set."""

    claim: ClaimBlock
    verdict: Verdict
    dataset: str = ""
    preset: str = ""
    seeds: int = 0
    shares: str = ""  # of the paper's budget spent; reduced networks and earlier versions named
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
    ask = measured if claim.than is not None else ASK[claim.along]
    given = list(ask(claim, rows, runs))
    names = " and ".join(filter(None, (claim.first, claim.second)))
    kept = " that kept snapshots (bench all --snapshots 4)" if claim.along == "snapshots" else ""
    return given or [Answer(claim, "not run", note=f"no comparable rows of {names}{kept}")]


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


def compared(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> Iterator[Answer]:
    """Two systems' figures on the same pieces, with the interval of their difference."""
    for a, b in side_by_side(rows, claim.first, claim.second):
        # Fixed contestants, which learn nothing, are the same with every seed.
        trained = [row.seeds for row in (a, b) if not row.is_scale]
        blank = Answer(
            claim,
            "not settled",
            dataset=a.dataset,
            preset=a.preset,
            seeds=min(trained, default=SEEDS),
            shares=" / ".join(share_of(row) for row in (a, b)),
        )
        why = unsuitable(claim, a.dataset)
        for figure in claim.by:
            answer = by_figure(blank, figure, a, b)
            if answer is not None and why:
                yield replace(answer, verdict="not testable", p=None, note=why)
            elif answer is not None:
                yield unless_degenerate(answer, a, b, runs)


def unsuitable(claim: ClaimBlock, dataset: str) -> str:
    """Why a data set cannot answer the claim; empty where it can."""
    if claim.on != "original keys":
        return ""
    try:
        in_c = data.describe(dataset).in_c
    except BenchError:  # a data set of someone else's board
        return ""
    return f"the pieces of {dataset} are in C already" if in_c else ""


def by_figure(blank: Answer, figure: str, a: Row, b: Row) -> Answer | None:
    """The answer by one figure, not judged yet; none where one of the rows does not have it."""
    x, y = a.value(figure), b.value(figure)
    if x is None or y is None:
        return None
    answer = replace(blank, figure=figure, first=float(x), second=float(y))
    if figure == "nats_per_step":
        ours, theirs = (f"{r.likelihood_kind} of {r.likelihood_object}" for r in (a, b))
        if ours != theirs:
            note = f"likelihoods of two kinds are never compared ({ours}, {theirs})"
            return replace(answer, verdict="not testable", note=note)
    if figure not in a.evidence.draws or figure not in b.evidence.draws:
        return replace(answer, note=f"{figure} has no interval")
    low, high, p = difference(a, b, figure)
    x, y, _ = compare.measured(a, b, figure)
    note = ""
    if a.evidence.backward != b.evidence.backward and figure not in compare.LIKELIHOODS:
        note = "the prompts of one are endings, those of the other beginnings of the same pieces"
        if figure == "skill":
            note += "; without judges, which read forwards"
    return replace(answer, first=float(x), second=float(y), low=low, high=high, p=p, note=note)


def unless_degenerate(answer: Answer, a: Row, b: Row, runs: RunFolder) -> Answer:
    """The answer; not testable where it rests on samples that its figure cannot judge.

    A figure that only describes says nothing of music that is silent or repeats one pitch class:
    its scale consistency, for one, is perfect. A figure with a direction may find such music worse,
    but where it finds it better, it is blind to what is wrong with it. A claim `of_silence` asks
    for just such samples.
    """
    if answer.p is None or answer.figure in MEASURED or answer.claim.of_silence:
        return answer
    direction = direction_of(answer.figure)
    for row, value, other in ((a, answer.first, answer.second), (b, answer.second, answer.first)):
        share = degenerate_share(row, runs)
        if share <= DEGENERATE or value is None or other is None:
            continue
        worse = value < other if direction == "higher" else value > other
        if direction == "none" or not worse:
            note = (
                f"{share:.0%} of {row.name}'s samples are silent or of one pitch class, which"
                f" {answer.figure} cannot judge"
            )
            return replace(answer, verdict="not testable", p=None, note=note)
    return answer


def degenerate_share(row: Row, runs: RunFolder) -> float:
    """The share of a row's samples with fewer than CLASSES pitch classes; 0 without MIDI files."""
    files = [
        file for job in row.job_ids for file in (runs.root / "jobs" / job).glob("samples/*.mid")
    ]
    return float(np.mean([classes(file) < CLASSES for file in files])) if files else 0.0


@lru_cache(maxsize=2**16)
def classes(file: Path) -> int:
    """How many pitch classes a MIDI file has; 0 where it cannot be read."""
    try:
        return len(np.unique(from_midi(file).pitch % 12))
    except MidiError:
        return 0


def measured(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> Iterator[Answer]:
    """What was recorded in training, against the number that the claim names, by a t-test."""
    for (row,) in side_by_side(rows, claim.first):
        for figure in claim.by:
            last = [last_of(folder, figure) for folder in folders_of(row, runs)]
            values = [value for value in last if value is not None]
            if not values or claim.than is None:
                continue
            answer = Answer(
                claim,
                "not settled",
                dataset=row.dataset,
                preset=row.preset,
                seeds=len(values),
                shares=share_of(row),
                figure=figure,
                first=float(np.mean(values)),
                second=claim.than,
            )
            if len(values) < SEEDS:
                note = f"{figure} needs {SEEDS} training runs for a standard error"
                yield replace(answer, note=note)
            else:
                yield tested(answer, np.array(values), claim.than)


def by_curves(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> Iterator[Answer]:
    """What two systems recorded in the last part of their training, by Welch's t-test.

    With SEEDS runs on each side the values of the runs are compared. With fewer, the points of all
    curves are, each of which is of other batches: that says how sure the figure is for these runs.
    """
    for a, b in side_by_side(rows, claim.first, claim.second):
        for figure in claim.by:
            points = [[end_of(folder, figure) for folder in folders_of(r, runs)] for r in (a, b)]
            points = [[run for run in side if len(run)] for side in points]
            if not all(points):
                continue
            seeds = min(map(len, points))
            by_run = seeds >= SEEDS
            x, y = (
                np.array([run.mean() for run in side]) if by_run else np.concatenate(side)
                for side in points
            )
            answer = Answer(
                claim,
                "not settled",
                dataset=a.dataset,
                preset=a.preset,
                seeds=seeds,
                shares=" / ".join(share_of(row) for row in (a, b)),
                figure=figure,
                first=float(x.mean()),
                second=float(y.mean()),
            )
            if min(len(x), len(y)) < 2:
                yield replace(answer, note=f"{figure} was recorded too rarely for an interval")
            else:
                yield welch(answer, x, y)


def by_snapshots(claim: ClaimBlock, rows: Sequence[Row], runs: RunFolder) -> Iterator[Answer]:
    """A system's figures at the end of its training and at its first snapshot, by a paired t-test."""
    for (row,) in side_by_side(rows, claim.first):
        kept = [snapshots_of(folder) for folder in folders_of(row, runs)]
        for figure in claim.by:
            pairs = [(end[figure], begin[figure]) for begin, end in kept if figure in begin]
            if not pairs:
                continue
            last, first = np.array(pairs, dtype=np.float64).T
            answer = Answer(
                claim,
                "not settled",
                dataset=row.dataset,
                preset=row.preset,
                seeds=len(pairs),
                shares=share_of(row),
                figure=figure,
                first=float(last.mean()),
                second=float(first.mean()),
            )
            if len(pairs) < SEEDS:
                note = f"{figure} needs {SEEDS} training runs with snapshots for a standard error"
                yield replace(answer, note=note)
            else:
                yield tested(answer, last - first, 0.0)


ASK = {"": compared, "curves": by_curves, "snapshots": by_snapshots}


def folders_of(row: Row, runs: RunFolder) -> list[JobFolder]:
    """The folders of the jobs behind a row."""
    return [JobFolder(runs.root / "jobs" / job) for job in row.job_ids]


def end_of(folder: JobFolder, figure: str) -> Floats:
    """(points,) a figure in a job's curves, in the last LATE of the updates that were made."""
    curve = folder.read_curves()
    last = max((point["step"] for point in curve), default=0)
    late = [p[figure] for p in curve if figure in p and p["step"] > (1 - LATE) * last]
    return np.array(late, dtype=np.float64)


def snapshots_of(folder: JobFolder) -> tuple[dict[str, float], dict[str, float]]:
    """The figures that a job has both at its first snapshot and at its end: there, and here."""
    snapshots = folder.read_result().snapshots
    if snapshots is None or not snapshots.points:
        return {}, {}
    first = snapshots.points[0]
    begin = dict(first.metrics) | {"nats_per_step": first.nats_per_step}
    end = {name: score.value for name, score in read_scores(folder).metrics.items()}
    likelihood = folder.read_result().likelihood
    end["nats_per_step"] = likelihood.nats_per_step if likelihood else None
    both = [name for name in begin if begin[name] is not None and end.get(name) is not None]
    return {n: float(begin[n] or 0) for n in both}, {n: float(end[n] or 0) for n in both}


def welch(answer: Answer, x: Floats, y: Floats) -> Answer:
    """The answer with the interval and the p-value of the difference of two means."""
    from scipy.special import stdtr, stdtrit

    errors = [float(side.var(ddof=1)) / len(side) for side in (x, y)]
    gap, error = float(x.mean() - y.mean()), float(np.sqrt(sum(errors)))
    if error == 0:
        return replace(answer, low=gap, high=gap, p=float(gap == 0))
    parts = sum(e**2 / (len(side) - 1) for e, side in zip(errors, (x, y), strict=True))
    freedom = sum(errors) ** 2 / parts
    wide = error * float(stdtrit(freedom, (1 + statistics.LEVEL) / 2))
    p = 2 * float(stdtr(freedom, -abs(gap) / error))
    return replace(answer, low=gap - wide, high=gap + wide, p=p)


def tested(answer: Answer, values: Floats, than: float) -> Answer:
    """The answer with the interval and the p-value of the values' mean less a number."""
    from scipy.special import stdtr, stdtrit

    freedom = len(values) - 1
    gap, error = float(values.mean() - than), float(values.std(ddof=1) / np.sqrt(len(values)))
    wide = error * float(stdtrit(freedom, (1 + statistics.LEVEL) / 2))
    p = 2 * float(stdtr(freedom, -abs(gap) / error)) if error > 0 else float(gap == 0)
    return replace(answer, low=gap - wide, high=gap + wide, p=p)


def last_of(folder: JobFolder, figure: str) -> float | None:
    """The last value of a figure in a job's curves."""
    return next((p[figure] for p in reversed(folder.read_curves()) if figure in p), None)


def share_of(row: Row) -> str:
    """What a row spent of the paper's budget, in words, and what else it must be read with."""
    share = "none named" if row.budget_share is None else f"{row.budget_share:.2%}"
    size = [] if row.size == "full" else [row.size]
    spec, source = registry.systems().get(row.system), row.evidence.source
    older = spec is not None and source not in ("", registry.source_hash(spec))
    return ", ".join([share, *size, *["an earlier version"] * older])


def judged(answer: Answer) -> Answer:
    """The answer with its verdict: what differs by chance alone settles nothing."""
    if answer.first is None or answer.second is None or answer.p is None:
        return answer
    expects = answer.claim.expects
    differs = answer.p < 1 - statistics.LEVEL
    if not differs:
        # That no difference shows is no proof that there is none.
        unseen = expects == "no different"
        return replace(answer, verdict="no difference seen") if unseen else answer
    higher = answer.first > answer.second
    if expects == "no different":
        holds = False
    elif expects in ("better", "worse"):
        direction = direction_of(answer.figure)
        if direction == "none":
            raise BenchError(
                f"{answer.figure} is neither better nor worse; expect higher or lower."
            )
        holds = higher == ((direction == "higher") == (expects == "better"))
    else:
        holds = higher == (expects in ("higher", "above"))
    if answer.seeds < SEEDS:
        return replace(
            answer, verdict="holds for these runs" if holds else "does not hold for these runs"
        )
    return replace(answer, verdict="holds" if holds else "does not hold")
