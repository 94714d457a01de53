import json

import numpy as np
import pytest

from bench import registry
from bench.board import paper_claims
from bench.board.build import Entry, Row
from bench.jobs.run_folder import Store
from bench.registry import ClaimBlock

SPREAD = np.random.default_rng(0).normal(scale=0.1, size=2000)
CURVE_FIGURES = {"leak_ratio", "prompt_copy_rate"}  # that systems note in training


def row(system, nats, preset="quick", dataset="jsb", kind="exact", variant="corrected", **cells):
    return Entry(
        Row(
            system=system, kind="paper", variant=variant, dataset=dataset, dataset_version=1,
            preset=preset, status="ok", seeds=1, pieces=4, steps=32, prompted=True, budget=5,
            budget_unit="updates", budget_share=0.25, device="cpu", dataset_fingerprint="f",
            jobs=f"job-{system}", nats_per_step=nats, likelihood_kind=kind,
            likelihood_object="frames", size="reduced",
        ),
        dict(cells), {"nats_per_step": nats + SPREAD * (1 + (system == "b"))}, None,
    )  # fmt: skip


def answer(monkeypatch, tmp_path, entries, **fields):
    block = {
        "says": "a beats b.",
        "paper": "P",
        "first": "a",
        "second": "b",
        "by": ("nats_per_step",),
    }
    monkeypatch.setattr(registry, "claims", lambda: [ClaimBlock(**block | fields)])
    return paper_claims.answers(entries, Store(tmp_path))


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
    (found,) = answer(monkeypatch, tmp_path, [row("a", ours), row("b", theirs)], expects=expects)
    assert found.verdict == verdict
    assert (found.first, found.second) == (ours, theirs)
    assert found.low < ours - theirs < found.high
    assert found.shares == "25.0%, reduced / 25.0%, reduced"


def test_the_dearest_preset_answers_and_each_data_set_for_itself(monkeypatch, tmp_path):
    entries = [
        row("a", 5.0, "standard"), row("b", 6.0, "standard"), row("a", 9.0), row("b", 6.0),
        row("a", 9.0, dataset="nottingham"), row("b", 6.0, dataset="nottingham"),
    ]  # fmt: skip
    found = {one.dataset: one for one in answer(monkeypatch, tmp_path, entries)}
    assert (found["jsb"].preset, found["jsb"].verdict) == ("standard", "holds")
    assert found["nottingham"].verdict == "does not hold"


def test_a_dearer_row_of_one_alone_does_not_hide_what_both_ran(monkeypatch, tmp_path):
    entries = [row("a", 5.0), row("b", 6.0), row("b", 4.0, "standard")]
    (found,) = answer(monkeypatch, tmp_path, entries)
    assert (found.preset, found.verdict, found.second) == ("quick", "holds", 6.0)


def test_rows_of_different_presets_answer_nothing(monkeypatch, tmp_path):
    (found,) = answer(monkeypatch, tmp_path, [row("a", 5.0, "standard"), row("b", 6.0)])
    assert (found.verdict, found.note) == ("not run", "no comparable rows of a and b")


def test_likelihoods_of_two_kinds_are_compared_with_a_word_of_caution(monkeypatch, tmp_path):
    (found,) = answer(monkeypatch, tmp_path, [row("a", 5.0), row("b", 6.0, kind="estimate")])
    assert (found.verdict, found.note) == ("holds", "likelihoods: estimate and exact")


def test_a_figure_without_resamples_is_answered_by_its_sign_and_says_so(monkeypatch, tmp_path):
    entries = [row("a", 5.0, isl_legacy=-1.0), row("b", 6.0, isl_legacy=-9.0)]
    (found,) = answer(monkeypatch, tmp_path, entries, by=("isl_legacy",))
    assert (found.verdict, found.p, found.note) == ("holds", None, "isl_legacy has no interval")
    by_sign = {"by": ("isl_legacy",), "expects": "no different"}
    (found,) = answer(monkeypatch, tmp_path, entries, **by_sign)
    assert found.verdict == "not settled"


def test_many_questions_make_each_answer_more_careful(monkeypatch, tmp_path):
    gap = 2.3 * float(np.std(SPREAD))  # alone p is about .02
    entries = [row("a", 5.0), row("b", 5.0 + gap)]
    (alone,) = answer(monkeypatch, tmp_path, entries)
    many = entries + [row(s, 5.0, dataset=f"set{n}") for n in range(9) for s in "ab"]
    among = next(one for one in answer(monkeypatch, tmp_path, many) if one.dataset == "jsb")
    assert (alone.verdict, among.verdict) == ("holds", "not settled")


def test_what_a_system_noted_in_training_answers_too(monkeypatch, tmp_path):
    curves = tmp_path / "jobs" / "job-a" / "metrics.jsonl"
    curves.parent.mkdir(parents=True)
    lines = [{"step": 1, "leak_ratio": 1.0}, {"step": 2, "leak_ratio": 7.5}, {"step": 3}]
    curves.write_text("\n".join(map(json.dumps, lines)) + '\n{"torn')
    claim = {"second": "", "by": ("leak_ratio",), "expects": "above", "than": 1.0}
    (found,) = answer(monkeypatch, tmp_path, [row("a", 5.0)], **claim)
    assert (found.verdict, found.first, found.seeds) == ("holds", 7.5, 1)


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
