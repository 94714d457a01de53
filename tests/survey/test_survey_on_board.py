import pytest

from bench import board
from bench.store import Store
from bench.survey.agreement import clip_figures, figures_of
from bench.survey.analysis import analyze
from bench.survey.results import About, save
from bench.survey.simulation import survey

SYSTEMS = ("noise", "human", "random-chords", "markov-chain")
EFFECTS = {"human": 8.0, "random-chords": 3.0, "markov-chain": 5.0, "anchor": 1.5}
CELLS = ("human_rating", "human_rating_low", "human_rating_high", "believability", "survey")


@pytest.fixture
def run(home):
    done = home.bench(*home.arguments(*SYSTEMS))
    assert done.returncode == 0, done.stderr
    return Store(home.runs)


def rated(store, seed=1, **changes):
    """Ratings of the samples of a run."""
    jobs = {one.row.system: one.row.jobs for one in board.build(store)}
    table = survey(EFFECTS, clips=4, raters=8, seed=seed)
    job = table["system"].map(jobs).where(table["role"] == "system", "")
    return table.assign(job=job, preset="smoke", simulated=False, **changes)


def test_a_closed_survey_is_on_the_board_and_the_board_still_verifies(run, home):
    before = {one.row.system: one.row for one in board.build(run)}
    assert all(getattr(row, name) in (None, "") for row in before.values() for name in CELLS)
    results = analyze(rated(run), About(name="autumn", state="closed"))
    save(results, run.root)
    after = {one.row.system: one.row for one in board.build(run)}
    for system in results.studies[0].systems:
        if system.role != "anchor":
            row = after[system.system]
            assert row.human_rating == pytest.approx(system.rating.value, rel=1e-5)
            assert row.human_rating_low == pytest.approx(system.rating.low, rel=1e-5)
            assert row.human_rating_high == pytest.approx(system.rating.high, rel=1e-5)
            assert row.believability == pytest.approx(system.believable.value, rel=1e-5)
            assert row.survey == "autumn"
            assert row.row_hash != before[system.system].row_hash
    assert after["noise"] == before["noise"]

    shown = home.bench("board", "--out", str(run.root))
    assert shown.returncode == 0, shown.stderr
    path = run.root / "leaderboard.csv"
    assert board.verify(path, run) == []
    assert board.to_csv(board.read_csv(path)) == path.read_text()
    rows = {row["system"]: row for row in board.read_csv(path)}
    assert rows["human"]["survey"] == "autumn"


def test_open_simulated_and_foreign_surveys_and_broken_files_leave_the_board_alone(run):
    before = [one.flat() for one in board.build(run)]
    table = rated(run)
    for name, about, ratings in (
        ("open", About(name="open", state="open"), table),
        ("demo", About(name="demo", state="closed"), table.assign(simulated=True)),
        ("other", About(name="other", state="closed"), table.assign(job="another.job")),
    ):
        save(analyze(ratings, about), run.root)
        assert [one.flat() for one in board.build(run)] == before, name
    (run.root / "surveys" / "broken.json").write_text("{")
    assert [one.flat() for one in board.build(run)] == before


def test_the_latest_survey_speaks_and_surveys_are_not_averaged(run):
    for name, date, seed in (("b-first", "2026-01-01", 1), ("a-second", "2026-02-01", 2)):
        save(analyze(rated(run, seed, date=date), About(name=name, state="closed")), run.root)
    rows = {one.row.system: one.row for one in board.build(run)}
    second = analyze(rated(run, 2), About(name="x", state="closed")).studies[0].systems
    assert rows["markov-chain"].survey == "a-second"
    expected = next(s for s in second if s.system == "markov-chain").rating.value
    assert rows["markov-chain"].human_rating == pytest.approx(expected, rel=1e-5)


def test_a_board_of_before_there_were_surveys_can_be_read(run, tmp_path):
    path = tmp_path / "old.csv"
    rows = [one.flat() for one in board.build(run)]
    old = [{k: v for k, v in row.items() if k not in CELLS} for row in rows]
    text = board.to_csv(old)
    head, *lines = text.splitlines()
    keep = [n for n, name in enumerate(head.split(",")) if name not in CELLS]
    assert len(keep) == len(head.split(",")) - len(CELLS)
    import csv
    import io

    table = [[line[n] for n in keep] for line in csv.reader(io.StringIO(text))]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    path.write_text(out.getvalue())
    assert board.verify(path, run) == []


def test_metrics_are_taken_from_the_rows_whose_samples_were_rated(run):
    table = rated(run).assign(name="")
    entries = board.build(run)
    figures, directions = figures_of(entries, table)
    cells = {one.row.system: one.cells for one in entries}
    assert set(figures) == set(EFFECTS)
    for name, row in (("markov-chain", "markov-chain"), ("human", "human"), ("anchor", "noise")):
        assert figures[name]["polyphony"] == cells[row]["polyphony"]
    assert directions["polyphony"] == "none"
    assert directions["polyphony_gap"] == "lower"
    assert figures_of(entries, table.assign(job="another.job")) == ({}, {})

    job = next(one.row.jobs for one in entries if one.row.system == "markov-chain")
    of_clips = clip_figures(run, {"one": (job, 0), "two": (job, 3), "human": ("", 0)})
    assert list(of_clips.index) == ["one", "two"]
    assert of_clips.loc["two", "polyphony"] > 0
