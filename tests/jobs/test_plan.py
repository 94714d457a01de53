"""What a plan expects, learns and refuses."""

import json
from dataclasses import replace

import pytest
from made_up_jobs import finish, job

from bench import registry
from bench.cli.printing import costs, seeds, warnings
from bench.engines.schedule import Place, forecast, refuse_impossible
from bench.errors import BenchError
from bench.jobs.plan import Options, Planned, expected_seconds, measured, protocol_of, seeds_of
from bench.jobs.results import FitResult, JobResult, LikelihoodResult, SampleResult
from bench.jobs.run_folder import RunFolder
from bench.protocol.sampling import Protocol
from bench.suite import Engine


def planned(seconds, memory=500, state="new", **fields):
    return Planned(job(**fields), state, seconds, memory, 5)


def of(samples):
    return Protocol(samples=samples, steps=32, prompt=16)


def finished(runs, done, seconds, memory):
    """A finished job that took so many seconds for each phase, and so much memory."""
    result = JobResult(
        fit=FitResult(seconds=seconds),
        sample=SampleResult(seconds=seconds),
        likelihood=LikelihoodResult(seconds=seconds),
        peak_memory_mb=memory,
    )
    return finish(runs, done, result=result)


def test_expectations_are_the_mean_time_and_the_most_memory_of_finished_jobs(tmp_path):
    runs = RunFolder(tmp_path)
    finished(runs, job(seed=0), 10, 900)
    finished(runs, job(seed=1), 20, 700)
    (figures,) = measured(runs).values()
    assert figures[:2] == (45 + 1.5, 900)


def test_jobs_of_another_size_teach_nothing(tmp_path):
    runs = RunFolder(tmp_path)
    finished(runs, job(protocol=of(4)), 1, 900)
    finished(runs, job(protocol=of(64)), 16, 900)
    assert sorted(seconds for seconds, _, _ in measured(runs).values()) == [4.5, 49.5]


def test_jobs_that_failed_teach_nothing(tmp_path):
    runs = RunFolder(tmp_path)
    finished(runs, job(), 1, 900).write_status(state="failed")
    assert measured(runs) == {}


def test_what_is_done_takes_no_time():
    schedule = forecast([planned(10), planned(99, state="done")], [Place(1)])
    assert schedule.makespan == 10


def test_what_can_never_run_is_refused_with_the_reason_and_a_way_out():
    plan = [planned(1, 500), planned(1, 50_000, system="giant"), planned(1, 40_000, system="big")]
    with pytest.raises(
        BenchError, match=r"2 of the jobs .* giant\..* 50000 MB .* 30000 MB"
    ) as refused:
        refuse_impossible(plan, [Place(4, 30_000)])
    assert "--systems" in str(refused.value)
    with pytest.raises(BenchError, match="63200 MB are needed, and the largest GPU has 40000 MB"):
        forecast(plan, [Place(3, 40_000, "0"), Place(3, 40_000, "1")])
    refuse_impossible(plan, [Place(4, 30_000), Place(1, 60_000)])
    refuse_impossible(plan, [Place(4)])  # nothing is known of its memory


def test_a_plan_past_one_machine_tells_the_end_the_price_and_what_bounds_it():
    places = Engine(name="ray", gpus=64, workers=64, gpu_memory=80_000).places(
        type("Options", (), {"device": "cuda"}), []
    )
    plan = [planned(360, seed=seed) for seed in range(1000)]
    text = costs(forecast(plan, places), price=2.5)
    # 16 rounds of 6 minutes: 64 x 1.6 hours
    assert "64 GPUs for 1.6 h: 102.40 GPU hours (256.00 at 2.5 each)" in text
    assert "in use 98% of the time" in text
    assert "What bounds it: the number of slots" in text
    long = costs(forecast([*plan, planned(36_000, system="long")], places), price=None)
    assert "64 GPUs for 10.0 h: 640.00 GPU hours, in use" in long
    assert "What bounds it: the longest job. Critical path: long.toy.smoke.s0 (10.0 h)." in long


def test_the_verb_prints_it_and_refuses_before_anything_runs(home):
    run = home.arguments("noise", "silence")[1:]
    done = home.bench("plan", *run, "--workers", "1", "--price", "3600")
    assert done.returncode == 0, done.stderr
    assert "1 processor for" in done.stdout
    assert "What bounds it: the number of slots" in done.stdout
    assert "Critical path: " in done.stdout
    rows = json.loads(home.bench("plan", *run, "--json").stdout)
    assert [row["state"] for row in rows] == ["new", "new"]
    refused = home.bench("all", *run, "--gpus", "64")
    assert refused.returncode == 2
    assert "--device cpu" in refused.stderr
    assert not home.runs.exists()


def test_on_a_processor_a_budget_takes_what_its_units_were_measured_to_take():
    spec = registry.system("tonicnet")
    alone = spec.cost.unit_seconds * spec.budget.standard
    assert 30 * 60 < alone < 60 * 60  # 35 core minutes were measured
    assert expected_seconds(spec, "standard", "cpu") == alone
    assert expected_seconds(spec, "quick", "cpu") == spec.cost.seconds["quick"]
    chain = registry.system("markov-chain")  # it has no budget, and takes what it always does
    assert expected_seconds(chain, "standard", "cpu") == chain.cost.seconds["quick"]


def test_every_budget_says_what_it_takes_on_a_processor():
    learning = [spec for spec in registry.systems().values() if spec.budget.standard]
    assert len(learning) > 30
    assert [spec.id for spec in learning if not spec.cost.unit_seconds] == []


def test_jobs_past_their_limit_are_told_before_they_run():
    plan = [planned(60), planned(7300, system="long"), planned(9000, system="longer")]
    (text,) = warnings(plan, 120)
    assert "2 of them are expected to outlast the 120 minutes" in text
    assert "longer the most: 2.5 h" in text
    assert "--timeout" in text
    assert warnings(plan, 200) == []
    assert warnings([planned(9000, state="done")], 120) == []


def test_times_on_a_gpu_are_called_a_guess_until_one_was_measured():
    guessed = planned(60, device="cuda")
    assert "is a guess" in " ".join(warnings([guessed], 120))
    assert warnings([replace(guessed, measured=True)], 120) == []


def counted(preset, device="cpu", **options):
    """How many seeds each system of the suite gets."""
    asked = Options(preset=preset, data=("toy",), device=device, **options)
    return {spec.id: seeds_of(spec, asked) for spec in registry.systems().values()}


def test_what_is_cheap_has_three_seeds_and_what_is_dear_has_one():
    quick, standard = counted("quick"), counted("standard")
    assert (quick["markov-chain"], quick["onehot-lstm-simple"], quick["gpt-remi"]) == (3, 3, 1)
    assert (standard["rnn-nade"], standard["tonicnet"]) == (3, 1)
    assert set(counted("standard", "cuda").values()) == {3}
    assert set(counted("paper").values()) == {3}
    assert set(counted("smoke").values()) == {1}


def test_seeds_that_were_asked_for_are_what_every_system_gets():
    assert set(counted("quick", seeds=5).values()) == {5}


def test_three_seeds_of_what_is_cheap_take_a_twentieth_of_the_time_of_one_seed_of_all():
    specs = [spec for spec in registry.systems().values() if spec.kind != "control"]
    once = sum(expected_seconds(spec, "quick", "cpu") for spec in specs)
    number = counted("quick")
    total = sum(number[spec.id] * expected_seconds(spec, "quick", "cpu") for spec in specs)
    assert 1 < total / once < 1.06


def test_a_plan_says_how_many_seeds_its_systems_have():
    plan = [planned(1, system="cheap", seed=seed) for seed in range(3)]
    assert seeds(plan) == "3 seeds of 1 system."
    plan += [planned(1, system="dear"), planned(1, system="dearer")]
    assert seeds(plan).startswith("3 seeds of 1 system and 1 seed of 2 systems (these take longer")


def test_only_systems_that_run_backward_are_given_endings():
    for spec in registry.systems().values():
        inner = spec if spec.wraps is None else registry.system(spec.wraps)
        classes = [registry.load_object(each.class_path) for each in (spec, inner)]
        said = any(getattr(cls, "direction", "forward") == "backward" for cls in classes)
        assert spec.backward == said, spec.id
        assert protocol_of(Options(), 16, backward=spec.backward).backward == said
    assert registry.system("biaxial-reversed").backward
    assert registry.system("biaxial-reversed+wraps=markov-chain").backward
    assert not registry.system("biaxial-dropout").backward
