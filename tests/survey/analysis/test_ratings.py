import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from bench.survey.analysis.ratings import kept, screen, tidy
from bench.survey.analysis.simulation import survey

EFFECTS = {"human": 8.0, "a": 6.0, "b": 5.0, "anchor": 2.0}


@pytest.fixture
def table():
    return survey(EFFECTS, clips=6, raters=12, heard=3, repeats=3, seed=1)


def hit(table, rule):
    return {one.name: one.raters for one in screen(tidy(table))}[rule]


def test_honest_listeners_break_no_rule(table):
    assert [one.name for one in screen(tidy(table)) if one.raters] == []


def test_each_rule_finds_the_listener_who_breaks_it(table):
    of = table["rater"] == 3
    main, repeat = of & (table["kind"] == "main"), of & (table["kind"] == "repeat")
    half = table.drop(table[main].index[:8])
    cases = {
        "excluded": table.assign(excluded=np.where(of, "asked for it", "")),
        "incomplete": half.assign(finished=~(half["rater"] == 3)),
        "not heard": table.assign(coverage=np.where(of & (table["position"] == 2), 0.5, 1.0)),
        "flat": table.assign(score=table["score"].mask(of, 5)),
        "reversed": table.assign(score=table["score"].mask(of, 11 - table["score"])),
        "wandering": table.assign(score=table["score"].mask(main, 9).mask(repeat, 2)),
        "alone": table.assign(score=table["score"].mask(of, 11 - table["score"])),
        "hasty": table.assign(answer_seconds=np.where(of, 12.0, 30.0)),
    }
    for rule, changed in cases.items():
        assert hit(changed, rule) == (3,), rule


def test_an_incomplete_listener_counts_with_four_fifths_of_the_trials(table):
    of = table["rater"] == 3
    most = table.drop(table[of].index[:3])  # 12 of 15
    assert hit(most.assign(finished=most["rater"] != 3), "incomplete") == ()


def test_listeners_are_left_out_whole_and_known_human_pieces_alone(table):
    known = table.assign(known=table["rater"].eq(1) & table["system"].isin(["human", "a"]))
    marked = known.assign(excluded=np.where(known["rater"] == 3, "a reason", ""))
    clean = tidy(marked)
    left = kept(clean, screen(clean))
    assert 3 not in set(left["rater"])
    gone = clean[~clean.index.isin(left.index) & (clean["rater"] != 3)]
    assert set(gone["system"]) == {"human"}
    assert set(gone["rater"]) == {1}
    assert (left.loc[left["rater"] == 1, "system"] == "a").any()


def test_noted_listeners_stay(table):
    clean = tidy(table.assign(answer_seconds=1.0))
    assert len(kept(clean, screen(clean))) == len(clean)


def test_variants_and_presets_are_systems_of_their_own():
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


def test_what_cannot_be_analysed_is_said():
    rows = survey({"a": 5.0, "b": 6.0})
    with pytest.raises(BenchError, match="lack the columns clip, score"):
        tidy(rows.drop(columns=["clip", "score"]))
    with pytest.raises(BenchError, match=r"score is 11.*row 3"):
        tidy(rows.assign(score=rows["score"].mask(rows.index == 2, 11)))
    with pytest.raises(BenchError, match=r"score is 4\.5"):
        tidy(rows.assign(score=rows["score"].astype(float).mask(rows.index == 0, 4.5)))
    with pytest.raises(BenchError, match="more than one system"):
        tidy(rows.assign(clip="same"))
