"""Scores a folder of MIDI made elsewhere as an entrant of its own."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from bench import data
from bench.contract import Budget
from bench.errors import BenchError
from bench.files import write
from bench.jobs.copying import check_copying
from bench.jobs.job import Card, Job
from bench.jobs.plan import Options, protocol_of
from bench.jobs.results import FitResult, JobResult, LikelihoodResult, SampleResult
from bench.jobs.run_folder import JobFolder, RunFolder, versions
from bench.jobs.samples import write_samples
from bench.jobs.scores import score_samples
from bench.music import MidiError, Score, from_midi, to_midi
from bench.protocol import sampling


def write_prompts(options: Options, name: str, folder: Path) -> int:
    """Write the protocol's prompts as MIDI for systems outside; how many there are."""
    dataset = data.load(name)
    prompts = sampling.prompts(dataset, protocol_of(options, dataset.bar))
    for number, prompt in enumerate(prompts):
        write(folder / f"{number:03d}.mid", to_midi(prompt.score))
    return len(prompts)


def read_entry(
    folder: Path, protocol: sampling.Protocol, grid: int, with_prompts: bool
) -> list[Score]:
    """The folder's pieces as samples of the protocol; BenchError says which one does not fit.

    A file that goes on for longer is cut; a shorter one is an error, since silence at the end
    would count as music.
    """
    if not folder.is_dir():
        raise BenchError(f"{folder} is no folder.")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".mid", ".midi"))
    if len(files) != protocol.samples:
        raise BenchError(
            f"{folder} holds {len(files)} MIDI files; the protocol asks for {protocol.samples},"
            " one per prompt, named in the prompts' order (000.mid, 001.mid, ...)."
            " `bench prompts` writes the prompts; --samples asks for another number."
        )
    skip = protocol.prompt if with_prompts else 0
    needed = skip + protocol.steps
    samples = []
    for file in files:
        try:
            score = from_midi(file, grid=grid)
        except MidiError as error:
            raise BenchError(str(error)) from None
        last_bar = -(-score.length // protocol.prompt) * protocol.prompt
        if last_bar < needed:
            raise BenchError(
                f"{file} ends at step {score.length}; {needed} are needed"
                f" ({'prompt and ' if with_prompts else ''}continuation, {grid} steps per quarter)."
                " Make longer samples, or ask for shorter ones with --steps."
            )
        samples.append(score.pad(needed).slice(skip, needed))
    return samples


def enter(
    options: Options, data_name: str, name: str, folder: Path, with_prompts: bool
) -> JobFolder:
    """Score the folder as the entrant `name`; its row is on the board from then on."""
    from bench import registry

    if name in registry.systems():
        raise BenchError(f"'{name}' is a system of the suite; give your entry another --name.")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise BenchError(f"'{name}' is no name for an entry: use letters, digits, - and _.")
    dataset = data.load(data_name)
    protocol = protocol_of(options, dataset.bar)
    samples = read_entry(folder, protocol, dataset.grid, with_prompts)
    hashes = [score.content_hash for score in samples]
    job = Job(
        system=name,
        variant="corrected",
        class_path="",
        source=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        settings={},
        budget=Budget(0),
        dataset=data_name,
        dataset_version=dataset.version,
        dataset_fingerprint=dataset.fingerprint,
        preset=options.preset,
        protocol=protocol,
        seed=0,
        device=options.device,
        card=Card(title=name, kind="external"),
    )
    place = RunFolder(options.out).begin(job)
    with place.locked() as free:
        if not free:
            raise BenchError(f"Another run is scoring '{name}' now; try again when it is done.")
        begun = time.monotonic()
        place.write_status(state="failed", phase="score")
        write_samples(place.samples, samples)
        place.write_result(
            JobResult(
                fit=FitResult(versions=versions()),
                sample=SampleResult(hashes=tuple(hashes)),
                likelihood=LikelihoodResult(reason="samples only: no model to ask"),
            )
        )
        prompts = sampling.prompts(dataset, protocol)
        check_copying(place, job, dataset, prompts, samples)
        score_samples(place, samples, lambda: sampling.reference(dataset, protocol, prompts))
        seconds = time.monotonic() - begun
        place.write_status(state="ok", phase="done", error="", seconds=seconds)
    return place
