import json

import numpy as np
import pytest
from lazy import stats
from made_up_rows import row as made_up_row
from made_up_rows import spread

from bench import registry
from bench.board import paper_claims
from bench.jobs.results import JobResult, LikelihoodResult, SnapshotPoint, SnapshotResult
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.music import Score, to_midi
from bench.registry import ClaimBlock

SPREAD = spread(0, 0.1)
CURVE_FIGURES = {"leak_ratio", "train_loss"}  # that systems note in training


def row(system, nats, preset="quick", dataset="jsb", kind="exact", seeds=3, draws=None, **metrics):
    return made_up_row(
        system,
        seeds=seeds,
        preset=preset,
        dataset=dataset,
        budget_share=0.25,
        size="reduced",
        jobs=f"job-{system}",
        nats_per_step=nats,
        likelihood_kind=kind,
        likelihood_object="frames",
        metrics=metrics,
        draws={"nats_per_step": nats + SPREAD * (1 + (system == "b")), **(draws or {})},
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
    assert given.shares == "25.00%, reduced / 25.00%, reduced"


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


def test_a_claim_on_original_keys_is_not_put_to_pieces_that_are_in_c_already(monkeypatch, tmp_path):
    rows = [
        row(system, nats, dataset=dataset)
        for dataset in ("jsb", "chorales", "of-mine")
        for system, nats in (("a", 5.0), ("b", 6.0))
    ]
    given = {each.dataset: each for each in answer(monkeypatch, tmp_path, rows, on="original keys")}
    assert (given["jsb"].verdict, given["jsb"].p) == ("not testable", None)
    assert given["jsb"].note == "the pieces of jsb are in C already"
    assert given["chorales"].verdict == given["of-mine"].verdict == "holds"
    assert {each.verdict for each in answer(monkeypatch, tmp_path, rows)} == {"holds"}


def endings(first, second):
    """Two rows, one of a system that runs backward, with skills by two metrics and a judge."""
    rows = [row("a", 5.0), row("b", 5.0)]
    for each, values in zip(rows, (first, second), strict=True):
        drawn = {name: (value, value + SPREAD) for name, value in values.items()}
        each.evidence.skills = drawn
        each.skill = float(np.mean(list(values.values())))
        each.evidence.draws["skill"] = each.skill + SPREAD
    rows[0].evidence.backward = True
    return rows


def test_the_skill_of_a_backward_system_is_put_beside_that_of_the_same_metrics(
    monkeypatch, tmp_path
):
    rows = endings({"x": 0.5, "y": 0.7}, {"x": 0.5, "y": 0.7, "judge": 0.0})
    (given,) = answer(monkeypatch, tmp_path, rows, by=("skill",))
    assert (given.first, given.second) == pytest.approx((0.6, 0.6))
    assert given.verdict == "not settled"
    assert "endings" in given.note
    assert "without judges" in given.note


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
    ("ours", "verdict"), [(5.0, "holds for these runs"), (7.0, "does not hold for these runs")]
)
def test_with_fewer_than_three_runs_on_a_side_a_claim_holds_for_these_runs(
    monkeypatch, tmp_path, seeds, ours, verdict
):
    rows = [row("a", ours, seeds=seeds), row("b", 6.0)]
    (given,) = answer(monkeypatch, tmp_path, rows)
    assert (given.verdict, given.seeds) == (verdict, seeds)


def test_likelihoods_of_two_kinds_are_never_compared(monkeypatch, tmp_path):
    (given,) = answer(monkeypatch, tmp_path, [row("a", 5.0), row("b", 6.0, kind="estimate")])
    assert (given.verdict, given.p, given.low) == ("not testable", None, None)
    assert given.note == (
        "likelihoods of two kinds are never compared (exact of frames, estimate of frames)"
    )


@pytest.mark.parametrize("expects", ["better", "no different"])
def test_a_figure_without_an_interval_gives_no_verdict(monkeypatch, tmp_path, expects):
    rows = [row("a", 5.0, isl_legacy=-1.0), row("b", 6.0, isl_legacy=-9.0)]
    (given,) = answer(monkeypatch, tmp_path, rows, by=("isl_legacy",), expects=expects)
    assert given.note == "isl_legacy has no interval"
    assert (given.verdict, given.p) == ("not settled", None)


def samples(tmp_path, system, pitches, count=10):
    """MIDI files under a row's job: so many of one note, the others of a scale."""
    folder = tmp_path / "jobs" / f"job-{system}" / "samples"
    folder.mkdir(parents=True)
    for number in range(count):
        own = pitches[number % len(pitches)]
        steps = np.arange(len(own))
        score = Score.from_notes(steps, np.ones(len(own), int), np.array(own, int)).pad(16)
        (folder / f"{number:03d}.mid").write_bytes(to_midi(score))


FINE, ONE_PITCH, OCTAVES, SILENT = [60, 62, 64], [60, 60, 60], [48, 60, 72], []


@pytest.mark.parametrize("pitches", [ONE_PITCH, OCTAVES, SILENT])
def test_a_description_of_degenerate_samples_answers_nothing(monkeypatch, tmp_path, pitches):
    samples(tmp_path, "a", [pitches])
    samples(tmp_path, "b", [FINE])
    rows = [
        row("a", 5.0, on_key=1.0, draws={"on_key": 1 + SPREAD / 50}),
        row("b", 6.0, on_key=0.5, draws={"on_key": 0.5 + SPREAD / 60}),
    ]
    asked = {"by": ("on_key",), "expects": "higher"}
    (given,) = answer(monkeypatch, tmp_path, rows, **asked)
    assert (given.verdict, given.p) == ("not testable", None)
    assert given.note.startswith("100% of a's samples are silent or of one pitch class")
    (given,) = answer(monkeypatch, tmp_path, rows, **asked, of_silence=True)
    assert given.verdict == "holds"


@pytest.mark.parametrize(("skill", "verdict"), [(0.1, "does not hold"), (0.9, "not testable")])
def test_degenerate_samples_may_be_worse_but_are_never_better(
    monkeypatch, tmp_path, skill, verdict
):
    samples(tmp_path, "a", [SILENT])
    samples(tmp_path, "b", [FINE])
    rows = [
        row("a", 5.0, draws={"skill": SPREAD / 50}),
        row("b", 6.0, draws={"skill": SPREAD / 60}),
    ]
    rows[0].skill, rows[1].skill = skill, 0.5
    (given,) = answer(monkeypatch, tmp_path, rows, by=("skill",))
    assert given.verdict == verdict


def test_a_few_poor_samples_are_not_degenerate(monkeypatch, tmp_path):
    samples(tmp_path, "a", [SILENT, *[FINE] * 9])
    rows = [
        row("a", 5.0, on_key=1.0, draws={"on_key": 1 + SPREAD / 50}),
        row("b", 6.0, on_key=0.5, draws={"on_key": 0.5 + SPREAD / 60}),
    ]
    (given,) = answer(monkeypatch, tmp_path, rows, by=("on_key",), expects="higher")
    assert given.verdict == "holds"


def test_many_questions_make_each_answer_more_careful(monkeypatch, tmp_path):
    gap = 2.3 * float(np.std(SPREAD))  # alone p is about .02
    rows = [row("a", 5.0), row("b", 5.0 + gap)]
    (alone,) = answer(monkeypatch, tmp_path, rows)
    many = rows + [row(s, 5.0, dataset=f"set{n}") for n in range(9) for s in "ab"]
    among = next(a for a in answer(monkeypatch, tmp_path, many) if a.dataset == "jsb")
    assert (alone.verdict, among.verdict) == ("holds", "not settled")


def noted(monkeypatch, tmp_path, values, than=1.0):
    """The answer by what so many training runs recorded last."""
    for number, value in enumerate(values):
        curves = tmp_path / "jobs" / f"run-{number}" / "metrics.jsonl"
        curves.parent.mkdir(parents=True)
        lines = [{"step": 1, "leak_ratio": 1.0}, {"step": 2, "leak_ratio": value}, {"step": 3}]
        curves.write_text("\n".join(map(json.dumps, lines)) + '\n{"torn')
    a = row("a", 5.0, seeds=len(values))
    a.jobs = " ".join(f"run-{number}" for number in range(len(values)))
    claim = {"second": "", "by": ("leak_ratio",), "expects": "above", "than": than}
    (given,) = answer(monkeypatch, tmp_path, [a], **claim)
    return given


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([7.5, 7.4, 7.7], "holds"),
        ([0.5, 0.4, 0.45], "does not hold"),
        ([1.5, 0.9, 1.2], "not settled"),
        ([1.2, 1.2, 1.2], "holds"),
        ([7.5, 7.6], "not settled"),
        ([7.5], "not settled"),
    ],
)
def test_what_was_recorded_in_training_needs_three_runs_and_a_standard_error(
    monkeypatch, tmp_path, values, verdict
):
    given = noted(monkeypatch, tmp_path, values)
    assert given.first == pytest.approx(np.mean(values))
    assert (given.verdict, given.seeds) == (verdict, len(values))
    assert (given.p is None) == (len(values) < 3)


def test_its_interval_is_that_of_a_t_test(monkeypatch, tmp_path):
    values = [1.5, 0.9, 1.2, 1.4]
    given = noted(monkeypatch, tmp_path, values)
    test = stats.ttest_1samp(values, 1.0)
    assert given.p == pytest.approx(test.pvalue)
    ends = test.confidence_interval(0.95)
    assert (given.low + 1, given.high + 1) == pytest.approx((ends.low, ends.high))


def test_every_claim_of_the_suite_can_be_asked_or_says_why_not():
    known = registry.systems()
    figures = {"nats_per_step", "frame_accuracy", "skill", *registry.metrics()} | CURVE_FIGURES
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
        alone = claim.than is not None or claim.along == "snapshots"
        assert bool(claim.second) != alone
        if claim.along:  # curves are neither better nor worse
            snapshots = claim.along == "snapshots" and claim.expects in ("better", "worse")
            assert snapshots or claim.expects in ("higher", "lower")


def curves_of(tmp_path, system, runs, late, noise=0.1):
    """Curves of so many runs, which are at `late` at their end, and other values before."""
    rng = np.random.default_rng(len(system) + runs)
    jobs = []
    for number in range(runs):
        jobs.append(f"{system}-{number}")
        curves = tmp_path / "jobs" / jobs[-1] / "metrics.jsonl"
        curves.parent.mkdir(parents=True)
        steps = range(1, 201)
        values = [late if step > 170 else 50 - late for step in steps]
        noisy = values + rng.normal(0, noise, 200) + rng.normal(0, noise)
        points = [{"step": s, "train_loss": float(v)} for s, v in zip(steps, noisy, strict=True)]
        curves.write_text("\n".join(map(json.dumps, points)))
    made = row(system, 5.0, seeds=runs)
    made.jobs = " ".join(jobs)
    return made


ON_CURVES = {"by": ("train_loss",), "expects": "lower", "along": "curves"}


@pytest.mark.parametrize(
    ("runs", "late", "verdict"),
    [
        (3, 6.0, "holds"),
        (3, 4.0, "does not hold"),
        (1, 6.0, "holds for these runs"),
        (1, 4.0, "does not hold for these runs"),
        (1, 5.0, "not settled"),
    ],
)
def test_curves_are_compared_at_their_end_run_by_run_or_for_these_runs(
    monkeypatch, tmp_path, runs, late, verdict
):
    noise = 0.1 if late != 5.0 else 3.0
    rows = [curves_of(tmp_path, "a", runs, 5.0, noise), curves_of(tmp_path, "b", runs, late, noise)]
    (given,) = answer(monkeypatch, tmp_path, rows, **ON_CURVES)
    assert (given.verdict, given.seeds) == (verdict, runs)
    assert given.first == pytest.approx(5.0, abs=1.5 if noise > 1 else 0.3)


def test_the_test_of_curves_is_welchs(monkeypatch, tmp_path):
    rows = [curves_of(tmp_path, "a", 1, 5.0), curves_of(tmp_path, "b", 1, 6.0, 0.5)]
    (given,) = answer(monkeypatch, tmp_path, rows, **ON_CURVES)
    x, y = (
        paper_claims.end_of(JobFolder(tmp_path / "jobs" / f"{name}-0"), "train_loss")
        for name in "ab"
    )
    assert len(x) == len(y) == 30
    test = stats.ttest_ind(x, y, equal_var=False)
    ends = test.confidence_interval(0.95)
    assert given.p == pytest.approx(test.pvalue)
    assert (given.low, given.high) == pytest.approx((ends.low, ends.high))


def test_without_curves_nothing_was_run(monkeypatch, tmp_path):
    (given,) = answer(monkeypatch, tmp_path, [row("a", 5.0), row("b", 6.0)], **ON_CURVES)
    assert given.verdict == "not run"


def kept_snapshots(monkeypatch, tmp_path, firsts, last=4.0):
    """The answer by runs that were at these nats at their first snapshot, and at their end."""
    jobs = []
    for number, first in enumerate(firsts):
        points = [SnapshotPoint(update=5, nats_per_step=first), SnapshotPoint(update=10)]
        folder = JobFolder(tmp_path / "jobs" / f"run-{number}")
        folder.path.mkdir(parents=True)
        nats = LikelihoodResult(nats=(-(last + number / 50) * 8,), steps=(8,), notes=(3,))
        snapshots = SnapshotResult(asked=3, points=points) if first else None
        folder.write_result(JobResult(likelihood=nats, snapshots=snapshots))
        jobs.append(folder.path.name)
    made = row("a", last, seeds=len(jobs))
    made.jobs = " ".join(jobs)
    (given,) = answer(monkeypatch, tmp_path, [made], second="", along="snapshots")
    return given


@pytest.mark.parametrize(
    ("firsts", "verdict"),
    [
        ([9.0, 8.9, 9.1], "holds"),
        ([3.0, 2.9, 3.1], "does not hold"),
        ([3.0, 6.0, 4.5], "not settled"),
        ([9.0, 8.9], "not settled"),
        ([None, None, None], "not run"),
    ],
)
def test_a_system_is_compared_with_itself_at_its_first_snapshot(
    monkeypatch, tmp_path, firsts, verdict
):
    given = kept_snapshots(monkeypatch, tmp_path, firsts)
    assert given.verdict == verdict
    if firsts[0] is None:
        assert "--snapshots" in given.note
    else:
        assert given.second == pytest.approx(np.mean(firsts))
    if len(firsts) == 2:
        assert "needs 3 training runs with snapshots" in given.note


def test_a_row_that_an_earlier_version_of_its_system_made_is_named():
    made = made_up_row("tonicnet", size="full", budget_share=None)
    made.evidence.source = registry.source_hash(registry.systems()["tonicnet"])
    assert paper_claims.share_of(made) == "none named"
    made.evidence.source = "version 1"
    assert paper_claims.share_of(made) == "none named, an earlier version"
