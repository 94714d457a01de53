"""The dashboard over the published board: what is not handed out is explained, nothing fails."""

import io
import json
import zipfile

import pytest
from lazy import Library, apps
from synthetic import no_data

from bench.board import archive as archives
from bench.board.rows import read_csv
from bench.jobs.run_folder import RunFolder
from bench.music import from_midi
from dashboards.serve import APP
from dashboards.views import job as job_view

sources = Library("dashboards.views.sources")


@pytest.fixture
def shown(finished, looking_at, tmp_path, monkeypatch):
    """Opens a page over a board as it is published, with or without the data set beside."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))  # not that of whoever runs tests
    table, archive = archives.publish(RunFolder(finished / "runs"), tmp_path / "wheel")
    monkeypatch.setattr(archives, "shipped", lambda: table)

    def look(page, *, data=True, **address):
        places = {"BENCH_CACHE_DIR": tmp_path / "cache"}
        if not data:
            places["BENCH_DATA_DIR"] = tmp_path
            monkeypatch.setattr("bench.data.load", no_data)  # the built-in one takes long to read
        looking_at(finished, **places)
        monkeypatch.setenv("BENCH_RUNS", str(archives.unpacked(archive)))
        app = apps.AppTest.from_file(str(APP), default_timeout=60).run()
        if page != "leaderboard.py":
            app.switch_page(page)
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, [f"{e.value}\n{e.stack_trace}" for e in app.exception]
        assert "Board: the published board" in said(app)
        return app

    return look


def said(app):
    kinds = (app.caption, app.markdown, app.info, app.warning, app.error)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def test_the_published_board_has_the_rows_that_came_with_the_suite(shown):
    app = shown("leaderboard.py")
    rows = read_csv(archives.shipped()).rows
    table = app.dataframe[0].value
    assert set(table["system"]) == {row.system for row in rows} >= {"human", "markov-chain"}
    assert "There is no leaderboard" not in said(app)
    assert "published/" not in said(app)


def test_human_music_is_not_handed_out_but_comes_from_the_data_set(shown):
    app = shown("model.py", system="human")
    assert "All 6 samples in the order" in said(app)
    assert "gone or changed" not in said(app)
    alone = shown("model.py", system="human", data=False)
    assert "The samples of human music are the data set itself" in said(alone)
    assert not alone.error
    compared = shown("compare.py", systems=["human", "markov-chain"], data=False)
    assert "human has no such sample: The samples of human music" in said(compared)


def test_music_of_the_data_set_counts_only_if_it_is_what_was_scored(finished, tmp_path):
    source = next((finished / "runs" / "jobs").glob("human.toy.smoke.s0.*"))
    folder = job_view.JobFolder(tmp_path / source.name)
    folder.path.mkdir()
    for name in ("job.json", "result.json"):
        (folder.path / name).write_bytes((source / name).read_bytes())
    truth = [from_midi(path) for path in sorted((source / "samples").glob("*.mid"))]
    assert job_view.samples_of(folder, truth).scores == tuple(truth)
    assert job_view.samples_of(folder, truth[1:] + truth[:1]) is None
    assert job_view.samples_of(folder) is None


@pytest.mark.parametrize("page", ["live.py", "measures.py", "pieces.py", "survey_results.py"])
def test_every_other_page_opens_over_the_published_board(page, shown):
    app = shown(page, data=False)
    assert not app.error
    if page == "live.py":
        assert "the jobs behind the published board" in said(app)


@pytest.mark.parametrize("part", ["Figures", "Training", "Map", "Card"])
def test_every_part_of_a_model_opens_without_saved_systems(part, shown):
    app = shown("model.py", system="random-chords", part=part, data=False)
    assert not app.error


def test_the_zip_holds_every_sample_as_it_was_made(finished):
    folders = sorted((finished / "runs" / "jobs").glob("markov-chain.toy.smoke.*"))
    made = [job_view.samples_of(job_view.JobFolder(path)) for path in folders]
    packed = job_view.archive_of(made)
    assert packed == job_view.archive_of(made)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert len(archive.namelist()) == sum(len(one.scores) for one in made) == 12
        for path, one in zip(folders, made, strict=True):
            hashes = json.loads((path / "result.json").read_text())["sample"]["hashes"]
            for number, digest in enumerate(hashes, 1):
                content = archive.read(f"seed-{one.seed}/{number:03d}.mid")
                assert from_midi(content).content_hash == digest


def test_another_run_folder_is_never_called_the_published_board(finished, looking_at):
    looking_at(finished)
    assert sources.published() is None
    assert sources.board_path() == finished / "runs" / "leaderboard.csv"
