import numpy as np
import pytest

from bench.errors import BenchError
from bench.survey.analysis.simulation import Components, design, simulate, survey


def test_a_design_is_balanced_and_nobody_hears_a_clip_twice():
    plan = design(systems=5, clips=7, raters=20, heard=3, seed=1)
    assert (plan.groupby(["rater", "system"]).size() == 3).all()
    assert not plan.duplicated(["rater", "clip"]).any()
    plays = plan.groupby("clip").size()
    assert plays.max() - plays.min() <= 1
    blocks = plan.assign(block=(plan["position"] - 1) // 5)
    assert (blocks.groupby(["rater", "block"])["system"].nunique() == 5).all()


def test_equal_seeds_give_equal_scores_on_the_scale():
    plan = design(3, 4, 10, 2, 0)
    effects = {"s0": 1.0, "s1": 5.0, "s2": 10.0}
    first, same, other = (simulate(plan, effects, seed) for seed in (1, 1, 2))
    assert first.equals(same)
    assert not first.equals(other)
    assert first["score"].between(1, 10).all()


def test_each_component_is_the_standard_deviation_it_causes():
    plan = design(systems=40, clips=20, raters=60, heard=10, seed=0)
    effects = {f"s{n}": 5.5 for n in range(40)}
    spread = {}
    for name in ("rater", "clip", "rater_system", "residual"):
        alone = Components(**dict.fromkeys(("rater", "clip", "rater_system", "residual"), 0.0))
        answers = simulate(plan, effects, 3, Components(**{**vars(alone), name: 1.5}))
        spread[name] = answers["score"].std()
    # Rounding adds a variance of 1 / 12.
    assert np.allclose(list(spread.values()), np.sqrt(1.5**2 + 1 / 12), rtol=0.15)


def test_a_clip_heard_again_is_rated_similarly():
    table = survey({"a": 5.5, "b": 5.5}, clips=10, raters=200, heard=5, repeats=4, seed=2)
    pairs = table[table["kind"] == "main"].merge(
        table[table["kind"] == "repeat"], on=["rater", "clip"]
    )
    assert len(pairs) == 800
    change = pairs["score_x"] - pairs["score_y"]
    # Each of the two ratings has half of the residual's variance for itself.
    assert change.std() == pytest.approx(np.sqrt(1.4**2 + 2 / 12), rel=0.08)


def test_careless_listeners_answer_at_random_and_drift_raises_late_scores():
    effects = {"a": 3.0, "b": 8.0}
    careless = survey(effects, raters=100, careless=1.0)
    means = careless.groupby("system")["score"].mean()
    assert abs(means["a"] - means["b"]) < 0.6
    moved = survey(effects, raters=200, drift=2.0, seed=5)
    still = survey(effects, raters=200, seed=5)
    gain = (moved["score"] - still["score"]).groupby(moved["position"]).mean()
    assert gain.iloc[-1] - gain.iloc[0] > 1.0


def test_a_system_without_an_effect_is_named():
    with pytest.raises(BenchError, match="s1"):
        simulate(design(2, 2, 2, 1, 0), {"s0": 5.0}, 0)
