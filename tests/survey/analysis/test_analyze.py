import json

import numpy as np
import pytest
from lazy import pd

from bench.errors import BenchError
from bench.survey.analysis.analyze import analyze
from bench.survey.analysis.results import About, board_columns, read, save
from bench.survey.analysis.simulation import Components, survey

EFFECTS = {"human": 8.0, "good": 6.8, "fair": 4.6, "twin": 4.6, "anchor": 2.5}
SEED = 1
CLOSED = About(name="toy", state="closed", scale={1: "noise", 10: "novice"}, config_hash="abc123")


def not_simulated(table):
    return table.assign(simulated=False, survey="toy")


def result_of(results, name):
    return next(result for result in results.studies[0].systems if result.system == name)


@pytest.fixture(scope="module")
def results():
    return analyze(
        not_simulated(survey(EFFECTS, clips=10, raters=20, heard=3, repeats=3, seed=SEED)), CLOSED
    )


def strict_json(results):
    """The results as JSON; an error where they hold NaN or infinity."""
    return json.dumps(results.model_dump(mode="json"), allow_nan=False)


def test_known_effects_are_recovered(results):
    for name, effect in EFFECTS.items():
        result = result_of(results, name)
        assert result.rating.low < effect < result.rating.high, name
        assert result.by_clips.low < result.rating.value < result.by_clips.high
        assert result.clips == 10
        assert result.ratings == sum(result.counts) == 60
    assert [result.system for result in results.studies[0].systems][:2] == ["human", "good"]
    human, anchor = result_of(results, "human"), result_of(results, "anchor")
    assert human.believable.low > anchor.believable.high


def test_a_rank_counts_the_systems_that_are_significantly_better(results):
    good, fair, twin = (result_of(results, name) for name in ("good", "fair", "twin"))
    assert (good.rank, good.rank_low, good.rank_high) == (1, 1, 1)
    assert fair.rank == twin.rank == 2
    assert (twin.rank_low, twin.rank_high) == (2, 3)
    assert good.best > 0.99
    assert result_of(results, "human").rank is result_of(results, "anchor").rank is None
    pairs = {(pair.first, pair.second): pair for pair in results.studies[0].pairs}
    assert set(pairs) == {("fair", "good"), ("fair", "twin"), ("good", "twin")}
    assert pairs["fair", "good"].p_holm < 0.001
    assert pairs["fair", "good"].significant
    assert pairs["fair", "twin"].p_holm > 0.05
    assert not pairs["fair", "twin"].significant
    for pair in pairs.values():
        assert pair.p_holm >= pair.p
        assert pair.by_clips.low < pair.difference.value < pair.by_clips.high


def test_conclusions_say_what_differs_and_what_is_undecided(results):
    study = results.studies[0]
    assert (
        "2 of 3 pairs of systems differ significantly; no system is significantly better than good."
        in study.conclusions
    )
    below = next(line for line in study.conclusions if line.startswith("good is rated"))
    assert "below human music" in below
    assert [c.first for c in study.against_human] == ["fair", "good", "twin"]


def test_a_system_is_called_as_good_as_human_music_only_with_enough_evidence():
    effects = {"human": 6.0, "equal": 6.0}
    few = analyze(survey(effects, clips=6, raters=8, seed=1), CLOSED).studies[0]
    alike = Components(rater=1.0, clip=0.2, rater_system=0.1, residual=0.7)
    assert "which does not make them equal" in few.conclusions[-1]
    many = analyze(survey(effects, 12, 20, 6, components=alike, seed=8), CLOSED).studies[0]
    assert "as good as human music, within 0.5 points" in many.conclusions[-1]
    assert many.against_human[0].equivalent_p < 0.05 < many.against_human[0].p_holm


def test_the_interval_as_if_ratings_were_independent_is_reported_and_shorter(results):
    for system in results.studies[0].systems:
        naive, rating = system.naive, system.rating
        assert naive.high - naive.low < rating.high - rating.low


def test_results_with_and_without_screening_are_reported():
    table = not_simulated(survey(EFFECTS, clips=6, raters=16, repeats=3, seed=4))
    flat = table["rater"] < 4
    results = analyze(table.assign(score=table["score"].mask(flat, 5)), CLOSED)
    assert results.left_out == 4
    assert next(rule for rule in results.screening if rule.rule == "flat").raters == 4
    human = result_of(results, "human")
    assert human.raters == 12
    assert human.everyone.value < human.rating.value - 0.3
    assert "Of 16 listeners 4 were excluded" in results.methods


def test_data_sets_are_never_pooled():
    first = not_simulated(survey({"a": 4.0, "b": 6.0}, seed=1))
    second = not_simulated(survey({"a": 8.0, "b": 3.0}, seed=2))
    second = second.assign(dataset="other", clip=second["clip"] + "o")
    both = analyze(pd.concat([first, second]), CLOSED)
    alone = analyze(first, CLOSED)
    assert [study.dataset for study in both.studies] == ["other", "toy"]
    assert both.studies[1] == alone.studies[0]


def test_the_paragraph_on_methods_says_what_was_done(results):
    about = CLOSED.model_copy(update={"invited": 30, "started": 22, "finished": 20})
    methods = analyze(not_simulated(survey(EFFECTS, seed=1)), about).methods
    for part in (
        "30 were invited, 22 started, 20 finished, 0 of 16 who rated were excluded",
        "40 clips of 20 s (3 systems, human music, random notes; 8 of each), 15.0 per",
        "1 “noise”, 10 “novice”",
        "Configuration abc123",
        "statsmodels 0.",
    ):
        assert part in methods, part
    assert "SIMULATED" in analyze(survey(EFFECTS, seed=1), about).methods
    assert "SIMULATED" not in results.methods


DEGENERATE = {
    "one listener": lambda t: t[t["rater"] == 0],
    "two listeners": lambda t: t[t["rater"] < 2],
    "one clip of each": lambda t: t[t["clip"].isin(t.groupby("system")["clip"].first())],
    "one clip": lambda t: t[t["clip"] == t["clip"].iloc[0]],
    "one rating": lambda t: t.head(1),
    "all the same score": lambda t: t.assign(score=7),
    "one system": lambda t: t[t["system"] == "good"],
    "no human": lambda t: t[t["role"] != "human"],
    "only human": lambda t: t[t["role"] == "human"],
    "nobody asked whether it is believable": lambda t: t.drop(columns="believable"),
    "everything believed": lambda t: t.assign(believable=True),
    "few answers on belief": lambda t: t.assign(
        believable=t["believable"].astype(object).where(t.index < 3, None)
    ),
    "only what is needed": lambda t: t[
        ["rater", "clip", "system", "role", "kind", "position", "score"]
    ],
    "flags": lambda t: t.assign(flags="slow;late", comment="x"),
    "no repeats": lambda t: t[t["kind"] == "main"],
    "two scores only": lambda t: t.assign(score=np.where(t["score"] > 5, 6, 5)),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_unusual_ratings_are_analysed(case):
    table = not_simulated(survey(EFFECTS, clips=4, raters=6, heard=2, repeats=2, seed=2))
    changed = DEGENERATE[case](table)
    if case == "all the same score":
        changed = changed.assign(kind="main", clip=changed["clip"] + changed["kind"])
        with pytest.raises(BenchError, match=r"all 6 listeners.*6 gave scores that hardly differ"):
            analyze(changed, CLOSED)
        return
    results = analyze(changed, CLOSED)
    strict_json(results)
    for study in results.studies:
        for system in study.systems:
            assert 1 <= system.rating.value <= 10
            assert system.rating.low is None or 1 <= system.rating.low <= system.rating.high <= 10


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("one listener", "There is one listener: an interval needs at least 1 more"),
        (
            "one clip of each",
            "Only one clip was rated of human, fair, good, twin, anchor: at least 1 more",
        ),
        ("one system", "There is one system: a comparison needs 1 more."),
        ("no human", "No human music was rated"),
    ],
)
def test_too_few_data_say_how_many_more_are_needed(case, sentence):
    table = not_simulated(survey(EFFECTS, clips=4, raters=6, heard=2, repeats=2, seed=2))
    (study,) = analyze(DEGENERATE[case](table), CLOSED).studies
    assert any(sentence in line for line in study.lacking), study.lacking


def test_too_few_clips_to_tell_systems_apart_say_how_many_are_needed():
    table = not_simulated(survey({"a": 5.0, "b": 5.3, "c": 5.6}, clips=3, raters=10, seed=3))
    (study,) = analyze(table, CLOSED).studies
    assert study.detectable > 1
    assert any("To find a difference of 1 point, about" in line for line in study.lacking)


def test_no_ratings_at_all_are_an_error_that_says_what_is_needed():
    with pytest.raises(BenchError, match=r"no ratings yet.*two listeners and two clips"):
        analyze(survey(EFFECTS).head(0), CLOSED)


def test_results_are_stored_and_an_invalid_file_is_named(results, tmp_path):
    path = save(results, tmp_path)
    assert path == tmp_path / "surveys" / "toy.json"
    assert read(path) == results
    strict_json(results)
    path.write_text("{}")
    with pytest.raises(BenchError, match=r"toy\.json was written by another version.*analyze"):
        read(path)
    with pytest.raises(BenchError, match="missing"):
        read(tmp_path / "none.json")


def test_only_closed_surveys_of_real_listeners_reach_the_board(results):
    cells = board_columns(results)
    good = result_of(results, "good")
    assert cells["good.toy"].model_dump() == {
        "human_rating": good.rating.value,
        "human_rating_low": good.rating.low,
        "human_rating_high": good.rating.high,
        "believability": good.believable.value,
        "survey": "toy",
    }
    assert cells["human.toy"].human_rating == result_of(results, "human").rating.value
    for state in ("draft", "open"):
        about = CLOSED.model_copy(update={"state": state})
        assert board_columns(results.model_copy(update={"about": about})) == {}
    assert board_columns(results.model_copy(update={"simulated": True})) == {}
