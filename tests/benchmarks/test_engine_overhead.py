"""What a job costs beside its own work. Run by hand: pytest tests/benchmarks -s"""

import hashlib
import time

import numpy as np

from bench import registry
from bench.contract import Budget
from bench.engines.claims import Claims
from bench.engines.local import run
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


def milliseconds(works, store, claims=None):
    """Wall time from one job's end to the next one's, one job at a time."""
    ends = []
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
    return 1000 * np.diff(ends)


def test_a_trivial_job_costs_less_than_50_ms(tmp_path, capsys):
    """The least of many counts: what a busy machine adds is not ours."""
    store = Store(tmp_path)
    works = [trivial(store, seed) for seed in range(101)]
    begun = time.perf_counter()
    milliseconds(works[:1], store)
    first = time.perf_counter() - begun
    found = {"processes": milliseconds(works, store)}
    with Claims(tmp_path / "shared") as claims:
        found["a shard"] = milliseconds(works, store, claims)
    with capsys.disabled():
        print(f"\nthe first job, with the start of the server: {first:.1f} s")
        for name, times in found.items():
            least, median = times.min(), np.median(times)
            print(f"each further job, {name}: least {least:.0f} ms, median {median:.0f} ms")
    assert all(times.min() < 50 for times in found.values())
