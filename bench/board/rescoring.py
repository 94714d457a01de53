"""Scores the samples of finished jobs again, and compares the result with what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import data, registry
from bench.contract import Floats, Measurement, Metric, Reference
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.jobs.job import Job
from bench.jobs.phases import file_hashes, load_system
from bench.jobs.record import JobRecord
from bench.jobs.results import AccuracyResult, LikelihoodResult
from bench.jobs.samples import read_samples
from bench.jobs.scores import MetricScore, arrays_of, score_of
from bench.music import MidiError, Score
from bench.protocol import frame_accuracy, likelihood, sampling
from bench.protocol.copying import make_report
from bench.protocol.measuring import measure, scored

TOLERANCE = 1e-6  # of a metric that states no other: what summing in another order changes
SMALL = 1e-9  # differences of numbers near 0
ACCURACY = 5e-3  # of a share: rounding turns a few of the drawn keys over
NATS = 1e-3  # relative: networks compute with 32 bits, and pieces are batched in another way
PIECES = 3  # whose likelihood is computed again
EQUAL = 0.9  # of the notes in common: the same music
STOLEN = 0.1  # of the samples: so many are never the true continuation by chance


@dataclass
class Checked:
    """What checking a job gave: what is wrong, and what had to be taken as reported."""

    problems: list[str] = field(default_factory=list)
    as_reported: list[str] = field(default_factory=list)
    metrics: int = 0  # whose scores were computed again


class Material:
    """The data that jobs of one data set and protocol were scored with; metrics are prepared once."""

    def __init__(self, dataset: Dataset, protocol: sampling.Protocol) -> None:
        self.dataset = dataset
        self.prompts = sampling.prompts(dataset, protocol)
        self.reference: Reference = sampling.reference(dataset, protocol, self.prompts)
        self.test = sampling.test_pieces(dataset, protocol)
        self.continuations = [
            prompt.continuation.slice(0, protocol.steps) for prompt in self.prompts
        ]
        self._metrics: dict[str, Metric] = {}

    def measured(self, name: str, samples: Sequence[Score]) -> Measurement:
        """A metric's result for the samples."""
        if name in self._metrics:
            return scored(self._metrics[name], samples)
        metric = registry.metrics()[name]()
        measurement = measure(metric, self.reference, samples)
        self._metrics[name] = metric
        return measurement


class Checker:
    """Checks jobs against their samples, and against the data set where it is at hand."""

    def __init__(self, *, systems: bool, seed: int) -> None:
        self.systems = systems  # whether saved systems may be loaded: that runs their code
        self.rng = np.random.default_rng(seed)
        self._materials: dict[tuple[str, str, sampling.Protocol], Material | str] = {}

    def material(self, job: Job) -> Material | str:
        """The data of a job, or why it is not at hand."""
        key = (job.dataset, job.dataset_fingerprint, job.protocol)
        if key not in self._materials:
            try:
                dataset = data.load(job.dataset)
                if dataset.fingerprint != job.dataset_fingerprint:
                    raise BenchError(f"{job.dataset} is here in another version")
                self._materials[key] = Material(dataset, job.protocol)
            except BenchError as error:
                self._materials[key] = f"{job.dataset} is not at hand ({error})"
        return self._materials[key]

    def check(self, record: JobRecord) -> Checked:
        """Score a finished job again. Its samples, scores and likelihood against what is stored."""
        checked = Checked()
        job = record.job
        if job is None or not record.finished:
            checked.as_reported.append("it did not finish")
            return checked
        material = self.material(job)
        if isinstance(material, str):
            checked.as_reported.append(f"scores and likelihood: {material}")
            return checked
        try:
            samples = samples_of(record, material)
        except (BenchError, MidiError) as error:
            checked.problems.append(str(error))
            return checked
        if job.card.kind != "ceiling":
            checked.problems += stolen(samples, material)
        self._scores(record, material, samples, checked)
        _check_copying(record, job, material, samples, checked)
        if record.result.likelihood is not None:
            self._likelihood(record, job, material, record.result.likelihood, checked)
        if record.result.accuracy is not None:
            self._accuracy(record, job, material, record.result.accuracy, checked)
        return checked

    def _scores(
        self, record: JobRecord, material: Material, samples: Sequence[Score], checked: Checked
    ) -> None:
        stored = record.scores
        if not stored.metrics:
            checked.problems.append(
                "its scores are of other samples, data or protocol, were edited, or are gone"
            )
            return
        if not stored.bound:
            checked.as_reported.append(
                "what the scores are of: they were written by an older version (unbound)"
            )
        for name, score in stored.metrics.items():
            cls = registry.metrics().get(name)
            if cls is None or cls.version != score.version:
                why = "is not installed" if cls is None else f"is version {cls.version} here"
                checked.as_reported.append(f"{name}, version {score.version}: it {why}")
                continue
            measurement = material.measured(name, samples)
            tolerance = float(getattr(cls, "tolerance", TOLERANCE))
            arrays = {k: a for k, a in stored.arrays.items() if k.rpartition(".")[0] == name}
            checked.problems += differences(name, score, arrays, measurement, samples, tolerance)
            checked.metrics += 1

    def _likelihood(
        self,
        record: JobRecord,
        job: Job,
        material: Material,
        stored: LikelihoodResult,
        checked: Checked,
    ) -> None:
        if not stored.nats:
            return
        steps = tuple(piece.length for piece in material.test)
        notes = tuple(len(piece) for piece in material.test)
        if (stored.steps, stored.notes) != (steps, notes):
            checked.problems.append(
                "the likelihood is not of the test pieces: other steps or notes"
            )
            return
        if len(stored.nats) != len(steps):
            checked.problems.append(
                f"the likelihood has {len(stored.nats)} values for {len(steps)} test pieces"
            )
            return
        estimate = "it is an estimate, which depends on which pieces are computed together"
        why = self._unknown(record, job) or (estimate if stored.kind == "estimate" else "")
        if why:
            checked.as_reported.append(f"likelihood: {why}")
            return
        if record.result.fit is None or record.result.fit.files != file_hashes(
            record.folder.system
        ):
            checked.problems.append("the saved system is not the one that was trained")
            return
        chosen = np.sort(self.rng.permutation(len(steps))[:PIECES])
        try:
            system = load_system(job, record.folder)
            fresh = likelihood.evaluate(system, [material.test[i] for i in chosen])
        except Exception as error:  # noqa: BLE001 - a system may raise anything
            checked.problems.append(f"the likelihood cannot be computed again: {error}")
            return
        tag = likelihood.tag(system.likelihood, material.dataset.object)
        if tag != (stored.kind, stored.object):
            checked.problems.append(
                f"the likelihood is {tag[0]} of {tag[1]}, not {stored.kind} of {stored.object}"
            )
        for place, value in zip(chosen, fresh.nats, strict=True):
            if not close(stored.nats[place], float(value), NATS):
                checked.problems.append(
                    f"test piece {place}: {stored.nats[place]:.6g} nats stored,"
                    f" {value:.6g} computed again"
                )

    def _accuracy(
        self,
        record: JobRecord,
        job: Job,
        material: Material,
        stored: AccuracyResult,
        checked: Checked,
    ) -> None:
        if not stored.all:
            return
        places = frame_accuracy.predicted_places(material.test)
        sounding = np.array(
            [
                piece.sounding()[steps].sum()
                for piece, steps in zip(material.test, places, strict=True)
            ]
        )
        right, either = np.array(stored.right), np.array(stored.all)
        if right.shape != sounding.shape or either.shape != sounding.shape:
            checked.problems.append(
                f"the frame accuracy has {len(either)} values for {len(sounding)} test pieces"
            )
            return
        if (right < 0).any() or (right > sounding).any() or (either < sounding).any():
            checked.problems.append("the frame accuracy is not of the test pieces: other keys")
            return
        if why := self._unknown(record, job):
            checked.as_reported.append(f"frame accuracy: {why}")
            return
        try:
            system = load_system(job, record.folder)
            fresh = frame_accuracy.evaluate(system, material.test, job.seed)
        except Exception as error:  # noqa: BLE001 - a system may raise anything
            checked.problems.append(f"the frame accuracy cannot be computed again: {error}")
            return
        again = fresh.accuracy if fresh else None
        value = right.sum() / either.sum() if either.sum() else None
        if (again is None) != (value is None) or abs((again or 0) - (value or 0)) > ACCURACY:
            checked.problems.append(f"the frame accuracy: {value} stored, {again} computed again")

    def _unknown(self, record: JobRecord, job: Job) -> str:
        """Why nothing can be computed again by the system; empty where it can."""
        if not record.folder.system.is_dir():
            return "the trained system is not in the folder"
        if not self.systems:
            return "systems out of an archive are not loaded"
        spec = registry.systems().get(job.system)
        if spec is None or spec.class_path != job.class_path:
            return "the system is none that is installed, and foreign code is not run"
        if job.device != "cpu":
            return f"it was computed on {job.device}"
        return ""


def _check_copying(
    record: JobRecord, job: Job, material: Material, samples: Sequence[Score], checked: Checked
) -> None:
    """Look again for copying: the stored report must say the same."""
    stored = record.copying
    if stored is None:
        checked.as_reported.append("copying: there is no report by this version of the detector")
        return
    human = job.card.kind == "ceiling"
    fresh = make_report(material.dataset, job.protocol, samples, material.prompts, human=human)
    if (stored.verdict, stored.sentence) != (fresh.verdict, fresh.sentence):
        checked.problems.append(
            f"copying: the report says '{stored.sentence or stored.verdict}', the samples say"
            f" '{fresh.sentence or fresh.verdict}'"
        )


def samples_of(record: JobRecord, material: Material) -> list[Score]:
    """The samples of a job; BenchError where they are not those that its result names.

    Those of a ceiling, which archives leave out, are the true continuations of the data set.
    """
    job, hashes = record.job, record.result.sample_hashes
    if job is None or len(hashes) != job.protocol.samples:
        raise BenchError(
            f"{len(hashes)} samples are named in its result, fewer than were asked for"
        )
    if job.card.kind != "ceiling" or record.folder.samples.is_dir():
        return sampling.check_samples(
            read_samples(record.folder, hashes), job.protocol, material.dataset.grid
        )
    if [score.content_hash for score in material.continuations] != list(hashes):
        raise BenchError("its samples are not the true continuations, and are not in the folder")
    return list(material.continuations)


def stolen(samples: Sequence[Score], material: Material) -> list[str]:
    """A problem where samples are what truly follows the prompts, nearly note for note."""
    same = sum(
        common_notes(sample, truth) >= EQUAL
        for sample, truth in zip(samples, material.continuations, strict=True)
    )
    if same < max(2, STOLEN * len(samples)):
        return []
    return [f"{same} of {len(samples)} samples are the true continuations of the data set"]


def common_notes(a: Score, b: Score) -> float:
    """The notes of equal onset and pitch, as a share of those of the piece with more notes."""
    first, second = (set(zip(p.onset.tolist(), p.pitch.tolist(), strict=True)) for p in (a, b))
    return len(first & second) / max(len(first), len(second), 1)


def differences(
    name: str,
    stored: MetricScore,
    arrays: dict[str, Floats],
    measurement: Measurement,
    samples: Sequence[Score],
    tolerance: float,
) -> list[str]:
    """How a metric's stored score differs from the one computed again, one line each."""
    fresh = score_of(stored.version, measurement, len(samples), 0.0)
    if (stored.value is None) != (fresh.value is None):
        reason = fresh.reason or stored.reason
        return [f"{name}: {shown(stored.value)} stored, {shown(fresh.value)} computed ({reason})"]
    problems = []
    value, again = stored.value, fresh.value
    if value is not None and again is not None and not close(value, again, tolerance):
        problems.append(f"{name}: {shown(value)} stored, {shown(again)} computed")
    if stored.pieces != fresh.pieces:
        problems.append(f"{name}: {stored.pieces} pieces stored, {fresh.pieces} computed")
    for detail in sorted({*stored.detail, *fresh.detail}):
        a, b = stored.detail.get(detail), fresh.detail.get(detail)
        if (a is None) != (b is None) or (
            a is not None and b is not None and not close(a, b, tolerance)
        ):
            problems.append(f"{name}, {detail}: {shown(a)} stored, {shown(b)} computed")
    computed = arrays_of(name, measurement)
    for key in sorted({*arrays, *computed}):
        if not alike(arrays.get(key), computed.get(key), tolerance):
            kind = key.rpartition(".")[2]
            what = "values per sample" if kind == "per_piece" else "resampled values"
            problems.append(f"{name}: other {what} stored than computed")
    return problems


def close(stored: float, computed: float, tolerance: float) -> bool:
    """Whether two numbers are equal but for rounding."""
    return alike(np.array([stored]), np.array([computed]), tolerance)


def alike(stored: Floats | None, computed: Floats | None, tolerance: float) -> bool:
    """Whether two arrays are equal but for rounding, relative to their largest value."""
    if stored is None or computed is None:
        return stored is computed
    if stored.shape != computed.shape:
        return False
    finite = np.isfinite(computed)
    if not np.array_equal(stored[~finite], computed[~finite], equal_nan=True):
        return False
    a, b = stored[finite], computed[finite]
    if not np.isfinite(a).all():
        return False
    allowed = tolerance * float(np.abs(b).max(initial=0.0)) + SMALL
    return bool((np.abs(a - b) <= allowed).all())


def shown(value: float | None) -> str:
    """A value in a sentence."""
    return "no value" if value is None else f"{value:.8g}"
