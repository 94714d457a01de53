"""What a run would do: every job, what it takes, and what is done already."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench import data, registry
from bench.errors import BenchError, unknown
from bench.jobs.job import Card, Device, Job
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder
from bench.protocol.sampling import Protocol
from bench.registry import PresetName, SystemSpec, Variant


class Preset(BaseModel):
    """How much is spent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    samples: int
    bars: int  # of each sample
    seeds: int
    cheap: float | None = None  # seconds: a job that is expected to take longer has one seed
    timeout: float  # minutes per job
    test_pieces: int | None = None  # that give the likelihood; none: all


PRESETS: dict[PresetName, Preset] = {
    "smoke": Preset(
        about="a test that everything runs: small networks, under 3 minutes on 2 cores; no results",
        samples=4,
        bars=4,
        seeds=1,
        timeout=5,
        test_pieces=2,
    ),
    "quick": Preset(
        about="the default without a GPU: at most 15 minutes on 2 cores; large networks are reduced",
        samples=64,
        bars=8,
        seeds=3,
        cheap=10,
        timeout=30,
    ),
    "standard": Preset(
        about="the default with a GPU: every network at full size",
        samples=128,
        bars=8,
        seeds=3,
        cheap=20 * 60,
        timeout=120,
    ),
    "paper": Preset(
        about="the papers' own budgets",
        samples=128,
        bars=8,
        seeds=3,
        timeout=24 * 60,
    ),
}

FEW_SEEDS = 1  # of a job that is not cheap

SCORING_SECONDS = 5.0  # of samples that are there, with a few metrics
STARTING_SECONDS = 1.5  # the process itself, and loading the data

VariantChoice = Literal["corrected", "as-published", "all"]


@dataclass(frozen=True)
class Options:
    """What a run was asked for; the same for `bench plan` and `bench all`."""

    preset: PresetName = "quick"
    data: tuple[str, ...] = ("chorales",)
    systems: tuple[str, ...] = ()  # none named: all
    seeds: int | None = None
    samples: int | None = None
    steps: int | None = None
    variant: VariantChoice = "corrected"
    controls: bool = False  # also those that are run on demand, to see how a ranking takes them
    unprompted: bool = False
    snapshots: int = 0
    tensorboard: bool = False
    device: Device = "cpu"
    out: Path = field(default_factory=lambda: Path("runs"))


@dataclass(frozen=True)
class Planned:
    """A job, how it stands, and what it is expected to take."""

    job: Job
    state: str  # new, done, rescore, or how its last attempt ended
    seconds: float
    memory_mb: int
    disk_mb: int
    measured: bool = False  # on a finished job like it, and not only expected

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.state == "done"


def systems_of(options: Options) -> list[SystemSpec]:
    """The contestants asked for: all of the catalogues unless some are named.

    Controls are included if they are named, or with `controls`.
    """
    named = [registry.system(name) for name in dict.fromkeys(options.systems)]
    specs = named or [spec for spec in registry.systems().values() if spec.kind != "control"]
    if options.controls:
        taken = {spec.id for spec in specs}
        controls = [spec for spec in registry.systems().values() if spec.kind == "control"]
        specs = specs + [spec for spec in controls if spec.id not in taken]
    return specs


def variants_of(spec: SystemSpec, choice: VariantChoice) -> tuple[Variant, ...]:
    """The variants of a system that a choice asks for."""
    if choice == "all":
        return spec.variants()
    return (choice,) if choice in spec.variants() else ()


def protocol_of(options: Options, bar: int, *, backward: bool = False) -> Protocol:
    """The sample protocol of a run on a data set with bars of so many steps."""
    preset = PRESETS[options.preset]
    return Protocol(
        samples=options.samples or preset.samples,
        steps=options.steps or preset.bars * bar,
        prompt=bar,
        test_pieces=preset.test_pieces,
        unprompted=options.unprompted,
        backward=backward,
    )


def expected_seconds(spec: SystemSpec, preset: PresetName, device: str) -> float:
    """What a job of the system takes, as far as its catalogue knows."""
    if device == "cpu" and spec.cost.unit_seconds and preset in ("standard", "paper"):
        return spec.cost.unit_seconds * spec.budget.of(preset).amount
    return spec.cost.seconds.get(preset, spec.cost.seconds.get("quick", 60.0))


def seeds_of(spec: SystemSpec, options: Options) -> int:
    """How many seeds a system gets: those asked for, or the preset's where that is cheap.

    What its catalogue expects decides, not how long a finished job took: a run that is continued
    has the same jobs.
    """
    if options.seeds:
        return options.seeds
    preset = PRESETS[options.preset]
    seconds = expected_seconds(spec, options.preset, options.device)
    return preset.seeds if preset.cheap is None or seconds <= preset.cheap else FEW_SEEDS


def card_of(spec: SystemSpec, preset: PresetName, device: str) -> Card:
    """What rows say of a system."""
    size = spec.size_of(preset)
    return Card(
        title=spec.title,
        kind=spec.kind,
        paper=spec.paper,
        citation=spec.citation,
        anchor=spec.anchor,
        size=size,
        seconds=expected_seconds(spec, preset, device),
        memory_mb=min(spec.cost.memory_mb, 700) if size != "full" else spec.cost.memory_mb,
        disk_mb=min(spec.cost.disk_mb, 5) if size != "full" else spec.cost.disk_mb,
    )


def data_set(name: str) -> data.Info:
    """The data set of that name; BenchError when it is not on this machine."""
    info = data.describe(name)
    if info.where is None:
        raise BenchError(f"The data set '{name}' is {info.here}")
    return info


def jobs_of(options: Options) -> list[Job]:
    """Every job of a run, cheap contestants of a data set first. BenchError on a bad option."""
    if options.preset not in PRESETS:
        raise unknown("preset", options.preset, PRESETS)
    jobs = []
    specs = systems_of(options)
    for name in dict.fromkeys(options.data):
        dataset = data_set(name)
        for spec in specs:
            if not spec.learns_from(name):
                continue
            also = {other: data_set(other).fingerprint for other in spec.also_for(name)}
            for variant in variants_of(spec, options.variant):
                jobs += [
                    Job(
                        system=spec.id,
                        variant=variant,
                        class_path=spec.class_path,
                        source=registry.source_hash(spec),
                        settings=spec.settings_of(variant, spec.size_of(options.preset)),
                        budget=spec.budget.of(options.preset),
                        dataset=name,
                        dataset_version=dataset.version,
                        dataset_fingerprint=dataset.fingerprint,
                        also=also,
                        preset=options.preset,
                        protocol=protocol_of(options, dataset.bar, backward=spec.backward),
                        seed=seed,
                        device=options.device,
                        snapshots=options.snapshots,
                        tensorboard=options.tensorboard,
                        card=card_of(spec, options.preset, options.device),
                    )
                    for seed in range(seeds_of(spec, options))
                ]
    if not jobs:
        raise BenchError("Nothing to run: no system of that name, variant and data set.")
    return jobs


def plan(options: Options) -> list[Planned]:
    """The jobs of a run with how they stand; expectations learn from finished jobs."""
    runs = RunFolder(options.out)
    known = measured(runs)
    planned = []
    for job in jobs_of(options):
        record = JobRecord(runs.folder(job))
        if record.is_done(job):
            state = "done"
        elif record.finished:
            state = "rescore" if record.outdated else "snapshots"
        else:
            state = record.status.state if record.status else "new"
        seconds, memory, disk = known.get(
            alike(job), (job.card.seconds, job.card.memory_mb, job.card.disk_mb)
        )
        if state == "rescore":  # what it learnt and made is there already
            seconds = min(seconds, SCORING_SECONDS)
        planned.append(Planned(job, state, seconds, memory, disk, alike(job) in known))
    return planned


def alike(job: Job) -> tuple[object, ...]:
    """What jobs have in common that take about the same: all but seed and code."""
    return (job.system, job.variant, job.dataset, job.preset, job.protocol, job.device)


def measured(runs: RunFolder) -> dict[tuple[object, ...], tuple[float, int, int]]:
    """Seconds, memory and disk of finished jobs, by what is alike.

    The mean time, since jobs share the load; the most memory, since one too many ends them all.
    """
    costs: dict[tuple[object, ...], list[tuple[float, int, int]]] = {}
    for folder in runs.folders():
        record = JobRecord(folder)
        if record.job is None or record.status is None or record.status.state != "ok":
            continue
        size = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
        cost = (record.seconds + STARTING_SECONDS, record.result.peak_memory_mb, 1 + size // 2**20)
        costs.setdefault(alike(record.job), []).append(cost)
    return {
        key: (sum(seconds) / len(seconds), max(memory), max(disk))
        for key, (seconds, memory, disk) in (
            (key, zip(*values, strict=True)) for key, values in costs.items()
        )
    }
