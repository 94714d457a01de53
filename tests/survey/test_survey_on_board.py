import csv
import io

import pytest

from bench.board import build as board
from bench.board.build import Entry, Row
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.jobs.scores import read_arrays
from bench.survey.analysis.agreement import clip_figures, figures_of
from bench.survey.analysis.analyze import analyze
from bench.survey.analysis.results import About, save
from bench.survey.analysis.simulation import survey

EFFECTS = {"human": 8.0, "a": 3.0, "b": 5.0, "anchor": 1.5}
CLOSED = About(name="autumn", state="closed")


@pytest.fixture
def entries():
    """Rows of a board: the rated systems, their anchors, and the same system under two presets."""

    def entry(system, preset="quick", anchor=None, polyphony=1.0):
        row = Row(
            system=system, kind="paper", variant="corrected", dataset="toy", dataset_version=1,
            preset=preset, status="ok", seeds=1, pieces=4, steps=32, prompted=True, budget=1,
            budget_unit="updates", device="cpu", dataset_fingerprint="f",
            jobs=f"{system}.toy {system}.{preset}.seed1",
        )  # fmt: skip
        if preset != "quick":
            row.jobs = f"{system}.{preset}"
        return Entry(row, {"polyphony": polyphony, "polyphony_gap": None, "x": 1.0}, {}, anchor)

    return [
        entry("a", polyphony=3.0),
        entry("b", polyphony=4.0),
        entry("people", anchor=1, polyphony=5.0),
        entry("noise", anchor=0, polyphony=6.0),
        entry("a", "standard"),
        entry("people", "standard", anchor=1),
    ]


def rated(seed=1, **changes):
    return survey(EFFECTS, clips=4, raters=8, seed=seed).assign(simulated=False, **changes)


def cells(entries):
    return {
        (one.row.system, one.row.preset): tuple(getattr(one.row, name) for name in board.SURVEYED)
        for one in entries
    }


EMPTY = (None, None, None, None, "")


def test_a_closed_survey_fills_the_rows_whose_samples_were_rated_and_human_music_beside_them(
    entries, tmp_path
):
    results = analyze(rated(), CLOSED)
    save(results, tmp_path)
    board.listeners(entries, tmp_path)
    found = cells(entries)
    rows = {"a": "a", "b": "b", "human": "people"}
    for one in results.studies[0].systems:
        if one.role != "anchor":
            expected = (one.rating.value, one.rating.low, one.rating.high, one.believable.value)
            assert found[rows[one.system], "quick"][:4] == pytest.approx(expected, rel=1e-5)
            assert found[rows[one.system], "quick"][4] == "autumn"
    for other in (("noise", "quick"), ("a", "standard"), ("people", "standard")):
        assert found[other] == EMPTY


def test_open_simulated_and_foreign_surveys_and_broken_files_leave_the_board_alone(
    entries, tmp_path
):
    for about, ratings in (
        (About(name="open", state="open"), rated()),
        (About(name="demo", state="closed"), rated().assign(simulated=True)),
        (About(name="other", state="closed"), rated(job="another.job")),
    ):
        save(analyze(ratings, about), tmp_path)
    (tmp_path / "surveys" / "broken.json").write_text("{")
    (tmp_path / "surveys" / "odd.json").write_text('{"about": 3}')
    board.listeners(entries, tmp_path)
    assert set(cells(entries).values()) == {EMPTY}


def test_the_latest_survey_speaks_and_surveys_are_not_averaged(entries, tmp_path):
    for name, date, seed in (("b-first", "2026-01-01", 1), ("a-second", "2026-02-01", 2)):
        about = About(name=name, state="published")
        save(analyze(rated(seed, date=date), about), tmp_path)
    board.listeners(entries, tmp_path)
    second = analyze(rated(2), CLOSED).studies[0].systems
    expected = next(one for one in second if one.system == "b").rating.value
    rating, *_, name = cells(entries)["b", "quick"]
    assert name == "a-second"
    assert rating == pytest.approx(expected, rel=1e-5)


def test_a_board_of_before_there_were_surveys_can_be_read(entries, tmp_path):
    for one in entries:
        one.row.row_hash = board.hash_of(one.flat())
    table = list(csv.reader(io.StringIO(board.to_csv([one.flat() for one in entries]))))
    keep = [n for n, name in enumerate(table[0]) if name not in board.SURVEYED]
    assert len(keep) == len(table[0]) - 5
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[line[n] for n in keep] for line in table])
    path = tmp_path / "old.csv"
    path.write_text(out.getvalue())
    assert board.verify(path, None) == []
    assert board.read_csv(path)[0]["human_rating"] is None


def test_metrics_come_from_the_rows_whose_samples_were_rated(entries):
    table = rated()
    figures, directions = figures_of(entries, table)
    expected = {"a": 3.0, "b": 4.0, "human": 5.0, "anchor": 6.0}
    assert {name: one["polyphony"] for name, one in figures.items()} == expected
    assert directions == {"polyphony": "none"}
    assert figures_of(entries, table.assign(job="another.job")) == ({}, {})


def test_a_run_with_a_closed_survey_has_it_on_its_board_and_gives_metrics_of_clips(home):
    done = home.bench(*home.arguments("noise", "human", "random-chords"))
    assert done.returncode == 0, done.stderr
    store = RunFolder(home.runs)
    jobs = {one.row.system: one.row.jobs for one in board.build(store)}
    save(analyze(rated(job=jobs["random-chords"]), CLOSED), store.root)
    shown = home.bench("board", "--out", str(store.root))
    assert shown.returncode == 0, shown.stderr
    path = store.root / "leaderboard.csv"
    assert board.verify(path, store) == []
    assert board.to_csv(board.read_csv(path)) == path.read_text()
    rows = {row["system"]: row for row in board.read_csv(path)}
    assert [rows[name]["survey"] for name in ("random-chords", "human", "noise")] == [
        "autumn",
        "autumn",
        "",
    ]

    # the metrics of single clips, as the job has them
    job = jobs["random-chords"]
    found = clip_figures(store, {"x": (job, 0), "y": (job, 3), "of a human": ("", 0)})
    arrays = read_arrays(JobFolder(store.root / "jobs" / job))
    assert list(found.index) == ["x", "y"]
    assert {f"{name}.per_piece" for name in found} <= set(arrays)
    assert found.loc["y", "polyphony"] == arrays["polyphony.per_piece"][3]
