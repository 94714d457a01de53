import csv
import io

import pytest
from made_up_rows import row

from bench.board.build import build
from bench.board.ratings import fill_ratings
from bench.board.rows import SURVEYED, hash_of, read_csv, to_csv
from bench.board.verify import verify
from bench.jobs.run_folder import JobFolder, RunFolder
from bench.jobs.scores import read_scores
from bench.survey.analysis.agreement import clip_figures, figures_of
from bench.survey.analysis.analyze import analyze
from bench.survey.analysis.results import About, save
from bench.survey.analysis.simulation import survey

EFFECTS = {"human": 8.0, "a": 3.0, "b": 5.0, "anchor": 1.5}
CLOSED = About(name="autumn", state="closed")


@pytest.fixture
def rows():
    """Rows of a board: the rated systems, their anchors, and the same system under two presets."""

    def rated_row(system, preset="quick", anchor=None, polyphony=1.0):
        jobs = f"{system}.toy {system}.quick.seed1" if preset == "quick" else f"{system}.{preset}"
        metrics = {"polyphony": polyphony, "polyphony_gap": None, "x": 1.0}
        return row(system, preset=preset, anchor=anchor, metrics=metrics, jobs=jobs)

    return [
        rated_row("a", polyphony=3.0),
        rated_row("b", polyphony=4.0),
        rated_row("people", anchor=1, polyphony=5.0),
        rated_row("noise", anchor=0, polyphony=6.0),
        rated_row("a", "standard"),
        rated_row("people", "standard", anchor=1),
    ]


def rated(seed=1, **changes):
    return survey(EFFECTS, clips=4, raters=8, seed=seed).assign(simulated=False, **changes)


def cells(rows):
    return {
        (row.system, row.preset): tuple(getattr(row, name) for name in SURVEYED) for row in rows
    }


EMPTY = (None, None, None, None, "")


def test_a_closed_survey_fills_the_rows_whose_samples_were_rated_and_human_music_beside_them(
    rows, tmp_path
):
    results = analyze(rated(), CLOSED)
    save(results, tmp_path)
    fill_ratings(rows, tmp_path)
    found = cells(rows)
    names = {"a": "a", "b": "b", "human": "people"}
    for one in results.studies[0].systems:
        if one.role != "anchor":
            expected = (one.rating.value, one.rating.low, one.rating.high, one.believable.value)
            assert found[names[one.system], "quick"][:4] == pytest.approx(expected, rel=1e-5)
            assert found[names[one.system], "quick"][4] == "autumn"
    for other in (("noise", "quick"), ("a", "standard"), ("people", "standard")):
        assert found[other] == EMPTY


def test_open_simulated_and_foreign_surveys_and_broken_files_leave_the_board_alone(rows, tmp_path):
    for about, ratings in (
        (About(name="open", state="open"), rated()),
        (About(name="demo", state="closed"), rated().assign(simulated=True)),
        (About(name="other", state="closed"), rated(job="another.job")),
    ):
        save(analyze(ratings, about), tmp_path)
    (tmp_path / "surveys" / "broken.json").write_text("{")
    (tmp_path / "surveys" / "odd.json").write_text('{"about": 3}')
    fill_ratings(rows, tmp_path)
    assert set(cells(rows).values()) == {EMPTY}


def test_the_latest_survey_speaks_and_surveys_are_not_averaged(rows, tmp_path):
    for name, date, seed in (("b-first", "2026-01-01", 1), ("a-second", "2026-02-01", 2)):
        about = About(name=name, state="published")
        save(analyze(rated(seed, date=date), about), tmp_path)
    fill_ratings(rows, tmp_path)
    second = analyze(rated(2), CLOSED).studies[0].systems
    expected = next(one for one in second if one.system == "b").rating.value
    rating, *_, name = cells(rows)["b", "quick"]
    assert name == "a-second"
    assert rating == pytest.approx(expected, rel=1e-5)


def test_a_board_of_before_there_were_surveys_can_be_read(rows, tmp_path):
    for each in rows:
        each.row_hash = hash_of(each)
    table = list(csv.reader(io.StringIO(to_csv(rows))))
    keep = [n for n, name in enumerate(table[0]) if name not in SURVEYED]
    assert len(keep) == len(table[0]) - 5
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[line[n] for n in keep] for line in table])
    path = tmp_path / "old.csv"
    path.write_text(out.getvalue())
    assert verify(path, None) == []
    assert read_csv(path).rows[0].human_rating is None


def test_metrics_come_from_the_rows_whose_samples_were_rated(rows):
    table = rated()
    figures, directions = figures_of(rows, table)
    expected = {"a": 3.0, "b": 4.0, "human": 5.0, "anchor": 6.0}
    assert {name: one["polyphony"] for name, one in figures.items()} == expected
    assert directions == {"polyphony": "none"}
    assert figures_of(rows, table.assign(job="another.job")) == ({}, {})


def test_a_run_with_a_closed_survey_has_it_on_its_board_and_gives_metrics_of_clips(home):
    done = home.bench(*home.arguments("noise", "human", "random-chords"))
    assert done.returncode == 0, done.stderr
    runs = RunFolder(home.runs)
    jobs = {row.system: row.jobs for row in build(runs).rows}
    save(analyze(rated(job=jobs["random-chords"]), CLOSED), runs.root)
    shown = home.bench("board", "--out", str(runs.root))
    assert shown.returncode == 0, shown.stderr
    path = runs.root / "leaderboard.csv"
    assert verify(path, runs) == []
    assert to_csv(read_csv(path).rows) == path.read_text()
    rows = {row.system: row for row in read_csv(path).rows}
    assert [rows[name].survey for name in ("random-chords", "human", "noise")] == [
        "autumn",
        "autumn",
        "",
    ]

    # the metrics of single clips, as the job has them
    job = jobs["random-chords"]
    found = clip_figures(runs, {"x": (job, 0), "y": (job, 3), "of a human": ("", 0)})
    per_piece = read_scores(JobFolder(runs.root / "jobs" / job)).per_piece
    assert list(found.index) == ["x", "y"]
    assert set(found) <= set(per_piece)
    assert found.loc["y", "polyphony"] == per_piece["polyphony"][3]
