"""The leaderboard of a run folder: one row per data set, preset and system, from its jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from bench.board.ranking import rank_all
from bench.board.ratings import fill_ratings
from bench.board.rows import COPIES, Board, Evidence, MetricCells, Row, hash_of, rounded
from bench.board.spending import share_spent
from bench.contract import Floats
from bench.jobs.job import Job
from bench.jobs.record import JobRecord, records
from bench.jobs.results import AccuracyResult, FitResult, LikelihoodResult
from bench.jobs.run_folder import RunFolder
from bench.protocol import statistics


def build(runs: RunFolder) -> Board:
    """The board of a run folder, ranked and sorted."""
    board = board_of(records(runs))
    fill_ratings(board.rows, runs.root)
    for row in board.rows:
        row.row_hash = hash_of(row)
    return board


def board_of(records: Sequence[JobRecord]) -> Board:
    """The board that these jobs make, without what listeners said."""
    # The products are small: on a busy machine threads would wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        rows = [row_of(jobs) for jobs in _latest(records)]
        rank_all(Board(tuple(rows)).groups)
    return Board(tuple(sorted(rows, key=_order)))


def _order(row: Row) -> tuple[str | int | float, ...]:
    """Data set by data set, ranked rows first, the best on top."""
    skill = -row.skill if row.skill is not None else np.inf
    return (row.dataset, row.preset, row.pieces, row.steps, skill, row.system, row.variant)


def _job(record: JobRecord) -> Job:
    if record.job is None:
        raise ValueError(f"{record.folder.path} holds no job")
    return record.job


def _latest(records: Sequence[JobRecord]) -> list[list[JobRecord]]:
    """The jobs of each row, one per seed. Of a system whose settings or code changed, the newest."""
    rows: dict[tuple[object, ...], dict[str, list[JobRecord]]] = defaultdict(dict)
    for record in records:
        job = _job(record)
        # A system that used to be given other prompts has one row, of the newest jobs.
        protocol = job.protocol.model_copy(update={"backward": False})
        row = (job.dataset, job.preset, protocol, job.system, job.variant, job.device)
        made_of = job.model_copy(update={"seed": 0}).digest
        rows[row].setdefault(made_of, []).append(record)

    def changed(jobs: Iterable[JobRecord]) -> str:
        return max((record.status.changed for record in jobs if record.status), default="")

    return [
        sorted(max(versions.values(), key=changed), key=lambda record: _job(record).seed)
        for versions in rows.values()
    ]


def row_of(records: Sequence[JobRecord]) -> Row:
    """One row from the jobs of all seeds, not ranked yet."""
    first = _job(records[0])
    good = [record for record in records if record.finished]
    bad = [record for record in records if not record.finished]
    row = Row(
        system=first.system,
        kind=first.card.kind,
        variant=first.variant,
        paper=first.card.paper,
        dataset=first.dataset,
        dataset_version=first.dataset_version,
        preset=first.preset,
        status="ok" if not bad else "partial" if good else _state(bad[0]),
        seeds=len(good),
        pieces=first.protocol.samples,
        steps=first.protocol.steps,
        prompted=not first.protocol.unprompted,
        size=first.card.size,
        budget=first.budget.amount,
        budget_unit=first.budget.unit,
        device=first.device,
        dataset_fingerprint=first.dataset_fingerprint[:16],
        failure="; ".join(_failure(record) for record in bad),
        jobs=" ".join(_job(record).id for record in records),
    )
    row.evidence.anchor = first.card.anchor
    row.evidence.backward = first.protocol.backward
    row.evidence.source = first.source
    if good:
        _fill_provenance(row, good)
        repeated = _is_repeated(good)
        row.evidence.trained = _is_trained(row, len(good), repeated)
        row.evidence.samples = {_job(r).seed: r.result.sample_hashes for r in good}
        if repeated:
            row.evidence.by_seed = tuple(Evidence() for _ in good)
        _fill_likelihood(row, [r.result.likelihood for r in good if r.result.likelihood])
        _fill_accuracy(row, [r.result.accuracy for r in good if r.result.accuracy])
        _fill_metrics(row, good)
        _fill_copying(row, good)
    return row


def _is_repeated(records: Sequence[JobRecord]) -> bool:
    """Whether there are several training runs: not where every seed saved the very same files."""
    files = [record.result.fit.files if record.result.fit else {} for record in records]
    return len(files) > 1 and not (files[0] and all(each == files[0] for each in files))


def _is_trained(row: Row, seeds: int, repeated: bool) -> bool:
    """Whether another training run may give another system.

    Not so for what only fixes the scale; for our own systems that save the same files under every
    seed; and, with one seed, for baselines without a budget, and without parameters that a seed
    could draw. Of what others bring we do not know how it was trained: it always counts as trained.
    """
    if row.is_scale:
        return False
    if seeds > 1:
        return repeated or row.kind == "external"
    untrained = row.kind in ("baseline", "control") and not row.budget and not row.parameters
    return not untrained


def _state(record: JobRecord) -> str:
    """How a job that did not end well stands."""
    if record.folder.is_running():
        return "running"
    return record.status.state if record.status else "not run"


def _failure(record: JobRecord) -> str:
    """One line on a failed job, and where its log is."""
    job = _job(record)
    reason = record.status.sentence if record.status else "not run"
    return f"seed {job.seed}: {reason} (log: jobs/{job.id}/log.txt)"


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are."""
    present = [value for value in values if value is not None]
    return rounded(float(np.mean(present))) if present else None


def _fill_provenance(row: Row, records: Sequence[JobRecord]) -> None:
    """Fill in what the results cost, and what they were made with."""
    results = [record.result for record in records]
    fits = [result.fit or FitResult() for result in results]
    row.parameters = fits[0].parameters
    row.vocabulary, row.tokens = fits[0].vocabulary, fits[0].tokens
    row.music_steps = fits[0].music_steps
    row.budget_share = _mean(share_spent(record) for record in records)
    row.train_seconds = _mean(fit.seconds for fit in fits)
    row.sample_seconds = _mean(result.sample.seconds for result in results if result.sample)
    row.peak_memory_mb = max(result.peak_memory_mb for result in results) or None
    row.hardware = fits[0].hardware
    row.threads = fits[0].threads
    row.commit = " ".join(sorted({fit.commit for fit in fits} - {""}))
    row.versions = " ".join(f"{name}={number}" for name, number in sorted(fits[0].versions.items()))
    dates = [record.status.changed[:10] for record in records if record.status]
    row.date = max(dates, default="")


def _fill_likelihood(row: Row, seeds: Sequence[LikelihoodResult]) -> None:
    """Fill in the likelihood, averaged over seeds."""
    first = seeds[0]
    row.likelihood_kind = first.kind
    row.likelihood_object = first.object
    row.likelihood_note = next((seed.reason for seed in seeds if seed.reason), "")
    if not all(seed.nats for seed in seeds):
        return
    nats = [-np.array(seed.nats) for seed in seeds]
    steps, notes = np.array(first.steps, float), np.array(first.notes, float)
    row.likelihood_pieces = len(steps)
    for name, unit in (("nats_per_step", steps), ("bits_per_note", notes * np.log(2))):
        if unit.sum():
            values = [float(each.sum() / unit.sum()) for each in nats]
            _keep(row, name, values, [statistics.ratio_draws(each, unit) for each in nats])
            setattr(row, name, _mean(values))


def _fill_accuracy(row: Row, seeds: Sequence[AccuracyResult]) -> None:
    """Fill in the frame accuracy, averaged over seeds, if every seed has it."""
    if len(seeds) < row.seeds or not all(sum(seed.all) for seed in seeds):
        return
    counts = [(np.array(seed.right, float), np.array(seed.all, float)) for seed in seeds]
    values = [float(right.sum() / either.sum()) for right, either in counts]
    with np.errstate(invalid="ignore", divide="ignore"):  # pieces in which nothing sounds
        draws = [statistics.ratio_draws(right, either) for right, either in counts]
    row.frame_accuracy = _mean(values)
    if all(np.isfinite(drawn).all() for drawn in draws):
        _keep(row, "frame_accuracy", values, draws)


def _keep(row: Row, name: str, values: Sequence[float], draws: Sequence[Floats]) -> None:
    """Keep a figure's values and draws as evidence: those of each seed, and the mean draws."""
    row.evidence.draws[name] = draws[0] if len(draws) == 1 else np.mean(draws, axis=0)
    if len(draws) == len(row.evidence.by_seed):
        for evidence, value, drawn in zip(row.evidence.by_seed, values, draws, strict=True):
            evidence.exact[name], evidence.draws[name] = value, drawn


def _fill_metrics(row: Row, records: Sequence[JobRecord]) -> None:
    """Fill in every metric that each seed has a score of."""
    scores = [record.scores for record in records]
    names = sorted(set.intersection(*(set(seed.metrics) for seed in scores)))
    row.metric_versions = " ".join(f"{name}={scores[0].metrics[name].version}" for name in names)
    row.stale = " ".join(sorted({name for record in records for name in record.stale}))
    exact, drawn = row.evidence.exact, [seed.draws for seed in scores]
    for name in names:
        values = [seed.metrics[name].value for seed in scores]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            exact[name] = known[0] if len(known) == 1 else float(np.mean(known))
            if all(name in draws for draws in drawn):
                _keep(row, name, known, [draws[name] for draws in drawn])
        pieces = float(sum(seed.metrics[name].pieces for seed in scores))
        row.metrics[name] = MetricCells(rounded(exact.get(name)), pieces=pieces)


def _fill_copying(row: Row, records: Sequence[JobRecord]) -> None:
    """Give the status "copies" to a contestant whose samples of any seed are not its own."""
    if row.is_scale or row.kind == "control":
        return
    sentences = [record.copying.sentence for record in records if record.copying]
    row.copying = next(filter(None, sentences), "")
    if row.copying:
        row.status = COPIES


def count_stale(runs: RunFolder) -> int:
    """How many finished jobs lack a score by a metric's present version, or a report on copying."""
    records = (JobRecord(folder) for folder in runs.folders())
    return sum(bool(record.stale) for record in records if record.finished)
