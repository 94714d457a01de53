"""A job's folder as it was at one moment: each of its files read and typed once."""

from __future__ import annotations

from functools import cached_property

from bench.jobs.copying import read_copying
from bench.jobs.job import Job
from bench.jobs.results import JobResult
from bench.jobs.run_folder import JobFolder, JobStatus, RunFolder
from bench.jobs.scores import Scores, binding_of, read_scores
from bench.protocol.copy_report import CopyReport


class JobRecord:
    """What a job's folder says, read when it is first asked for and kept from then on."""

    def __init__(self, folder: JobFolder):
        self.folder = folder

    @cached_property
    def job(self) -> Job | None:
        """The job; none where it cannot be read, or is one that this version would do otherwise."""
        return self.folder.read_job()

    @cached_property
    def status(self) -> JobStatus | None:
        """How the job stands; none before the first attempt."""
        return self.folder.read_status()

    @cached_property
    def result(self) -> JobResult:
        """The results of the finished phases."""
        return self.folder.read_result()

    @cached_property
    def scores(self) -> Scores:
        """The scores of its samples; none where those on disk are of something else."""
        if self.job is None:
            return read_scores(self.folder)
        return read_scores(self.folder, binding_of(self.job, self.result.sample_hashes))

    @cached_property
    def copying(self) -> CopyReport | None:
        """The report on copying in its samples; None where there is none for these samples."""
        if self.job is None:
            return None
        return read_copying(self.folder, self.job, self.result.sample_hashes)

    @property
    def stale(self) -> list[str]:
        """What a present version has not measured yet: names of metrics, and "copying"."""
        return self.scores.stale + ["copying"] * (self.copying is None)

    @property
    def outdated(self) -> list[str]:
        """What `bench all` measures again: what is stale, and what is not bound to its samples."""
        return self.scores.outdated + ["copying"] * (self.copying is None)

    @property
    def finished(self) -> bool:
        """Whether the job ended well and its result is there."""
        return self.status is not None and self.status.state == "ok" and self.result.complete

    def is_done(self, job: Job) -> bool:
        """Whether nothing is left to do of the job: its snapshots and present scores are there."""
        return (
            self.finished
            and not self.outdated
            and job.snapshots in (0, self.result.snapshots_asked)
        )

    @property
    def seconds(self) -> float:
        """Seconds of all phases, in however many attempts."""
        result = self.result
        phases = (result.fit, result.sample, result.likelihood, result.accuracy)
        timed = [phase.seconds for phase in phases if phase]
        return sum(seconds or 0.0 for seconds in timed) + sum(
            score.seconds for score in self.scores.metrics.values()
        )


def records(runs: RunFolder) -> list[JobRecord]:
    """The records of all jobs in the run folder whose description can be read."""
    every = [JobRecord(folder) for folder in runs.folders()]
    return [record for record in every if record.job is not None]
