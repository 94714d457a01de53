import numpy as np
import pytest
from lazy import stats

from bench.survey.analysis.mixed import (
    by_role,
    crossed,
    estimate,
    from_clips,
    t_difference,
    t_interval,
)
from bench.survey.analysis.simulation import Components, survey

EFFECTS = {"a": 4.5, "b": 5.2, "c": 5.9, "d": 6.6}


@pytest.fixture(scope="module")
def balanced():
    """Every listener heard every clip."""
    return survey({"a": 5.0, "b": 6.0, "c": 5.5}, clips=6, raters=10, heard=6, seed=4)


def test_for_a_complete_balanced_design_it_equals_the_analysis_of_variance(balanced):
    table = balanced.pivot_table(index="rater", columns="clip", values="score")
    raters, clips = table.shape
    per_system = 6
    system = table.columns.str[:2]
    clip_means = table.mean()
    within = clip_means.groupby(system).var(ddof=1).mean()  # the clips' mean square / raters
    residual = (
        table.sub(table.mean(axis=1), axis=0).sub(clip_means, axis=1) + table.to_numpy().mean()
    )
    error = (residual**2).to_numpy().sum() / ((raters - 1) * (clips - 1))
    severity = table.mean(axis=1).var(ddof=1) - error / clips

    estimates = crossed(balanced)
    difference, low, high, p = estimates.contrast(1, 0)
    quantile = stats.t.ppf(0.975, clips - 3)
    assert estimates.systems == ("a", "b", "c")
    assert difference == pytest.approx(clip_means.groupby(system).mean().diff().iloc[1])
    assert (high - low) / 2 == pytest.approx(quantile * np.sqrt(2 * within / per_system), rel=1e-3)
    assert p == pytest.approx(
        2 * stats.t.sf(difference / np.sqrt(2 * within / per_system), clips - 3), rel=1e-2
    )
    assert estimates.covariance[0, 0] == pytest.approx(
        severity / raters + within / per_system, rel=1e-3
    )
    assert estimates.shared == pytest.approx(severity / raters, rel=1e-3)
    assert estimates.components.residual == pytest.approx(np.sqrt(error), rel=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_the_search_finds_the_same_optimum_as_a_thorough_one(seed):
    # The library's own start and search end where clips have no variance, for seeds 0 and 4.
    import statsmodels.formula.api as smf

    table = survey({f"s{n}": 3 + 0.4 * n for n in range(6)}, 12, 12, 3, seed=seed)
    estimates = crossed(table)
    parts = {"rater": "0+C(rater)", "clip": "0+C(clip)"}
    model = smf.mixedlm(
        "score ~ 0 + C(system)", table, groups=np.ones(len(table)), vc_formula=parts
    )
    fitted = model.fit(reml=True, method="powell")
    assert np.allclose(estimates.means, fitted.fe_params, atol=5e-3)
    assert np.allclose(estimates.covariance, fitted.cov_params().iloc[:6, :6], atol=5e-3)
    assert fitted.vcomp[1] == pytest.approx(estimates.components.rater**2, abs=0.02)
    assert fitted.vcomp[0] == pytest.approx(estimates.components.clip**2, abs=0.02)


def test_covariates_are_recovered():
    table = survey(EFFECTS, clips=8, raters=30, heard=4, drift=2.0, seed=7)
    position = (table["position"] / table["position"].max()).to_numpy()
    estimates = crossed(table, covariates={"position": position - position.mean()})
    value, low, high, p = estimates.coefficient(4)
    assert low < 2.0 < high
    assert p < 0.001
    assert value == pytest.approx(2.0, abs=0.6)


def test_draws_have_the_means_and_covariance_of_the_estimates():
    estimates = crossed(survey(EFFECTS, seed=1))
    draws = estimates.draws(40000, seed=0)
    variance = estimates.freedom / (estimates.freedom - 2)  # of Student's t
    assert np.allclose(draws.mean(axis=0), estimates.means, atol=0.02)
    assert np.allclose(np.cov(draws.T), estimates.covariance * variance, atol=0.02)


def test_equivalence_is_two_one_sided_tests():
    estimates = crossed(survey({"a": 5.5, "b": 5.5}, clips=40, raters=40, heard=6, seed=2))
    difference, low, high, _ = estimates.contrast(0, 1)
    margin = 1.0
    error = (high - low) / 2 / stats.t.ppf(0.975, estimates.freedom)
    below = stats.t.sf((difference + margin) / error, estimates.freedom)
    above = stats.t.cdf((difference - margin) / error, estimates.freedom)
    assert estimates.equivalent(0, 1, margin) == pytest.approx(max(below, above))
    assert estimates.equivalent(0, 1, margin) < 0.05
    assert estimates.equivalent(0, 1, abs(difference) / 2) > 0.5


def test_without_a_model_means_of_clips_give_the_estimates_and_too_few_clips_give_none():
    table = survey(EFFECTS, clips=4, raters=6)
    clips = from_clips(table)
    means = table.groupby(["system", "clip"])["score"].mean()
    pooled = means.groupby("system").var(ddof=1).mean()
    assert clips.freedom == 12
    assert np.allclose(np.diag(clips.covariance), pooled / 4)
    assert estimate(table.assign(score=5.0)) is None
    assert estimate(table[table["rater"] == 0]) is None
    one_clip = table[table["clip"].isin(table.groupby("system")["clip"].first())]
    assert estimate(one_clip) is None


def test_intervals_of_student_and_welch_equal_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 12), rng.normal(1, 3, 9)
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    assert t_interval(a) == pytest.approx(tuple(expected))
    assert t_interval(a[:1]) is None
    assert t_interval(np.ones(5)) is None
    assert t_difference(a, np.ones(1)) is None
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert t_difference(a, b) == pytest.approx(tuple(expected))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clips", "raters", "heard"), [(12, 12, 3), (6, 26, 3), (8, 8, 4)], ids=str
)
def test_intervals_cover_the_truth_about_as_often_as_they_promise(clips, raters, heard):
    hits = {"mean": [], "difference": [], "naive mean": [], "naive difference": []}
    for seed in range(150):
        table = survey(EFFECTS, clips, raters, heard, seed=seed, components=Components())
        estimates = crossed(table)
        scores = [table.loc[table["system"] == name, "score"].to_numpy(float) for name in EFFECTS]
        truths = list(EFFECTS.values())
        for n, truth in enumerate(truths):
            low, high = estimates.interval(n)
            hits["mean"].append(low <= truth <= high)
            low, high = t_interval(scores[n])
            hits["naive mean"].append(low <= truth <= high)
            if n:
                _, low, high, _ = estimates.contrast(n, 0)
                hits["difference"].append(low <= truth - truths[0] <= high)
                low, high = t_difference(scores[n], scores[0])
                hits["naive difference"].append(low <= truth - truths[0] <= high)
    rate = {name: np.mean(covered) for name, covered in hits.items()}
    assert 0.90 <= rate["mean"] <= 0.98, rate
    assert 0.90 <= rate["difference"] <= 0.98, rate
    assert rate["naive mean"] < 0.85, rate
    assert rate["naive difference"] < rate["difference"], rate


@pytest.mark.slow
def test_references_at_the_ends_of_the_scale_do_not_shorten_the_intervals_of_systems():
    truth = {"a": 5.0, "b": 5.5, "c": 6.0, "human": 9.0, "anchor": 1.0}
    means, differences = [], []
    for seed in range(120):
        estimates = by_role(survey(truth, 8, 14, 3, seed=seed))["system"]
        for n, name in enumerate("abc"):
            low, high = estimates.interval(n)
            means.append(low <= truth[name] <= high)
        for n, m in ((1, 0), (2, 0), (2, 1)):
            _, low, high, _ = estimates.contrast(n, m)
            differences.append(low <= (n - m) / 2 <= high)
    assert 0.90 <= np.mean(means) <= 0.98
    assert 0.92 <= np.mean(differences) <= 0.98  # with the references in the model: 0.91
