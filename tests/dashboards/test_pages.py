import json
from pathlib import Path

import pytest
import synthetic
from lazy import apps

from bench.board.build import build
from bench.board.compare import comparable, compare
from bench.board.rows import to_csv
from bench.jobs.run_folder import RunFolder
from bench.protocol import validity
from dashboards.serve import APP
from dashboards.views.columns import label

ALONE = {"app.py", "listen.py", "survey_login.py", "survey_admin.py"}  # have tests of their own
PAGES = sorted({path.name for path in APP.parent.glob("*.py")} - ALONE)


def opened(page="leaderboard.py", /, **address):
    """The page, run to its end without an error."""
    app = apps.AppTest.from_file(str(APP), default_timeout=60)
    if page != "leaderboard.py":
        app.run()
        app.switch_page(page)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    sound(app)
    return app


def sound(app):
    assert not app.exception, [f"{e.value}\n{e.stack_trace}" for e in app.exception]


def words(app):
    """All that the page says in words."""
    kinds = (app.title, app.header, app.subheader, app.caption, app.markdown, app.text)
    kinds += (app.info, app.warning, app.error, app.metric, app.code)
    return "\n".join(str(getattr(e, "label", "")) + str(e.value) for kind in kinds for e in kind)


def shown(app, place=0):
    """A table of the page."""
    return app.dataframe[place].value


# -- states of the board ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_so_where_there_is_no_board(page, looking_at):
    looking_at()
    app = opened(page)
    if page in ("leaderboard.py", "compare.py", "model.py"):
        assert "There is no leaderboard yet" in words(app)
        assert "bench all" in words(app)


@pytest.mark.parametrize("content", ["", to_csv([]), "\0garbage", "a,b\n1,2\n"])
@pytest.mark.parametrize("page", ["leaderboard.py", "compare.py", "model.py", "measures.py"])
def test_an_empty_or_broken_board_is_explained(page, content, looking_at, tmp_path):
    looking_at(BENCH_BOARD=tmp_path / "leaderboard.csv")
    (tmp_path / "leaderboard.csv").write_text(content)
    if page == "measures.py":
        assert "no leaderboard yet whose" in words(opened(page, part="Do they agree"))
    else:
        assert "no complete row yet" in words(opened(page))


@pytest.mark.parametrize("page", PAGES)
def test_one_row_without_jobs_is_shown_as_far_as_it_goes(page, looking_at, tmp_path):
    looking_at(BENCH_BOARD=synthetic.write(tmp_path / "leaderboard.csv", synthetic.rows(1)))
    app = opened(page)
    if page == "leaderboard.py":
        assert list(shown(app)["system"]) == ["system-00"]
    if page == "compare.py":
        assert "Choose two systems or more" in words(app)
    if page == "model.py":
        assert "no samples on this machine" in words(app)


def test_a_board_cut_short_is_shown_with_a_word_about_it(looking_at, tmp_path):
    path = synthetic.write(tmp_path / "leaderboard.csv", synthetic.rows(5))
    path.write_bytes(path.read_bytes()[:-200])
    looking_at(BENCH_BOARD=path)
    app = opened()
    assert "incomplete line" in words(app)
    assert len(shown(app)) == 4


def test_a_failed_row_is_blank_and_says_why_and_its_words_are_no_markup(looking_at, tmp_path):
    rows = synthetic.rows(3)
    looking_at(
        BENCH_BOARD=synthetic.write(
            tmp_path / "leaderboard.csv", [*rows[:2], synthetic.failed(rows[2])]
        )
    )
    app = opened()
    row = shown(app).set_index("system").loc["system-02"]
    assert row[["rank", "skill", "nats", "frames", "parameters"]].isna().all()
    assert row["status"] == "failed"
    assert "<b>no</b>" in next(text.value for text in app.text)
    assert not any("<b>" in markdown.value for markdown in app.markdown)
    assert "<b>no</b>" in words(opened("model.py", system="system-02"))


# -- the leaderboard -------------------------------------------------------------------------------


@pytest.fixture
def made_up(looking_at, tmp_path):
    """A board of two data sets without job folders."""
    rows = synthetic.rows(8, ("chorales", "jsb"), metrics=("scale_consistency_gap", "polyphony"))
    looking_at(BENCH_BOARD=synthetic.write(tmp_path / "leaderboard.csv", rows))
    return rows


def test_an_address_reproduces_the_view(made_up):
    app = opened(board="jsb standard", view="Loss", q="somebody", kinds=["baseline"])
    table = shown(app)
    expected = [
        row
        for row in made_up
        if (row.dataset, row.kind, row.paper) == ("jsb", "baseline", "Somebody 2020")
    ]
    assert expected
    assert set(table["system"]) == {row.system for row in expected}
    assert "nats_range" in table
    assert "rank" not in table


def test_addresses_that_mean_nothing_fall_back_on_what_there_is(made_up):
    strange = "../../etc/passwd"
    app = opened(board=strange, view=strange, kinds=[strange], q=strange, cost=strange)
    assert "No row fits" in words(app)
    assert len(shown(opened(board=strange, view="'; drop", columns_overall=["nothing"]))) == 8
    for page in PAGES:
        address = dict.fromkeys(("system", "data", "piece", "part", "seed", "page"), strange)
        opened(page, systems=[strange, strange], prompt=strange, states=[strange], **address)


def test_rows_that_fit_nothing_leave_a_sentence(made_up):
    app = opened()
    app.text_input(key="q").set_value("nobody wrote this").run()
    sound(app)
    assert "No row fits" in words(app)


def test_columns_can_be_hidden_and_shown(made_up):
    app = opened()
    app.multiselect(key="columns_overall").set_value(["System", "polyphony", "Commit"]).run()
    sound(app)
    table = shown(app)
    assert list(table.columns) == ["system", "polyphony", "commit"]
    first = [row for row in made_up if row.dataset == "chorales"]
    assert sorted(table["polyphony"]) == sorted(row.value("polyphony") for row in first)


def test_every_view_runs(made_up):
    app = opened()
    for view in ("Loss", "Listeners", "Speed", "Overall"):
        app.button_group(key="view").set_value([view]).run()
        sound(app)
        assert len(shown(app)) == 8


def test_ratings_are_shown_once_a_survey_gave_some(looking_at, tmp_path):
    rows = [
        synthetic.changed(
            row, human_rating=5.5, human_rating_low=5.0, human_rating_high=6.0, survey="autumn"
        )
        for row in synthetic.rows(5)
    ]
    looking_at(BENCH_BOARD=synthetic.write(tmp_path / "leaderboard.csv", rows))
    app = opened(view="Listeners")
    assert list(shown(app)["human"]) == [5.5] * 5
    assert "No survey has been closed" not in words(app)
    assert "Not known yet" in words(opened("measures.py", part="Do they agree"))  # all alike
    rows = [synthetic.changed(row, human_rating=3.0 + n) for n, row in enumerate(rows)]
    synthetic.write(tmp_path / "leaderboard.csv", rows)
    said = words(opened("measures.py", part="Do they agree"))
    assert "rank correlation with the ratings on the board" in said


def test_metrics_are_grey_until_they_are_validated(made_up, tmp_path):
    assert "has not passed its validity test" in words(opened())

    def tested(holds):
        rows = [
            validity.Row("scale_consistency_gap", 1, "property", "real <= noise", holds=True),
            validity.Row("scale_consistency_gap", 1, "summary", "jitter", monotone=0.9),
            validity.Row("polyphony", 1, "property", "a < b", holds=holds, note="2 < 1"),
        ]
        (tmp_path / "validity.csv").write_text(validity.to_csv(rows))

    tested(holds=True)
    assert "has not passed its validity test" not in words(opened())
    tested(holds=False)
    assert "has not passed its validity test" in words(opened())
    said = words(opened("measures.py"))
    assert "Validity test: passed" in said
    assert "Validity test: failed" in said
    (tmp_path / "validity.csv").write_text("metric,what\n1,2\n")
    assert "validity tests have not been run" in words(opened("measures.py", part="Do they notice"))


# -- with a run behind the board -------------------------------------------------------------------


def test_a_run_is_compared_prompt_by_prompt(finished, looking_at):
    looking_at(finished)
    app = opened("compare.py", systems=["markov-chain", "random-chords", "human"])
    assert "The prompt is not shown" not in words(app)
    assert "One bar of " in words(app)
    table = shown(app)
    assert set(table["against"]) == {"random-chords", "human"}
    rows = build(RunFolder(finished / "runs")).rows
    pair = comparable(rows, "markov-chain", "random-chords")[0]
    against = table[table["against"] == "random-chords"].set_index("figure")
    differences = {label(each.figure): each for each in compare(*pair)}
    assert len(against) >= 3
    for name, row in against.iterrows():
        assert row["difference"] == pytest.approx(differences[name].difference)
        assert row["95 %"] == f"{differences[name].low:+.3f} to {differences[name].high:+.3f}"
    assert len(app.get("bidi_component")) + len(app.get("vega_lite_chart")) >= 7


def test_a_model_page_shows_every_part(finished, looking_at):
    looking_at(finished)
    samples = opened("model.py", system="markov-chain")
    assert "All 6 samples in the order" in words(samples)
    figures = shown(opened("model.py", system="markov-chain", part="Figures"))
    folder = next((finished / "runs" / "jobs").glob("markov-chain.toy.smoke.s1.*"))
    scores = json.loads((folder / "scores.json").read_text())["metrics"]
    ours = figures.set_index("metric")["seed 1"]
    for name, score in scores.items():
        if score["value"] is not None:
            assert ours[label(name)] == score["value"]
    assert "no training curves" in words(opened("model.py", system="markov-chain", part="Training"))
    opened("model.py", system="markov-chain", part="Map")
    card = words(opened("model.py", system="markov-chain", part="Card"))
    assert "noisy\\-or" in card or "noisy-or" in card
    assert "Justin Svegliato" in card
    assert "What was decided where the paper is silent" in card


def test_a_failed_model_shows_its_log_without_this_machines_paths(finished, looking_at):
    looking_at(finished)
    app = opened("model.py", system="Raises")
    assert "RuntimeError: the loss" in app.code[0].value
    assert str(finished) not in words(app)
    assert str(Path.home()) + "/" not in words(app)


def test_samples_that_were_changed_are_named_and_not_played(finished, looking_at, tmp_path):
    import shutil

    home = tmp_path / "copy"
    shutil.copytree(finished, home)
    folder = next((home / "runs" / "jobs").glob("markov-chain.toy.smoke.s0.*"))
    (folder / "samples" / "001.mid").write_bytes(b"MThd")
    looking_at(home)
    app = opened("model.py", system="markov-chain")
    assert "1 file gone or changed" in words(app)
    assert "Sample 2" in words(app)
    assert "the file is gone or was changed" in words(opened("compare.py", prompt="2"))


def test_without_the_data_set_samples_are_shown_without_their_prompts(
    finished, looking_at, tmp_path
):
    looking_at(finished, BENCH_DATA_DIR=tmp_path, BENCH_CACHE_DIR=tmp_path)
    assert "The prompt is not shown" in words(opened("compare.py"))
    assert "Their prompts are not shown" in words(opened("model.py", system="markov-chain"))


def test_the_run_page_counts_the_jobs(finished, looking_at):
    looking_at(finished)
    app = opened("live.py")
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Done"] == "8"
    assert numbers["Failed"] == "2"
    assert numbers["Running"] == "0"
    assert len(shown(app)) == 10
    assert "RuntimeError: the loss" in words(app)
    (broken := finished / "runs" / "jobs" / "half-written").mkdir()
    (broken / "job.json").write_text("{")
    assert "1 folder without a readable job" in words(opened("live.py"))
    broken.joinpath("job.json").unlink()
    broken.rmdir()


def test_a_piece_of_any_data_set_can_be_looked_at(finished, looking_at):
    looking_at(finished)
    app = opened("pieces.py", data="toy", split="Test", audit="true", tokens="true")
    assert "Steps per bar" in words(app)
    assert "notes, " in words(app)
    assert "of a piece occurs in training" in words(app)
    assert "are different; " in words(app)


def test_nothing_in_the_run_folder_is_changed_by_looking(finished, looking_at):
    def everything():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size)
            for path in (finished / "runs").rglob("*")
            if path.is_file()
        }

    before = everything()
    looking_at(finished)
    for page in PAGES:
        opened(page)
    assert everything() == before
