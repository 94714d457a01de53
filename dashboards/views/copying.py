"""The evidence that samples are copies: passages of them beside the music that they are from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.jobs.record import JobRecord
from bench.jobs.run_folder import JobFolder
from bench.music import Score
from bench.protocol.copy_report import CopyReport, Passage
from bench.protocol.sampling import Prompt


@dataclass(frozen=True)
class Pair:
    """A passage of a sample, and the same bars of its source; none where that is not here."""

    passage: Passage
    sample: Score | None
    source: Score | None

    @property
    def label(self) -> str:
        """Which bars of which sample."""
        first, last = self.passage.bars
        bars = f"bar {first}" if first == last else f"bars {first} to {last}"
        return f"Sample {self.passage.sample + 1}, {bars}"

    @property
    def matched(self) -> str:
        """How much of it is the same."""
        return f"{self.passage.matched} of {self.passage.notes} notes are the same"


def report_of(jobs: Sequence[JobFolder]) -> tuple[JobFolder, CopyReport] | None:
    """The first job whose report accuses it, with the report."""
    for folder in jobs:
        report = JobRecord(folder).copying
        if report and report.verdict == "copies" and report.sentence:
            return folder, report
    return None


def pairs(
    report: CopyReport,
    samples: Sequence[Score | None],
    prompts: Sequence[Prompt],
    pieces: Mapping[str, Score],
) -> list[Pair]:
    """The passages of the strongest comparison, cut out to be heard side by side."""
    strongest = report.clearest
    bar = report.protocol.prompt
    cut = []
    for passage in report.passages:
        if strongest is None or (passage.reference, passage.disguise) != (
            strongest.reference,
            strongest.disguise,
        ):
            continue
        sample = samples[passage.sample] if passage.sample < len(samples) else None
        start, end = (passage.bars[0] - 1) * bar, passage.bars[1] * bar
        source = _source(passage, sample, samples, prompts, pieces)
        there = (passage.source_bars[0] - 1) * bar + passage.source_offset
        cut.append(
            Pair(
                passage,
                None if sample is None else sample.slice(start, min(end, sample.length)),
                None
                if source is None
                else source.slice(
                    min(there, source.length), min(there + end - start, source.length)
                ),
            )
        )
    return cut


def _source(
    passage: Passage,
    sample: Score | None,
    samples: Sequence[Score | None],
    prompts: Sequence[Prompt],
    pieces: Mapping[str, Score],
) -> Score | None:
    """The whole music that a passage is from."""
    if passage.reference == "data set":
        return pieces.get(passage.source)
    if passage.reference == "other samples":
        number = int(passage.source) if passage.source.isdecimal() else len(samples)
        return samples[number] if number < len(samples) else None
    if passage.source == "prompt":
        known = passage.sample < len(prompts)
        return prompts[passage.sample].score if known else None
    return sample
