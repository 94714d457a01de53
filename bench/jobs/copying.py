"""What was found of copying in a job's samples: `copying.json`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from bench.data.dataset import Dataset
from bench.files import read_json, write_json
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder
from bench.music import Score
from bench.protocol.copying import CopyReport, check
from bench.protocol.sampling import Prompt


def read_copying(folder: JobFolder, job: Job, hashes: Sequence[str]) -> CopyReport | None:
    """The report, if it is of these samples and by the present version of the detector."""
    try:
        report = CopyReport.model_validate(read_json(folder.copying))
    except (ValidationError, OSError):
        return None
    return report if report.is_of(hashes, job.dataset_fingerprint, job.protocol) else None


def check_copying(
    folder: JobFolder,
    job: Job,
    dataset: Dataset,
    prompts: Sequence[Prompt],
    samples: Sequence[Score],
) -> CopyReport:
    """The folder's report, made anew where there is none that can be trusted."""
    hashes = [sample.content_hash for sample in samples]
    report = read_copying(folder, job, hashes)
    if report is None:
        human = job.card.kind == "ceiling"
        report = check(dataset, job.protocol, samples, prompts, human=human)
        write_json(folder.copying, report.model_dump(mode="json"))
    return report
