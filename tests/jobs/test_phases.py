import numpy as np

from bench.jobs.run_folder import RunFolder


def result_of(home):
    return RunFolder(home.runs).folders()[0].read_result()


def test_snapshots_show_the_system_on_its_way_and_change_nothing_about_its_end(home):
    run = home.arguments("chord-lstm")
    assert home.bench(*run).returncode == 0
    plain = result_of(home)
    folder = RunFolder(home.runs).folders()[0]
    planned = home.bench("plan", *run[1:], "--snapshots", "4").stdout
    assert "1 job to run" in planned
    assert "snapshots" in planned
    done = home.bench(*run, "--snapshots", "4")
    assert done.returncode == 0, done.stdout
    kept = result_of(home)
    assert kept.sample.hashes == plain.sample.hashes
    assert kept.likelihood.nats == plain.likelihood.nats
    points = kept.snapshots.points
    assert [point.update for point in points] == [5, 10, 15]  # of 20
    nats = [point.nats_per_step for point in points]
    final = -np.sum(kept.likelihood.nats) / np.sum(kept.likelihood.steps)
    assert nats[0] > nats[1] >= nats[2] >= final  # equal where validation kept older weights
    assert all("polyphony_gap" in point.metrics for point in points)
    assert len(list(folder.snapshots.glob("*/samples/*.mid"))) == 12
    assert not list(folder.snapshots.glob("*/state.safetensors"))
    assert "All 1 jobs are done" in home.bench(*run, "--snapshots", "4").stdout
    assert "All 1 jobs are done" in home.bench(*run).stdout
