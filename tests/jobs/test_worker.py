from finished_run import SYSTEMS

from bench.jobs.run_folder import RunFolder

GOOD = [system for system in SYSTEMS if system != "Raises"]


def test_samples_that_were_touched_are_drawn_again_and_are_the_same(finished):
    folder = next(f for f in RunFolder(finished.runs).folders() if f.path.name.startswith("noise"))
    first = folder.samples / "000.mid"
    before = first.read_bytes()
    first.write_bytes(b"MThd")
    folder.status.unlink()
    done = finished.bench(*finished.arguments(*GOOD), "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "1 of 10 jobs to run" in done.stdout
    assert first.read_bytes() == before
    assert folder.log.read_text().count("] fit") == 1
