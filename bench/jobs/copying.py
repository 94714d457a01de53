"""The report on copying in a job's samples: `copying.json`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from bench.data.dataset import Dataset
from bench.files import read_json, write_json
from bench.jobs.job import Job
from bench.jobs.run_folder import JobFolder
from bench.music import Score
from bench.protocol.copy_report import CopyReport
from bench.protocol.copying import make_report
from bench.protocol.sampling import Prompt


def read_copying(folder: JobFolder, job: Job, hashes: Sequence[str]) -> CopyReport | None:
    """The report; None unless the present version of the detector made it for these samples."""
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
    """The folder's report, made again where `read_copying` gives none."""
    hashes = [sample.content_hash for sample in samples]
    report = read_copying(folder, job, hashes)
    if report is None:
        human = job.card.kind == "ceiling"
        report = make_report(dataset, job.protocol, samples, prompts, human=human)
        write_json(folder.copying, report.model_dump(mode="json"))
    return report
