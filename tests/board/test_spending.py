import json

import pytest
from made_up_jobs import DONE, finish, job

from bench import registry
from bench.board.build import build
from bench.board.spending import share_spent
from bench.contract import Budget
from bench.jobs.job import Card
from bench.jobs.record import JobRecord
from bench.jobs.run_folder import RunFolder


def finished(tmp_path, system, size, last, *, budget, variant="corrected", **settings):
    """The record of a job whose curves end at an update."""
    spec = registry.systems()[system]
    done = job(
        system,
        variant=variant,
        budget=budget,
        settings=spec.settings_of(variant, size) | settings,
        card=Card(title=system, kind="paper", size=size),
    )
    folder = finish(RunFolder(tmp_path), done, result=DONE)
    if last:
        points = [{"step": step, "train_loss": 1.0} for step in (1, last)]
        folder.curves.write_text("\n".join(map(json.dumps, points)))
    return JobRecord(folder)


UPDATES = Budget(240, paper=10000)


def test_an_early_stop_is_counted(tmp_path):
    budget = Budget(6000, paper=33250)
    record = finished(tmp_path, "midi-lstm", "full", 899, budget=budget)
    assert share_spent(record) == pytest.approx(899 / 33250)


@pytest.mark.parametrize("system", ["biaxial-dropout", "biaxial-reversed", "rbm-window"])
def test_an_update_of_a_reduced_network_counts_by_the_music_that_it_sees(tmp_path, system):
    record = finished(tmp_path, system, "reduced", 240, budget=UPDATES)
    assert share_spent(record) == pytest.approx(240 / 10000 * (1 * 32) / (10 * 128))


def test_an_update_of_a_full_network_is_one_of_the_paper_s(tmp_path):
    record = finished(tmp_path, "biaxial-dropout", "full", 240, budget=UPDATES)
    assert share_spent(record) == pytest.approx(0.024)


def test_without_curves_and_beyond_the_budget_it_is_the_budget(tmp_path):
    for last in (0, 999):
        folder = tmp_path / str(last)
        record = finished(folder, "biaxial-dropout", "full", last, budget=UPDATES)
        assert share_spent(record) == pytest.approx(0.024)


def test_passes_see_all_of_the_data_at_any_size(tmp_path):
    budget = Budget(10, "passes", 40)
    record = finished(tmp_path, "biaxial-dropout", "reduced", 10, budget=budget)
    assert share_spent(record) == 0.25


def test_where_a_paper_names_no_budget_there_is_no_share(tmp_path):
    record = finished(tmp_path, "biaxial-dropout", "full", 5, budget=Budget(5))
    assert share_spent(record) is None
    (row,) = build(RunFolder(tmp_path)).rows
    assert row.budget_share is None


def test_the_row_has_it(tmp_path):
    finished(tmp_path, "biaxial-dropout", "reduced", 120, budget=UPDATES)
    (row,) = build(RunFolder(tmp_path)).rows
    assert row.budget_share == pytest.approx(120 / 10000 * 0.025)


@pytest.mark.parametrize("name", sorted(registry.systems()))
def test_every_reduced_system_whose_paper_names_a_budget_says_how_much_an_update_sees(name):
    from bench.board.spending import excerpt

    spec = registry.systems()[name]
    if spec.budget.paper and spec.budget.unit == "updates" and spec.size_of("quick") != "full":
        for variant in spec.variants():
            assert excerpt(spec.settings_of(variant, "full"))
            assert excerpt(spec.settings_of(variant, "reduced"))
