import numpy as np
import pytest
from made_up_rows import row

from bench import registry
from bench.board import skills
from bench.board.compare import compare
from bench.board.ranking import rank
from bench.board.rows import Group
from bench.protocol import statistics


class Metric:
    """A headline metric of which the higher is the better."""

    headline, direction = True, "higher"


def metric(**attributes):
    """A metric with such class attributes."""
    return type("Made", (Metric,), attributes)


def group_of(table):
    """A group with a floor at 0, a ceiling at 1, and a row for each line of values by metric."""
    names = list(table[0])
    lines = [dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0), *table]
    names_of_rows = ["noise", "human", *(f"s{number}" for number in range(len(table)))]
    rows = []
    for number, values in enumerate(lines):
        rng = np.random.default_rng(number)
        rows.append(
            row(
                names_of_rows[number],
                kind=("floor", "ceiling", "paper")[min(number, 2)],
                anchor=(0, 1, None)[min(number, 2)],
                metrics=values,
                exact=values,
                draws={
                    n: v + 0.01 * rng.normal(size=statistics.RESAMPLES) for n, v in values.items()
                },
            )
        )
    return Group("toy quick", tuple(rows))


def install(monkeypatch, **metrics):
    """Only these metrics are installed."""
    monkeypatch.setattr(registry, "metrics", lambda: metrics)


def test_a_skill_below_0_never_reaches_minus_1_and_above_1_is_1():
    values = np.array([-1e6, -1.0, -0.5, 0.0, 0.3, 1.0, 7.0])
    assert skills.bounded(values) == pytest.approx(
        [-1.0, -0.5, -1 / 3, 0.0, 0.3, 1.0, 1.0], abs=1e-5
    )
    assert (np.diff(skills.bounded(values)) >= 0).all()


def test_the_slope_is_that_of_the_bounded_skill_and_1_beyond_human_music():
    for value in (-3.0, -0.2, 0.4):
        step = 1e-6
        change = skills.bounded(np.array(value + step)) - skills.bounded(np.array(value))
        assert skills.slope(value) == pytest.approx(float(change) / step, rel=1e-3)
    assert skills.slope(1.5) == 1.0


def test_the_skill_of_a_row_is_the_aggregate_that_was_chosen():
    values = np.array([0.3, -2.0, 1.4, 0.9])
    combined, draws = skills.combined([(value, np.full(5, value)) for value in values])
    chosen = skills.AGGREGATES[skills.CHOSEN](values[None], ["a", "b", "b", "c"])
    assert combined == pytest.approx(chosen[0])
    assert draws == pytest.approx(np.full(5, combined))


def test_metrics_count_alike_and_every_question_has_a_mean_of_its_own(monkeypatch):
    install(
        monkeypatch,
        a=metric(question="notes"),
        b=metric(question="notes"),
        c=metric(question="form"),
        d=metric(question="what is this"),
    )
    group = group_of([{"a": 0.2, "b": 0.4, "c": 0.9, "d": 0.6}])
    rank(group)
    made = group.rows[2]
    assert (made.skill_notes, made.skill_form, made.skill_other) == pytest.approx((0.3, 0.9, 0.6))
    assert made.skill_likely is None
    assert made.skill == pytest.approx((0.2 + 0.4 + 0.9 + 0.6) / 4)
    assert made.skill_coverage == "4/4"


def test_one_metric_alone_cannot_decide(monkeypatch):
    install(monkeypatch, a=metric(question="notes"), b=metric(question="form"))
    group = group_of([{"a": -900.0, "b": 0.9}, {"a": 0.0, "b": 0.0}])
    rank(group)
    assert group.rows[2].skill == pytest.approx((0.9 - 1) / 2, abs=1e-2)
    assert group.rows[2].metric("a").skill == pytest.approx(-900)  # as it is


@pytest.mark.parametrize(("value", "end"), [(0.01, "floor"), (0.99, "ceiling")])
def test_a_metric_at_one_end_for_more_than_a_third_is_left_out_for_all(monkeypatch, value, end):
    install(monkeypatch, dead=metric(question="notes"), live=metric(question="form"))
    lines = [{"dead": value, "live": 0.1 * n} for n in range(1, 4)]
    lines += [{"dead": 0.5, "live": 0.5}] * 4
    group = group_of(lines)
    rank(group)
    assert all(
        r.skill_note == f"dead: left out, 3 of 7 contestants are at its {end}" for r in group.rows
    )
    assert group.rows[2].skill == pytest.approx(0.1)
    assert group.rows[2].metric("dead").skill == pytest.approx(value)  # still shown
    fewer = group_of([*lines[:2], *lines[3:], {"dead": 0.4, "live": 0.2}])
    rank(fewer)
    assert {r.skill_note for r in fewer.rows} == {""}  # two of seven are not a third


def test_few_contestants_do_not_decide_whether_a_metric_separates(monkeypatch):
    install(monkeypatch, a=metric())
    group = group_of([{"a": 0.0}] * 5)
    rank(group)
    assert [r.skill for r in group.rows[2:]] == [0] * 5


def test_a_metric_whose_anchors_do_not_separate_is_left_out_and_the_rest_ranks(monkeypatch):
    install(monkeypatch, a=metric(question="notes"), b=metric(question="form"))
    group = group_of([{"a": 0.4, "b": 0.7}])
    for anchor in group.rows[:2]:
        anchor.evidence.draws["a"] = anchor.evidence.exact["a"] + 9 * np.random.default_rng(
            int(anchor.evidence.exact["a"])
        ).normal(size=statistics.RESAMPLES)
    rank(group)
    assert group.rows[2].skill_note == "a: left out, floor and ceiling cannot be told apart"
    assert (group.rows[2].skill, group.rows[2].rank) == (0.7, 1)


def test_a_judge_does_not_count_for_its_own_family(monkeypatch):
    from bench.judges import families

    install(
        monkeypatch,
        one=metric(question="likely", judge="attention"),
        two=metric(question="likely", judge="recurrent"),
    )
    monkeypatch.setattr(skills, "family_of", {"s0": "attention", "s1": "recurrent"}.get)
    group = group_of([{"one": 0.9, "two": 0.3}] * 3)
    rank(group)
    assert [r.skill for r in group.rows[2:]] == pytest.approx([0.3, 0.9, 0.6])
    assert group.rows[2].skill_note == f"one: {skills.OWN_FAMILY}"
    assert families.judges_for("attention") == ("recurrent", "feed-forward")


def test_the_draws_of_the_skill_vary_as_the_mean_of_bounded_skills_does(monkeypatch):
    install(monkeypatch, a=metric(question="notes"), b=metric(question="form"))
    group = group_of([{"a": 0.4, "b": -0.5}])
    rank(group)
    made = group.rows[2]
    scale = {
        name: [r.evidence.draws[name] for r in (made, group.rows[0], group.rows[1])]
        for name in ("a", "b")
    }
    exact = np.mean([skills.bounded((m - f) / (c - f)) for m, f, c in scale.values()], axis=0)
    assert np.std(made.evidence.draws["skill"]) == pytest.approx(np.std(exact), rel=0.05)
    assert made.evidence.draws["skill"].mean() == pytest.approx(made.skill, abs=1e-3)


@pytest.mark.parametrize("name", list(skills.AGGREGATES))
def test_every_aggregate_prefers_what_is_better_by_every_metric(name):
    values = np.array([[0.1, 0.2, -0.4], [0.3, 0.5, 0.0], [0.9, 0.6, 0.8], [0.2, 0.3, -0.3]])
    order = np.argsort(skills.AGGREGATES[name](values, ["notes", "notes", "form"]))
    assert order.tolist() == [0, 3, 1, 2]


def test_grouped_is_the_mean_over_questions_of_the_means_of_their_bounded_skills():
    values = np.array([[0.2, 0.4, -1.0], [np.nan, 0.6, 0.3], [np.nan, np.nan, np.nan]])
    grouped = skills.grouped(values, ["notes", "notes", "form"])
    assert grouped[:2] == pytest.approx([(0.3 - 0.5) / 2, (0.6 + 0.3) / 2])
    assert np.isnan(grouped[2])


def test_the_win_rate_is_the_share_of_comparisons_won():
    values = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, np.nan]])
    # Metric 1: 0, 1, 2 wins of 2; metric 2: the first beats the second.
    assert skills.win_rate(values, ["a", "b"]).tolist() == pytest.approx([1 / 3, 1 / 3, 1.0])


def test_a_backward_row_has_a_skill_without_judges_and_no_rank(monkeypatch):
    install(monkeypatch, judge_x=metric(judge="attention"), b=metric(), c=metric())
    group = group_of(
        [{"judge_x": 0.1, "b": 0.6, "c": 0.8}, {"b": 0.6, "c": 0.8}, {"b": 1.0, "c": 1.0}]
    )
    for place in (3, 4):
        group.rows[place].evidence.backward = True
    rank(group)
    forward, like_it, human = group.rows[2:]
    assert forward.skill == pytest.approx(0.5)
    assert like_it.skill == pytest.approx(0.7)
    assert human.skill == pytest.approx(1.0)
    assert (forward.rank, like_it.rank, human.rank) == (1, None, None)
    assert like_it.skill_note == f"judge_x: {skills.BACKWARD}"
    assert like_it.skill_coverage == "2/3"


def test_a_backward_and_a_forward_row_are_compared_by_the_metrics_of_both(monkeypatch):
    install(monkeypatch, judge_x=metric(judge="attention"), b=metric(), c=metric())
    group = group_of([{"judge_x": 0.1, "b": 0.6, "c": 0.8}, {"b": 0.6, "c": 0.8}])
    group.rows[3].evidence.backward = True
    rank(group)
    forward, backward = group.rows[2:]
    difference = next(d for d in compare(forward, backward) if d.figure == "skill")
    assert (difference.first, difference.second) == pytest.approx((0.7, 0.7))
    assert difference.better == ""
