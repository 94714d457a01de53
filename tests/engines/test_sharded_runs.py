"""Several runs that share one run folder as machines of a batch system do."""

import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest
from waiting import wait_for

from bench.board.rows import read_csv, to_table
from bench.cli.run_options import shard_of
from bench.errors import BenchError
from bench.files import read_json
from bench.jobs.run_folder import RunFolder, is_finished

# A shard that was killed is declared dead within seconds.
BRISK = {"BENCH_CLAIM_SECONDS": "6"}


def table(out):
    return read_csv(out / "leaderboard.csv").rows


def folder_of(out, system):
    return next(f for f in RunFolder(out).folders() if f.path.name.startswith(system + "."))


def rounds(folder):
    """How often the job was begun."""
    return folder.log.read_text().count(", attempt ")


def results(out):
    """The columns that must be equal to the bit: all but those that measure the run itself."""
    of_the_run = {"train_seconds", "sample_seconds", "peak_memory_mb", "row_hash"}
    return [{k: v for k, v in row.items() if k not in of_the_run} for row in to_table(table(out))]


def samples(out):
    return {
        f"{folder.path.name}/{file.name}": file.read_bytes()
        for folder in RunFolder(out).folders()
        for file in sorted(folder.samples.glob("*"))
        if file.is_file()
    }


def shards(home, count, *systems, **environment):
    """Start `count` shards of one run."""
    home.environment |= BRISK | environment
    return [
        home.start(*home.arguments(*systems), "--workers", "1", "--shard", f"{number}/{count}")
        for number in range(1, count + 1)
    ]


def end(processes, codes):
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == codes, "\n".join(outputs)
    assert not any("Traceback" in output for output in outputs), "\n".join(outputs)
    return outputs


SYSTEMS = ("noise", "markov-chain", "human", "Learner")


@pytest.mark.slow
def test_tables_are_the_same_in_turn_in_processes_and_in_shards(home):
    ways = {"in-turn": ["--engine", "in-turn"], "processes": ["--workers", "2"]}
    for name, how in ways.items():
        out = home.path / name
        done = home.bench(*home.arguments(*SYSTEMS), *how, "--out", str(out))
        assert done.returncode == 0, done.stderr
    end(shards(home, 2, *SYSTEMS), [0, 0])
    expected = results(home.path / "in-turn")
    assert len(expected) == len(SYSTEMS)
    assert results(home.path / "processes") == expected
    assert results(home.runs) == expected
    drawn = samples(home.path / "in-turn")
    assert drawn
    assert samples(home.path / "processes") == samples(home.runs) == drawn
    for folder in RunFolder(home.runs).folders():
        assert rounds(folder) == 1, "a job was done twice"
    makers = Counter(
        read_json(file)["shard"] for file in (home.runs / "claims").iterdir() if file.suffix == ".1"
    )
    assert len(makers) == 2, "one shard idled"
    assert not any((home.runs / "shards").iterdir())


@pytest.mark.slow
def test_a_job_that_fails_fails_once_for_all_shards(home):
    outputs = end(shards(home, 2, "Raises", "Segfaults", "Quiet"), [1, 1])
    assert all("2 of 3 jobs failed" in output for output in outputs)
    states = {row.system: row.status for row in table(home.runs)}
    assert states == {"Raises": "failed", "Segfaults": "crashed", "Quiet": "ok"}
    assert all(rounds(folder) == 1 for folder in RunFolder(home.runs).folders())
    end(shards(home, 1, "Raises", "Segfaults", "Quiet"), [1])
    assert {f.path.name.split(".")[0]: rounds(f) for f in RunFolder(home.runs).folders()} == {
        "Raises": 2, "Segfaults": 2, "Quiet": 1
    }  # fmt: skip


def working_on(home, system, processes):
    """The job's folder and worker, and the shard that has it in hand, once it trains."""
    folder = wait_for(
        lambda: next(home.runs.glob(f"jobs/{system}.*/checkpoint.safetensors"), None)
    ).parent
    worker = psutil.Process(read_json(folder / "progress.json")["pid"])
    claim = read_json(home.runs / "claims" / f"{folder.name}.1")
    (shard,) = [p for p in processes if f"-{p.pid}-" in claim["shard"]]
    return folder_of(home.runs, system), worker, shard


def test_a_killed_shards_job_is_taken_over_and_goes_on_where_it_was(home):
    processes = shards(
        home, 2, "Learner", "Quiet", "noise", BENCH_CHECKPOINT_SECONDS="0", TEST_PACE="0.15"
    )
    folder, worker, shard = working_on(home, "Learner", processes)
    shard.kill()
    shard.communicate()
    wait_for(lambda: not worker.is_running())
    (other,) = [p for p in processes if p is not shard]
    end([other], [0])
    assert {row.status for row in table(home.runs)} == {"ok"}
    assert len(table(home.runs)) == 3
    assert rounds(folder) == 2
    assert int(folder.log_tail(8).split("learnt from step ")[1].split()[0]) > 0
    assert (home.runs / "claims" / f"{folder.path.name}.2").exists()


@pytest.mark.slow
def test_a_shard_that_is_told_to_end_hands_its_job_over_at_once(home):
    processes = shards(
        home, 2, "Learner", "Quiet",
        BENCH_CHECKPOINT_SECONDS="0", TEST_PACE="0.15", BENCH_CLAIM_SECONDS="600",
    )  # fmt: skip
    folder, worker, shard = working_on(home, "Learner", processes)
    shard.terminate()  # as batch systems do when the time is up
    shard.communicate(timeout=60)
    assert shard.returncode == 130
    assert not worker.is_running()
    end([p for p in processes if p is not shard], [0])  # long before the claim would expire
    assert is_finished(folder)
    assert rounds(folder) == 2


@pytest.mark.slow
def test_a_shard_that_sleeps_too_long_loses_its_job_and_nothing_is_done_twice(home):
    processes = shards(home, 2, "Learner", "Quiet", BENCH_CHECKPOINT_SECONDS="0", TEST_PACE="0.15")
    folder, worker, shard = working_on(home, "Learner", processes)
    shard.send_signal(
        signal.SIGSTOP
    )  # its worker goes on, and notices that its shard was declared dead
    try:
        wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        assert not is_finished(folder)
        wait_for(lambda: (home.runs / "claims" / f"{folder.path.name}.2").exists())
    finally:
        shard.send_signal(signal.SIGCONT)
    end(processes, [0, 0])
    assert {row.status for row in table(home.runs)} == {"ok"}
    assert rounds(folder) == 2


@pytest.mark.slow
def test_a_killed_worker_is_a_row_for_all_shards(home):
    processes = shards(home, 2, "Learner", "Quiet", BENCH_CHECKPOINT_SECONDS="0", TEST_PACE="0.15")
    folder, worker, _ = working_on(home, "Learner", processes)
    worker.kill()
    end(processes, [1, 1])
    states = {row.system: row.status for row in table(home.runs)}
    assert states == {"Learner": "out-of-memory", "Quiet": "ok"}
    assert rounds(folder) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1.5 megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", str(place)], check=True)


def mounted(*arguments):
    """Mount something, or skip the test where that cannot be done."""
    mount = shutil.which("mount")
    if (
        not mount
        or subprocess.run([mount, *arguments], capture_output=True, check=False).returncode
    ):
        pytest.skip("this test mounts a disk, which takes root on Linux")


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_with_room_the_same_command_finishes(home, small_disk):
    home.environment |= BRISK
    runs = small_disk / "runs"
    run = [*home.arguments("Quiet", "BigSaver", "noise"), "--out", str(runs), "--workers", "1"]
    processes = [home.start(*run, "--shard", f"{number}/2") for number in (1, 2)]
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert all(process.returncode in (1, 2) for process in processes), "\n".join(outputs)
    assert any("No space left on device" in output for output in outputs)
    assert not is_finished(folder_of(runs, "BigSaver"))
    before = {f.path.name: rounds(f) for f in RunFolder(runs).folders() if is_finished(f)}
    mounted("-o", "remount,size=20m", str(small_disk))
    end([home.start(*run, "--shard", f"{number}/2") for number in (1, 2)], [0, 0])
    assert {row.system: row.status for row in table(runs)} == {
        "BigSaver": "ok", "Quiet": "ok", "noise": "ok"
    }  # fmt: skip
    after = {f.path.name: rounds(f) for f in RunFolder(runs).folders()}
    assert after | before == after, "what was finished was done again"


@pytest.mark.slow
def test_a_node_that_cannot_write_says_so_and_the_others_do_everything(home):
    """One node's mount of the run folder is read-only."""
    (home.runs / "jobs").mkdir(parents=True)
    broken = home.path / "mounted"
    broken.mkdir()
    bind = ["mount", "--bind", str(home.runs), str(broken)]
    if (
        not shutil.which("mount")
        or subprocess.run(bind, capture_output=True, check=False).returncode
    ):
        pytest.skip("this test mounts a folder, which takes root on Linux")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(broken)], check=True)
        home.environment |= BRISK
        run = home.arguments("Quiet", "noise")
        bad = home.start(*run, "--out", str(broken), "--shard", "1/2")
        good = home.start(*run, "--shard", "2/2")
        (output, _) = end([bad, good], [2, 0])
        assert "Cannot write in" in output
    finally:
        subprocess.run(["umount", str(broken)], check=True)
    assert {row.status for row in table(home.runs)} == {"ok"}


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "", "1/2/3"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(BenchError, match="--shard takes i/n"):
        shard_of(text)


def test_a_shard_is_its_number_and_how_many_there_are():
    assert shard_of("3/8") == (3, 8)
    assert shard_of(None) is None


PAGE = Path(__file__).parents[2] / "docs" / "engines-slurm.md"


def script(tmp_path):
    """The script as the documentation prints it."""
    text = PAGE.read_text().split('```sh title="bench.sbatch"\n')[1].split("```")[0]
    file = tmp_path / "bench.sbatch"
    file.write_text(text)
    return file


def test_the_documented_batch_script_is_sound(tmp_path):
    file = script(tmp_path)
    subprocess.run(["sh", "-n", str(file)], check=True)
    lines = file.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    options = [line for line in lines[1:] if line.startswith("#SBATCH")]
    assert lines[1 : 1 + len(options)] == options, (
        "Slurm reads options up to the first command only"
    )


@pytest.mark.slow
def test_the_documented_batch_script_runs_as_an_array_of_two(home, tmp_path):
    file = script(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    small = " ".join(home.arguments("Quiet", "noise", "Learner")[1:-2])
    (tools / "bench").write_text(f'#!/bin/sh\nexec {" ".join(home.command())} "$@" {small}\n')
    (tools / "bench").chmod(0o755)
    shared = {
        **home.environment, **BRISK, "PATH": f"{tools}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1",
        "RUNS": str(home.runs),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            ["sh", str(file)],
            env={**shared, "SLURM_ARRAY_TASK_ID": str(number)},
            cwd=home.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in (1, 2)
    ]
    end(processes, [0, 0])
    assert len(table(home.runs)) == 3
    assert {row.status for row in table(home.runs)} == {"ok"}
    claims = [read_json(f) for f in (home.runs / "claims").iterdir() if f.suffix == ".1"]
    assert {claim["run"] for claim in claims} == {"4711"}
