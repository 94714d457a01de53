import numpy as np
import pytest

from bench.errors import BenchError
from bench.survey.analysis import power
from bench.survey.analysis.mixed import crossed
from bench.survey.analysis.simulation import Components, survey

# Smallest detectable differences of a normal test, computed without this code.
EXPECTED = {
    10: [2.64, 2.18, 1.98, 1.64, 1.50, 1.36, 1.28],
    26: [2.40, 1.97, 1.75, 1.34, 1.18, 0.98, 0.87],
    50: [2.33, 1.91, 1.67, 1.24, 1.06, 0.84, 0.70],
    100: [2.28, 1.87, 1.63, 1.18, 0.99, 0.75, 0.59],
}


def test_the_table_equals_the_normal_test_for_many_degrees_of_freedom():
    table = power.table(systems=10**6).round(2)
    assert table.T.to_dict("list") == EXPECTED


def test_few_clips_many_comparisons_and_few_listeners_cost_power():
    assert power.detectable(2, 26, systems=2) > 1.2 * power.detectable(2, 26, systems=1000)
    assert power.detectable(12, 26, comparisons=28) > power.detectable(12, 26)
    assert power.detectable(24, 26) < power.detectable(12, 52) < power.detectable(12, 26)


def test_clips_needed_is_the_smallest_number_that_suffices():
    needed = power.clips_needed(1.2, raters=26)
    assert power.detectable(needed, 26) <= 1.2 < power.detectable(needed - 1, 26)
    assert power.clips_needed(0.1, raters=5) is None


def test_an_impossible_plan_is_a_clear_error():
    with pytest.raises(BenchError, match="two clips of each"):
        power.detectable(1, 26)


def test_a_pilot_gives_its_components():
    truth = Components(rater=1.2, clip=0.9, rater_system=0.8, residual=1.0)
    effects = dict(zip("abcdef", np.linspace(4.5, 6.5, 6), strict=True))
    pilot = survey(effects, clips=10, raters=24, heard=4, components=truth, seed=3)
    components = power.from_pilot(pilot)
    for name, value in vars(truth).items():
        assert getattr(components, name) == pytest.approx(value, abs=0.35), name


def test_a_pilot_that_is_too_small_is_a_clear_error():
    with pytest.raises(BenchError, match="pilot is too small"):
        power.from_pilot(survey({"a": 5.0, "b": 6.0}, raters=2))
    with pytest.raises(BenchError, match="pilot is too small"):
        power.from_pilot(survey({"a": 5.0, "b": 6.0}, heard=1))


@pytest.mark.slow
def test_four_of_five_simulated_surveys_find_the_detectable_difference():
    clips, raters = 10, 16
    gap = power.detectable(clips, raters, heard=3, systems=4)
    significant, runs = 0, 200
    for seed in range(runs):
        effects = {"a": 5.5 - gap / 2, "b": 5.5 + gap / 2, "c": 5.0, "d": 6.0}
        estimates = crossed(survey(effects, clips, raters, 3, seed=seed))
        significant += estimates.contrast(0, 1)[3] < 0.05
    assert 0.72 < significant / runs < 0.90
