"""A system on its way through training, from the files that a run leaves."""

import pytest
from lazy import Library
from made_up_jobs import job

from bench.contract import Budget
from bench.files import write_json
from bench.jobs.run_folder import RunFolder
from bench.music import Score, to_midi
from dashboards.views import snapshot as snapshot_view

embedding_view = Library("dashboards.views.embedding")


@pytest.fixture
def folder(tmp_path):
    """A job of 12 updates whose figures were taken at updates 5 and 9 too."""
    found = RunFolder(tmp_path / "runs").begin(job(budget=Budget(12)))
    points = [
        {"update": 5, "nats_per_step": 4.0, "metrics": {"isl": -9.0, "density": None}},
        {"update": 9, "nats_per_step": 3.0, "metrics": {"isl": None, "density": None}},
    ]
    result = {
        "snapshots": {"asked": 3, "points": points},
        "likelihood": {"nats": [-10.0, -6.0], "steps": [4, 4]},
        "sample": {"hashes": ["0"]},
    }
    write_json(found.result, result)
    return found


def test_a_way_ends_with_the_finished_system_and_gaps_stay_gaps(folder):
    found = snapshot_view.trajectories([folder])
    stages = found["nats_per_step"]
    assert [stage.value for stage in stages] == [4.0, 3.0, 2.0]  # 16 nats in 8 steps
    assert [stage.update for stage in stages] == [5, 9, 12]
    assert set(found) == {"nats_per_step"}  # of isl there is one point, of density none


def test_a_run_without_snapshots_has_no_way(tmp_path):
    folder = RunFolder(tmp_path / "runs").begin(job())
    assert snapshot_view.trajectories([folder]) == {}
    assert snapshot_view.updates_kept(folder) == []


def test_the_music_of_a_stage_is_read_from_its_own_folder(folder):
    place = folder.snapshots / "00000005" / "samples"
    place.mkdir(parents=True)
    score = Score.from_notes([0, 4], [4, 4], [60, 64], length=16)
    (place / "000.mid").write_bytes(to_midi(score))
    assert snapshot_view.updates_kept(folder) == [5]
    assert snapshot_view.sample(folder, 5, 0).content_hash == score.content_hash
    assert snapshot_view.sample(folder, 5, 1) is None
    (place / "000.mid").write_bytes(b"no music")
    assert snapshot_view.sample(folder, 5, 0) is None


def test_code_that_a_run_folder_names_is_not_run(folder):
    assert "installed here" in embedding_view.learnt(None, [folder])
    assert "not on this machine" in embedding_view.learnt(None, [])


def test_a_system_that_was_not_kept_is_said_to_be_missing(tmp_path):
    from bench import registry

    spec = registry.system("chord-lstm")
    lost = job("chord-lstm").model_copy(update={"class_path": spec.class_path})
    folder = RunFolder(tmp_path / "runs").begin(lost)
    assert "trained network is not on this machine" in embedding_view.learnt(spec, [folder])
    write_json(folder.system / "system.json", {})
    assert "cannot be read" in embedding_view.learnt(spec, [folder])
    noise = registry.system("noise")
    plain = job().model_copy(update={"class_path": noise.class_path})
    folder = RunFolder(tmp_path / "runs").begin(plain)
    assert "no vector per note" in embedding_view.learnt(noise, [folder])
