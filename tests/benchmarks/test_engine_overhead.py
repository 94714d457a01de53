"""What a job costs beside its own work. Run by hand: pytest tests/benchmarks -s"""

import hashlib
import os
import time

import numpy as np
import psutil

from bench import registry
from bench.contract import Budget
from bench.engines.claims import Claims
from bench.engines.local import run
from bench.engines.machine import cores
from bench.files import write, write_json
from bench.job import Card, Job
from bench.plan import Planned
from bench.sampling import Protocol
from bench.schedule import Place
from bench.store import Store


def trivial(store, seed):
    """A job that is done already: what is timed is the way to its worker and back."""
    job = Job(
        system="x", variant="corrected", class_path="a:B", source="1", settings={},
        budget=Budget(0), dataset="toy", dataset_version=1, dataset_fingerprint="f",
        preset="smoke", protocol=Protocol(samples=1, steps=1, prompt=1), seed=seed, device="cpu",
        card=Card(title="X", kind="paper"),
    )  # fmt: skip
    folder = store.begin(job)
    write(folder.score_arrays, b"")
    scores = {name: {"version": cls.version} for name, cls in registry.metrics().items()}
    write_json(folder.scores, {"metrics": scores, "arrays": hashlib.sha256(b"").hexdigest()})
    write_json(folder.result, {"fit": {}})
    folder.write_status(state="ok", phase="done", error="")
    return Planned(job, "new", 1.0, 100, 1)


def processor_seconds():
    """Processor time of this process, of the server and of all jobs that ended."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def milliseconds(works, store, claims=None):
    """From one job's end to the next one's, one job at a time: on the wall, and of processors."""
    ends, busy = [], processor_seconds()
    outcomes = run(
        works,
        store,
        [Place(1)],
        lambda _: False,
        lambda event: ends.append(time.perf_counter()) if event.kind == "finished" else None,
        lambda _: None,
        claims=claims,
    )
    assert {status.state for status in outcomes.values()} == {"ok"}
    return 1000 * np.diff(ends), 1000 * (processor_seconds() - busy) / len(works)


def test_what_a_trivial_job_costs_beside_its_own_work(tmp_path, capsys):
    """Printed; the aim is 50 ms. Every job ends well."""
    store = Store(tmp_path)
    works = [trivial(store, seed) for seed in range(101)]
    load = os.getloadavg()[0] / cores()
    begun = time.perf_counter()
    milliseconds(works[:1], store)
    first = time.perf_counter() - begun
    found = {"processes": milliseconds(works, store)}
    with Claims(tmp_path / "shared") as claims:
        found["a shard"] = milliseconds(works, store, claims)
    with capsys.disabled():
        print(f"\nthe first job, with the start of the server: {first:.1f} s; load {load:.1f}")
        for name, (wall, own) in found.items():
            print(
                f"each further job, {name}: least {wall.min():.0f} ms, median"
                f" {np.median(wall):.0f} ms, {own:.0f} ms of a processor"
            )
