"""The options of a run: `bench plan` and `bench all` take the same ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="How much is spent: smoke, quick, standard or paper."
        " [default: standard with a GPU, else quick]",
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="Samples per job. [default: the preset's]"),
]
StepsOption = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Length of a sample in steps. [default: the preset's]"),
]
UnpromptedOption = Annotated[
    bool, typer.Option("--unprompted", help="Generate from nothing instead of continuing a bar.")
]


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """What can be asked of a run on the command line: every field is an option."""

    preset: PresetOption = None
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Data sets by name, separated by commas. [default: chorales]"),
    ] = None
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--systems",
            help="Systems by name or path/to/file.py:ClassName, separated by commas."
            " NAME+setting=value changes a setting. [default: all]",
        ),
    ] = None
    variant: Annotated[
        str,
        typer.Option("--variant", help="Variant of each system: corrected, as-published or all."),
    ] = "corrected"
    controls: Annotated[
        bool,
        typer.Option(
            "--controls",
            help="Also run the controls: contestants that cheat. They have no rank.",
        ),
    ] = False
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Training seeds per system. [default: the preset's]"),
    ] = None
    samples: SamplesOption = None
    steps: StepsOption = None
    unprompted: UnpromptedOption = False
    snapshots: Annotated[
        int,
        typer.Option(
            "--snapshots", min=0, help="How many times during training to sample and score too."
        ),
    ] = 0
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Also write curves for `tensorboard --logdir RUNS/jobs`."
        ),
    ] = False
    out: Out = OUT
    as_json: Json = False
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            rich_help_panel=WHERE,
            help="in-turn (one job at a time), processes (several, on this machine) or ray"
            " (on a cluster).",
        ),
    ] = "processes"
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            rich_help_panel=WHERE,
            help="Jobs that run at the same time. [default: as many as fit]",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0.001,
            rich_help_panel=WHERE,
            help="Time limit of a job in minutes. [default: the preset's]",
        ),
    ] = None
    job_memory: Annotated[
        int | None,
        typer.Option(
            "--job-memory",
            min=1,
            rich_help_panel=WHERE,
            help="Memory limit of a job in MB. [default: the machine's memory]",
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            rich_help_panel=WHERE,
            help="i/n: this is run i of n that share the run folder, on one machine or several.",
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            rich_help_panel=WHERE,
            help="cpu or cuda. [default: cuda if there is a GPU]",
        ),
    ] = None
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus",
            min=1,
            rich_help_panel=WHERE,
            help="Number of GPUs to use. [default: all of this machine]",
        ),
    ] = None
    gpu_memory: Annotated[
        int | None,
        typer.Option(
            "--gpu-memory",
            min=1,
            rich_help_panel=WHERE,
            help="Memory of each GPU in MB. [default: what the driver reports]",
        ),
    ] = None
    price: Annotated[
        float | None,
        typer.Option(
            "--price",
            min=0,
            rich_help_panel=WHERE,
            help="Price of a GPU (without one: of a processor) per hour; the plan shows the cost.",
        ),
    ] = None
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            rich_help_panel=WHERE,
            help="With ray: HOST:PORT of the cluster, or auto."
            " [default: starts Ray on this machine]",
        ),
    ] = None
    gpus_per_job: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-job",
            min=0.01,
            rich_help_panel=WHERE,
            help="With ray: GPUs per job; below 1, jobs share a GPU. [default: 1/3]",
        ),
    ] = None

    def how(self) -> Engine:
        """How the jobs run. BenchError for options that do not go together."""
        from bench.engines import ENGINES
        from bench.suite import Engine

        name = one_of("engine", self.engine, tuple(ENGINES))
        per_job = self.gpus_per_job
        if name != "ray" and (self.ray_address or per_job):
            raise BenchError("--ray-address and --gpus-per-job are for --engine ray.")
        if name == "ray" and self.shard:
            raise BenchError("--shard is for run folders without a cluster, not for --engine ray.")
        if per_job and per_job > 1 and per_job % 1:
            raise BenchError(
                f"--gpus-per-job {per_job:g}: give a part of one GPU, or a whole number."
            )
        return Engine(
            name=name,
            workers=self.workers,
            timeout=self.timeout,
            job_memory=self.job_memory,
            gpus=self.gpus,
            gpu_memory=self.gpu_memory,
            price=self.price,
            shard=shard_of(self.shard),
            ray_address=self.ray_address,
            gpus_per_job=per_job,
        )

    def options(self) -> Options:
        """What is run, with defaults that depend on the machine. BenchError for a bad value."""
        from bench.engines import machine
        from bench.jobs.plan import PRESETS, Options

        default_device = "cuda" if self.gpus or machine.gpus() else "cpu"
        device = one_of("device", self.device or default_device, ("cpu", "cuda"))
        default_preset = "standard" if device == "cuda" else "quick"
        if self.tensorboard and find_spec("tensorboard") is None:
            raise BenchError("TensorBoard is not installed: pip install 'musicbench[tensorboard]'.")
        return Options(
            preset=one_of("preset", self.preset or default_preset, tuple(PRESETS)),
            data=several(self.data) or ("chorales",),
            systems=tuple(name for name in several(self.systems) if name != "all"),
            seeds=self.seeds,
            samples=self.samples,
            steps=self.steps,
            variant=one_of("variant", self.variant, ("corrected", "as-published", "all")),
            controls=self.controls,
            unprompted=self.unprompted,
            snapshots=self.snapshots,
            tensorboard=self.tensorboard,
            device=device,
            out=self.out,
        )


def run_verb(action: Callable[[Options, Engine, bool], None]) -> Callable[..., None]:
    """A command that takes all of RunArguments and passes on what they ask for."""

    def verb(**values: Any) -> None:
        arguments = RunArguments(**values)
        how = arguments.how()
        action(arguments.options(), how, arguments.as_json)

    verb.__doc__ = action.__doc__
    # Typer reads a command's options from its signature: these are the dataclass's own.
    verb.__signature__ = inspect.signature(RunArguments, eval_str=True)  # type: ignore[attr-defined]
    return verb


def several(values: list[str] | None) -> tuple[str, ...]:
    """The values of an option that is repeated, or whose values are separated by commas."""
    return tuple(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> Any:
    """The value, if it is allowed; else a BenchError that suggests similar ones."""
    if value not in allowed:
        raise unknown(what, value, allowed)
    return value


def shard_of(text: str | None) -> tuple[int, int] | None:
    """`i/n` as two numbers."""
    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise BenchError(f"--shard takes i/n with i from 1 to n, such as 2/8, not '{text}'.")
    return int(number), int(count)
