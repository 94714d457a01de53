"""Whatever happens to a job, the others of the run do not notice."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from waiting import wait_for

from bench.board.rows import read_csv
from bench.files import read_json
from bench.jobs.run_folder import RunFolder, is_finished


def rows(home):
    return {row.system: row for row in read_csv(home.runs / "leaderboard.csv").rows}


def folder_of(home, system):
    return next(f for f in RunFolder(home.runs).folders() if f.path.name.startswith(system + "."))


def test_every_way_to_fail_is_a_row_and_the_others_go_on(home):
    run = home.arguments(
        "Raises", "Exits", "Segfaults", "Hangs", "EatsMemory", "Short", "Cheats", "ImprobablyGood",
        "Quiet",
    )  # fmt: skip
    done = home.bench(*run, "--timeout", "0.15", "--job-memory", "900", "--workers", "3")
    assert done.returncode == 1, done.stderr
    assert "8 of 9 jobs failed" in done.stderr
    table = rows(home)
    expected = {
        "Raises": ("failed", "fit", "RuntimeError: the loss"),
        "Exits": ("failed", "sample", "SystemExit: 0"),
        "Segfaults": ("crashed", "sample", "SIGSEGV"),
        "Hangs": ("timeout", "fit", "longer than 0.15 minutes"),
        "EatsMemory": ("out-of-memory", "fit", "held more than 900 MB"),
        "Short": ("failed", "sample", "Sample 0 has 31 steps"),
        "Cheats": ("failed", "fit", "may not load data while it learns"),
        "ImprobablyGood": ("failed", "likelihood", "no probability exceeds 1"),
    }
    for system, (state, phase, error) in expected.items():
        row = table[system]
        assert row.status == state, row.failure
        assert f"in phase '{phase}'" in row.failure
        assert error in row.failure
        assert "log.txt" in row.failure
        assert row.skill is None
    assert table["Quiet"].status == "ok"
    assert "Traceback" not in done.stdout + done.stderr


def test_a_second_run_does_nothing_and_says_so(home):
    first = home.bench(*home.arguments("Quiet", "noise"))
    assert first.returncode == 0, first.stderr
    before = {f.path.name: f.status.read_text() for f in RunFolder(home.runs).folders()}
    second = home.bench(*home.arguments("Quiet", "noise"))
    assert second.returncode == 0
    assert "All 2 jobs are done already." in second.stdout
    assert before == {f.path.name: f.status.read_text() for f in RunFolder(home.runs).folders()}


def test_a_failed_job_is_tried_again(home):
    home.bench(*home.arguments("Raises"))
    home.bench(*home.arguments("Raises"))
    assert folder_of(home, "Raises").read_status().attempt == 2


def test_a_changed_setting_never_reuses_an_old_result(home):
    home.bench(*home.arguments("Quiet"))
    home.bench(*home.arguments("Quiet"), "--samples", "3")
    assert len(RunFolder(home.runs).folders()) == 2


def test_changed_code_of_a_users_file_never_reuses_an_old_result(home):
    file = home.path / "mine.py"
    file.write_text("from contestants import Quiet\nclass Mine(Quiet):\n    pass\n")
    home.environment["PYTHONPATH"] += f":{Path(__file__).parent.parent}"
    run = ["all", "--systems", f"{file}:Mine", *home.arguments()[1:]]
    assert home.bench(*run).returncode == 0
    file.write_text(file.read_text() + "# another day\n")
    assert home.bench(*run).returncode == 0
    assert len(RunFolder(home.runs).folders()) == 2
    assert len(rows(home)) == 1  # the newest of the same name


def worker_of(folder):
    """The process that works on the job."""
    return psutil.Process(wait_for(lambda: read_json(folder.progress))["pid"])


def kill_while_learning(home, who):
    """Start a Learner, kill its driver or its worker while it trains, and wait for both to end."""
    home.environment |= {"BENCH_CHECKPOINT_SECONDS": "0", "TEST_PACE": "0.5"}
    driver = home.start(*home.arguments("Quiet", "Learner"), "--workers", "2")
    folder = wait_for(lambda: home.runs.exists() and any(home.runs.glob("jobs/Learner*/job.json")))
    folder = folder_of(home, "Learner")
    wait_for(lambda: is_finished(folder_of(home, "Quiet")))
    wait_for(lambda: folder.checkpoint.exists() and len(folder.curves.read_text().split("\n")) > 3)
    worker = worker_of(folder)
    os.kill(driver.pid if who == "driver" else worker.pid, signal.SIGKILL)
    driver.wait(30)
    driver.stdout.close()
    wait_for(lambda: not worker.is_running())
    assert not is_finished(folder)
    return folder


@pytest.mark.parametrize("who", ["driver", "worker"])
def test_killed_while_training_the_same_command_goes_on_bit_equal(home, who):
    folder = kill_while_learning(home, who)
    if who == "worker":
        assert rows(home)["Learner"].status == "out-of-memory"
    home.environment["TEST_PACE"] = "0"
    done = home.bench(*home.arguments("Quiet", "Learner"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert folder_of(home, "Quiet").read_status().attempt == 1  # not run again
    resumed = int(folder.log_tail(8).split("learnt from step ")[1].split()[0])
    assert resumed > 0
    straight = home.bench(*home.arguments("Learner"), "--out", str(home.path / "straight"))
    assert straight.returncode == 0
    other = next(RunFolder(home.path / "straight").folders().__iter__())
    assert (folder.system / "system.json").read_bytes() == (
        other.system / "system.json"
    ).read_bytes()

    def curve(f):
        import json

        points = [json.loads(line) for line in f.curves.read_text().splitlines()]
        return [(point["step"], point["train_loss"]) for point in points]

    assert curve(folder) == curve(other)


def test_a_damaged_checkpoint_means_beginning_anew_not_failing(home):
    folder = kill_while_learning(home, "worker")
    folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:50])
    home.environment["TEST_PACE"] = "0"
    assert home.bench(*home.arguments("Learner")).returncode == 0
    assert "The checkpoint is damaged" in folder.log.read_text()
    assert "learnt from step 0" in folder.log.read_text()
    assert len(folder.curves.read_text().splitlines()) == 60


def test_a_half_written_result_does_not_count_as_finished(home):
    home.environment["TEST_FLAG"] = str(home.path / "flag")
    first = home.bench(*home.arguments("DiesWhileSaving"))
    assert first.returncode == 1
    folder = folder_of(home, "DiesWhileSaving")
    assert not folder.system.exists()
    assert folder.read_status().state == "out-of-memory"
    assert home.bench(*home.arguments("DiesWhileSaving")).returncode == 0
    assert is_finished(folder)


def test_without_prompts_the_run_is_a_board_of_its_own(home):
    assert home.bench(*home.arguments("noise", "human"), "--unprompted").returncode == 0
    assert home.bench(*home.arguments("noise", "human")).returncode == 0
    table = read_csv(home.runs / "leaderboard.csv").rows
    assert sorted((row.system, row.prompted) for row in table) == [
        ("human", False), ("human", True), ("noise", False), ("noise", True)
    ]  # fmt: skip


def test_two_runs_on_one_folder_share_the_work(home):
    home.environment["TEST_PACE"] = "0.02"
    runs = [home.start(*home.arguments("Quiet", "Learner", "noise")) for _ in range(2)]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(outputs)
    for folder in RunFolder(home.runs).folders():
        assert is_finished(folder)
        assert folder.log.read_text().count("] fit") == 1, "a job was done twice"
    assert {row.status for row in rows(home).values()} == {"ok"}


def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(home):
    driver = home.start(*home.arguments("Hangs"))
    wait_for(lambda: any(home.runs.glob("jobs/Hangs*/progress.json")))
    worker = worker_of(folder_of(home, "Hangs"))
    driver.send_signal(signal.SIGINT)
    output = driver.communicate(timeout=30)[0]
    assert driver.returncode == 130
    assert "the same command continues" in output
    assert "Traceback" not in output
    wait_for(lambda: not worker.is_running())


def test_a_full_disk_fails_one_job_and_keeps_what_is_finished(home, small_disk):
    out = small_disk / "runs"
    run = [*home.arguments("Quiet", "BigSaver"), "--workers", "1", "--out", str(out)]
    done = home.bench(*run)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    table = {row.system: row for row in read_csv(out / "leaderboard.csv").rows}
    assert table["Quiet"].status == "ok"
    assert table["BigSaver"].status == "failed"
    assert "No space left on device" in table["BigSaver"].failure


def test_a_disk_that_is_full_from_the_start_is_one_clear_sentence(home, small_disk):
    with suppress(OSError):
        (small_disk / "filler").write_bytes(b"x" * 3_000_000)
    done = home.bench(*home.arguments("Quiet"), "--out", str(small_disk / "runs"))
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_output_folder_is_one_clear_sentence_and_keeps_what_is_there(home, small_disk):
    out = small_disk / "runs"
    assert home.bench(*home.arguments("Quiet"), "--out", str(out)).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = home.bench(*home.arguments("Quiet", "noise"), "--out", str(out))
    assert done.returncode == 2
    assert "Cannot write in" in done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert is_finished(RunFolder(out).folders()[0])


def test_an_output_folder_that_cannot_be_written_is_one_clear_sentence(home):
    (home.path / "file").write_text("no folder")
    done = home.bench(*home.arguments("Quiet"), "--out", str(home.path / "file" / "runs"))
    assert done.returncode == 2
    assert "Cannot write in" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gpu_that_pytorch_cannot_use_is_reported_before_anything_starts(home, driver):
    if torch.cuda.is_available():
        pytest.skip("PyTorch can use the GPU that is here")
    driver("0, GPU-aa, 81559")
    run = [*home.arguments("noise"), "--engine", "processes"]
    run[run.index("cpu")] = "cuda"
    home.environment["PATH"] = os.environ["PATH"]
    done = home.bench(*run)
    assert done.returncode == 2
    assert "built for processors only" in done.stderr or "cannot use it" in done.stderr
    assert "--device cpu" in done.stderr
    assert not list(home.runs.glob("jobs/*/log.txt"))
    checks = json.loads(home.bench("doctor", "--json").stdout)
    (gpu,) = [check for check in checks if check["what"] == "GPU"]
    assert (gpu["found"], gpu["well"]) == ("0", False)
    assert "--device cpu" in gpu["advice"]
