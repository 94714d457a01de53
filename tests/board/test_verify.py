import pytest

from bench.board.rows import hash_of, read_csv, to_csv
from bench.board.verify import verify
from bench.jobs.run_folder import RunFolder


@pytest.fixture
def runs(finished):
    return RunFolder(finished.runs)


@pytest.fixture
def path(finished):
    return finished.runs / "leaderboard.csv"


def changed(path, *, hashed):
    """Another likelihood for the noise, typed into the file, with a hash that fits or without."""
    rows = read_csv(path).rows
    noise = next(row for row in rows if row.system == "noise")
    noise.nats_per_step = 1.5
    if hashed:
        noise.row_hash = hash_of(noise)
    forged = path.with_name("forged.csv")
    forged.write_text(to_csv(rows))
    return forged


def test_a_board_as_it_was_written_holds_with_its_jobs_and_without(path, runs):
    assert verify(path, runs) == []
    assert verify(path, None) == []


def test_a_figure_that_was_typed_in_is_found_without_the_jobs(path):
    (line,) = verify(changed(path, hashed=False), None)
    assert line.endswith("(noise on toy): the cells are not those that were hashed")


def test_a_figure_with_a_hash_that_fits_is_found_by_the_jobs(path, runs):
    forged = changed(path, hashed=True)
    assert verify(forged, None) == []
    (line,) = verify(forged, runs)
    assert line.endswith("(noise on toy): its jobs give other nats_per_step, row_hash")


def test_the_line_that_is_named_is_the_one_in_the_file(path):
    (line,) = verify(changed(path, hashed=False), None)
    number = int(line.removeprefix("line ").split()[0])
    assert path.read_text().splitlines()[number - 1].startswith("noise,")


def test_a_job_that_is_gone_is_named(path, tmp_path):
    lines = verify(path, RunFolder(tmp_path / "elsewhere"))
    assert len(lines) == 6
    assert all("its jobs are not in" in line for line in lines)


def test_a_job_whose_result_changed_is_found(path, runs):
    folder = next(f for f in runs.folders() if f.path.name.startswith("markov-chain."))
    result = folder.read_result()
    likelihood = result.likelihood.model_copy(
        update={"nats": (-1.0,) * len(result.likelihood.nats)}
    )
    folder.write_result(result.having(likelihood=likelihood))
    (line,) = verify(path, runs)
    assert "(markov-chain on toy): its jobs give other" in line
    assert "nats_per_step" in line
