import json

import numpy as np
import pytest
from made_up_rows import row as made_up_row
from made_up_rows import spread

from bench import registry
from bench.board import paper_claims
from bench.jobs.run_folder import RunFolder
from bench.registry import ClaimBlock

SPREAD = spread(0, 0.1)
CURVE_FIGURES = {"leak_ratio", "prompt_copy_rate"}  # that systems note in training


def row(system, nats, preset="quick", dataset="jsb", kind="exact", **metrics):
    return made_up_row(
        system,
        preset=preset,
        dataset=dataset,
        budget_share=0.25,
        size="reduced",
        jobs=f"job-{system}",
        nats_per_step=nats,
        likelihood_kind=kind,
        likelihood_object="frames",
        metrics=metrics,
        draws={"nats_per_step": nats + SPREAD * (1 + (system == "b"))},
    )


def answer(monkeypatch, tmp_path, rows, **fields):
    block = {
        "says": "a beats b.",
        "paper": "P",
        "first": "a",
        "second": "b",
        "by": ("nats_per_step",),
    }
    monkeypatch.setattr(registry, "claims", lambda: [ClaimBlock(**block | fields)])
    return paper_claims.answers(rows, RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("ours", "theirs", "expects", "verdict"),
    [
        (5.0, 6.0, "better", "holds"),  # nats: lower is better
        (6.0, 5.0, "better", "does not hold"),
        (6.0, 5.0, "worse", "holds"),
        (6.0, 5.0, "higher", "holds"),
        (5.0, 6.0, "higher", "does not hold"),
        (5.0, 5.01, "better", "not settled"),
        (5.0, 5.01, "no different", "no difference seen"),
        (5.0, 6.0, "no different", "does not hold"),
    ],
)
def test_a_claim_holds_or_not_only_where_two_systems_differ_beyond_chance(
    monkeypatch, tmp_path, ours, theirs, expects, verdict
):
    (given,) = answer(monkeypatch, tmp_path, [row("a", ours), row("b", theirs)], expects=expects)
    assert given.verdict == verdict
    assert (given.first, given.second) == (ours, theirs)
    assert given.low < ours - theirs < given.high
    assert given.shares == "25.0%, reduced / 25.0%, reduced"


def test_the_dearest_preset_answers_and_each_data_set_for_itself(monkeypatch, tmp_path):
    rows = [
        row("a", 5.0, "standard"), row("b", 6.0, "standard"), row("a", 9.0), row("b", 6.0),
        row("a", 9.0, dataset="nottingham"), row("b", 6.0, dataset="nottingham"),
    ]  # fmt: skip
    by_data = {each.dataset: each for each in answer(monkeypatch, tmp_path, rows)}
    assert (by_data["jsb"].preset, by_data["jsb"].verdict) == ("standard", "holds")
    assert by_data["nottingham"].verdict == "does not hold"


def test_a_dearer_row_of_one_alone_does_not_hide_what_both_ran(monkeypatch, tmp_path):
    rows = [row("a", 5.0), row("b", 6.0), row("b", 4.0, "standard")]
    (given,) = answer(monkeypatch, tmp_path, rows)
    assert (given.preset, given.verdict, given.second) == ("quick", "holds", 6.0)


def test_rows_of_different_presets_answer_nothing(monkeypatch, tmp_path):
    (given,) = answer(monkeypatch, tmp_path, [row("a", 5.0, "standard"), row("b", 6.0)])
    assert (given.verdict, given.note) == ("not run", "no comparable rows of a and b")


def test_likelihoods_of_two_kinds_are_compared_with_a_word_of_caution(monkeypatch, tmp_path):
    (given,) = answer(monkeypatch, tmp_path, [row("a", 5.0), row("b", 6.0, kind="estimate")])
    assert (given.verdict, given.note) == ("holds", "likelihoods: estimate and exact")


def test_a_figure_without_resamples_is_answered_by_its_sign_and_says_so(monkeypatch, tmp_path):
    rows = [row("a", 5.0, isl_legacy=-1.0), row("b", 6.0, isl_legacy=-9.0)]
    (given,) = answer(monkeypatch, tmp_path, rows, by=("isl_legacy",))
    assert (given.verdict, given.p, given.note) == ("holds", None, "isl_legacy has no interval")
    by_sign = {"by": ("isl_legacy",), "expects": "no different"}
    (given,) = answer(monkeypatch, tmp_path, rows, **by_sign)
    assert given.verdict == "not settled"


def test_many_questions_make_each_answer_more_careful(monkeypatch, tmp_path):
    gap = 2.3 * float(np.std(SPREAD))  # alone p is about .02
    rows = [row("a", 5.0), row("b", 5.0 + gap)]
    (alone,) = answer(monkeypatch, tmp_path, rows)
    many = rows + [row(s, 5.0, dataset=f"set{n}") for n in range(9) for s in "ab"]
    among = next(a for a in answer(monkeypatch, tmp_path, many) if a.dataset == "jsb")
    assert (alone.verdict, among.verdict) == ("holds", "not settled")


def test_what_a_system_noted_in_training_answers_too(monkeypatch, tmp_path):
    curves = tmp_path / "jobs" / "job-a" / "metrics.jsonl"
    curves.parent.mkdir(parents=True)
    lines = [{"step": 1, "leak_ratio": 1.0}, {"step": 2, "leak_ratio": 7.5}, {"step": 3}]
    curves.write_text("\n".join(map(json.dumps, lines)) + '\n{"torn')
    claim = {"second": "", "by": ("leak_ratio",), "expects": "above", "than": 1.0}
    (given,) = answer(monkeypatch, tmp_path, [row("a", 5.0)], **claim)
    assert (given.verdict, given.first, given.seeds) == ("holds", 7.5, 1)


def test_every_claim_of_the_suite_can_be_asked_or_says_why_not():
    known = registry.systems()
    figures = {"nats_per_step", "skill", *registry.metrics()} | CURVE_FIGURES
    for claim in registry.claims():
        assert claim.says.endswith((".", "?"))
        assert claim.published
        if claim.untestable:
            continue
        for name in filter(None, (claim.first, claim.second)):
            system, _, variant = name.partition(":")
            assert (variant or "corrected") in known[system].variants(), name
        assert claim.by
        assert set(claim.by) <= figures
        assert bool(claim.second) != (claim.than is not None)
