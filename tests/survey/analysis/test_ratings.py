import numpy as np
import pytest
from lazy import pd

from bench.errors import BenchError
from bench.survey.analysis.ratings import screen, tidy, without_excluded
from bench.survey.analysis.simulation import survey

EFFECTS = {"human": 8.0, "a": 6.0, "b": 5.0, "anchor": 2.0}


@pytest.fixture
def table():
    return survey(EFFECTS, clips=6, raters=12, heard=3, repeats=3, seed=1)


def raters_of(table, rule_name):
    """The listeners that a rule concerns."""
    return {rule.name: rule.raters for rule in screen(tidy(table))}[rule_name]


def test_careful_listeners_break_no_rule(table):
    assert [rule.name for rule in screen(tidy(table)) if rule.raters] == []


def test_each_rule_finds_the_listener_who_breaks_it(table):
    own = table["rater"] == 3
    main, repeat = own & (table["kind"] == "main"), own & (table["kind"] == "repeat")
    half = table.drop(table[main].index[:8])
    cases = {
        "excluded": table.assign(excluded=np.where(own, "asked for it", "")),
        "incomplete": half.assign(finished=~(half["rater"] == 3)),
        "not heard": table.assign(coverage=np.where(own & (table["position"] == 2), 0.5, 1.0)),
        "flat": table.assign(score=table["score"].mask(own, 5)),
        "reversed": table.assign(score=table["score"].mask(own, 11 - table["score"])),
        "inconsistent": table.assign(score=table["score"].mask(main, 9).mask(repeat, 2)),
        "contrary": table.assign(score=table["score"].mask(own, 11 - table["score"])),
        "too fast": table.assign(answer_seconds=np.where(own, 12.0, 30.0)),
    }
    for rule, changed in cases.items():
        assert raters_of(changed, rule) == (3,), rule


def test_a_listener_with_four_fifths_of_the_trials_counts(table):
    own = table["rater"] == 3
    most = table.drop(table[own].index[:3])  # 12 of 15
    assert raters_of(most.assign(finished=most["rater"] != 3), "incomplete") == ()


def test_excluded_listeners_lose_all_ratings_and_known_human_pieces_only_their_own(table):
    known = table.assign(known=table["rater"].eq(1) & table["system"].isin(["human", "a"]))
    marked = known.assign(excluded=np.where(known["rater"] == 3, "a reason", ""))
    clean = tidy(marked)
    counted = without_excluded(clean, screen(clean))
    assert 3 not in set(counted["rater"])
    known_pieces = clean[~clean.index.isin(counted.index) & (clean["rater"] != 3)]
    assert set(known_pieces["system"]) == {"human"}
    assert set(known_pieces["rater"]) == {1}
    assert (counted.loc[counted["rater"] == 1, "system"] == "a").any()


def test_listeners_who_are_only_noted_count(table):
    clean = tidy(table.assign(answer_seconds=1.0))
    assert len(without_excluded(clean, screen(clean))) == len(clean)


def test_variants_and_presets_are_separate_systems():
    rows = survey({"a": 5.0, "b": 6.0}, seed=3)
    variant = rows.assign(variant="as-published", clip=rows["clip"] + "v")
    preset = rows.assign(preset="standard", clip=rows["clip"] + "p")[rows["system"] == "a"]
    names = set(tidy(pd.concat([rows, variant, preset]))["system"])
    assert names == {"a (quick)", "a (standard)", "a (as published)", "b", "b (as published)"}


def test_a_table_read_back_from_csv_is_the_same_table(table, tmp_path):
    table["believable"] = table["believable"].astype(object).mask(table.index < 5, None)
    path = tmp_path / "ratings.csv"
    table.to_csv(path, index=False)
    again, first = tidy(pd.read_csv(path)), tidy(table)
    assert again["believable"].equals(first["believable"])
    assert again["believable"].isna().sum() == 5
    pd.testing.assert_frame_equal(again[sorted(again)], first[sorted(first)], check_dtype=False)


def test_a_table_that_cannot_be_analysed_is_a_clear_error():
    rows = survey({"a": 5.0, "b": 6.0})
    with pytest.raises(BenchError, match="no column clip, score"):
        tidy(rows.drop(columns=["clip", "score"]))
    with pytest.raises(BenchError, match=r"Row 3.*score 11"):
        tidy(rows.assign(score=rows["score"].mask(rows.index == 2, 11)))
    with pytest.raises(BenchError, match=r"score 4\.5"):
        tidy(rows.assign(score=rows["score"].astype(float).mask(rows.index == 0, 4.5)))
    with pytest.raises(BenchError, match="more than one system"):
        tidy(rows.assign(clip="same"))
