"""What a run can be asked for on the command line: the same options for every verb that plans one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import BenchError, unknown

if TYPE_CHECKING:
    from bench.jobs.plan import Options
    from bench.suite import Engine

OUT = Path("runs")
WHERE = "Where it runs"

Out = Annotated[Path, typer.Option("--out", help="The run folder.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset", help="smoke, quick, standard or paper. [default: standard on a GPU, else quick]"
    ),
]
DataOption = Annotated[
    list[str] | None, typer.Option("--data", help="Data sets, by name. [default: chorales]")
]
SystemsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--systems",
        help="Systems by name, or path/to/file.py:ClassName; NAME+key=value for another setting."
        " [default: all]",
    ),
]
SeedsOption = Annotated[int | None, typer.Option("--seeds", min=1, help="How many seeds.")]
SamplesOption = Annotated[int | None, typer.Option("--samples", min=1, help="Samples per job.")]
StepsOption = Annotated[int | None, typer.Option("--steps", min=1, help="Steps per sample.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, rich_help_panel=WHERE, help="Jobs at a time.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", rich_help_panel=WHERE, help="in-turn, processes or ray.")
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        rich_help_panel=WHERE,
        help="HOST:PORT of a Ray cluster. [default: a Ray on this machine]",
    ),
]
GpusPerJobOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-job",
        min=0.01,
        rich_help_panel=WHERE,
        help="With ray: a part of a GPU, or several. [default: 1/3]",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", rich_help_panel=WHERE, help="cpu or cuda. [default: cuda where there is one]"
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, rich_help_panel=WHERE, help="Minutes a job may take."),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        "--job-memory",
        min=1,
        rich_help_panel=WHERE,
        help="MB a job may hold. [default: what there is]",
    ),
]
GpusOption = Annotated[
    int | None,
    typer.Option("--gpus", min=1, rich_help_panel=WHERE, help="GPUs. [default: all here]"),
]
GpuMemoryOption = Annotated[
    int | None,
    typer.Option(
        "--gpu-memory",
        min=1,
        rich_help_panel=WHERE,
        help="MB of each GPU. [default: as the driver says]",
    ),
]
PriceOption = Annotated[
    float | None,
    typer.Option(
        "--price", min=0, rich_help_panel=WHERE, help="Of a GPU (or processor) for an hour."
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        rich_help_panel=WHERE,
        help="i/n: the i-th of n runs, anywhere, that share the run folder.",
    ),
]
VariantOption = Annotated[str, typer.Option("--variant", help="corrected, as-published or all.")]
UnpromptedOption = Annotated[
    bool, typer.Option("--unprompted", help="Sample from nothing instead of continuing a bar.")
]
SnapshotsOption = Annotated[
    int, typer.Option("--snapshots", min=0, help="Points through training to sample and score at.")
]
TensorboardOption = Annotated[
    bool,
    typer.Option("--tensorboard", help="Also write curves for `tensorboard --logdir RUNS/jobs`."),
]


def several(values: list[str] | None) -> tuple[str, ...]:
    """Option values given one by one or separated by commas."""
    return tuple(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> Any:
    """The value, if it is allowed; else an error with the nearest ones."""
    if value not in allowed:
        raise unknown(what, value, allowed)
    return value


def options_of(
    preset: str | None,
    data: list[str] | None,
    systems: list[str] | None,
    seeds: int | None,
    samples: int | None,
    steps: int | None,
    out: Path,
    device: str | None,
    variant: str,
    unprompted: bool,
    snapshots: int = 0,
    tensorboard: bool = False,
) -> Options:
    """The options of a run, checked, defaults filled in by what the machine has."""
    from bench.engines.machine import gpus
    from bench.jobs.plan import PRESETS, Options

    chosen = one_of("device", device or ("cuda" if gpus() else "cpu"), ("cpu", "cuda"))
    usual = "standard" if chosen == "cuda" else "quick"
    if tensorboard and find_spec("tensorboard") is None:
        raise BenchError("TensorBoard is not installed: pip install 'musicbench[tensorboard]'.")
    return Options(
        preset=one_of("preset", preset or usual, tuple(PRESETS)),
        data=several(data) or ("chorales",),
        systems=tuple(name for name in several(systems) if name != "all"),
        seeds=seeds,
        samples=samples,
        steps=steps,
        variant=one_of("variant", variant, ("corrected", "as-published", "all")),
        unprompted=unprompted,
        snapshots=snapshots,
        tensorboard=tensorboard,
        device=chosen,
        out=out,
    )


def shard_of(text: str | None) -> tuple[int, int] | None:
    """`i/n` as two numbers."""
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise BenchError(f"--shard takes i/n with i from 1 to n, as 2/8, not '{text}'.")
    return int(number), int(count)


def run_verb(action: Callable[[Options, Engine, bool], None]) -> Callable[..., None]:
    """A verb that takes the options of a run, the same for all of them, and acts on them."""

    def verb(
        preset: PresetOption = None,
        data: DataOption = None,
        systems: SystemsOption = None,
        seeds: SeedsOption = None,
        samples: SamplesOption = None,
        steps: StepsOption = None,
        out: Out = OUT,
        workers: WorkersOption = None,
        engine: EngineOption = "processes",
        ray_address: RayAddressOption = None,
        gpus_per_job: GpusPerJobOption = None,
        device: DeviceOption = None,
        timeout: TimeoutOption = None,
        job_memory: MemoryOption = None,
        variant: VariantOption = "corrected",
        unprompted: UnpromptedOption = False,
        snapshots: SnapshotsOption = 0,
        tensorboard: TensorboardOption = False,
        gpus: GpusOption = None,
        gpu_memory: GpuMemoryOption = None,
        price: PriceOption = None,
        shard: ShardOption = None,
        as_json: Json = False,
    ) -> None:
        from bench.engines import ENGINES
        from bench.suite import Engine

        name = one_of("engine", engine, tuple(ENGINES))
        if name != "ray" and (ray_address or gpus_per_job):
            raise BenchError("--ray-address and --gpus-per-job are for --engine ray.")
        if name == "ray" and shard:
            raise BenchError("--shard is for run folders without a cluster, not for --engine ray.")
        if gpus_per_job and gpus_per_job > 1 and gpus_per_job % 1:
            raise BenchError(f"--gpus-per-job {gpus_per_job:g}: a part of one GPU, or whole ones.")
        how = Engine(
            name,
            workers,
            timeout,
            job_memory,
            gpus,
            gpu_memory,
            price,
            shard_of(shard),
            ray_address,
            gpus_per_job,
        )
        options = options_of(
            preset,
            data,
            systems,
            seeds,
            samples,
            steps,
            out,
            device or ("cuda" if gpus else None),
            variant,
            unprompted,
            snapshots,
            tensorboard,
        )
        action(options, how, as_json)

    verb.__doc__ = action.__doc__
    return verb
