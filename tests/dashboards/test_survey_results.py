import json

import pytest
import survey_room
from lazy import Library, altair, apps, pd

from bench.survey import admin
from bench.survey.analysis.analyze import analyze
from bench.survey.analysis.results import About, Contrast, Span, save
from bench.survey.analysis.simulation import design, simulate
from dashboards.serve import APP

survey_charts = Library("dashboards.charts.survey")
survey_view = Library("dashboards.views.survey")

EFFECTS = {"human": 8.0, "good": 6.0, "bad": 3.0, "anchor": 1.5}
ROLES = {"human": "human", "anchor": "anchor"}


def ratings(simulated=False):
    """The ratings of sixteen simulated listeners: two systems, human music and random notes."""
    trials = design(len(EFFECTS), 6, 16, 3, 0)
    trials["system"] = trials["system"].map({f"s{n}": name for n, name in enumerate(EFFECTS)})
    trials = trials.sort_values(["rater", "position"], ignore_index=True)
    before = trials.groupby("rater")["system"].shift().fillna("")
    return trials.assign(
        survey="trial",
        simulated=simulated,
        variant="corrected",
        dataset="chorales",
        preset="quick",
        job=["" if name in ROLES else f"{name}.job" for name in trials["system"]],
        role=[ROLES.get(name, "system") for name in trials["system"]],
        previous_system=before,
        known=False,
        coverage=1.0,
        plays=1,
        answer_seconds=30.0,
        clip_seconds=20.0,
        date="2026-11-20",
        finished=True,
        excluded="",
        flags="",
        **simulate(trials, EFFECTS, 1),
    )


@pytest.fixture(scope="module")
def analysed():
    about = About(
        name="trial", title="A trial", state="closed", config_hash="0123456789abcdef" * 4,
        invited=20, started=18, finished=16, withdrawn=1,
    )  # fmt: skip
    return analyze(ratings(), about)


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Opens the page after saving results, in a home without a database."""
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("BENCH_SURVEY_URL", f"sqlite:///{tmp_path / 'none.db'}")
    monkeypatch.delenv("BENCH_SURVEY_ADMIN", raising=False)
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "survey"))
    monkeypatch.chdir(tmp_path)

    def open_page(*results, view="Ratings"):
        for survey_results in results:
            save(survey_results, tmp_path / "runs")
        app = apps.AppTest.from_file(str(APP), default_timeout=60)
        app.run()
        app.switch_page("survey_results.py")
        app.query_params["survey-view"] = view
        app.run()
        assert not app.exception, [f"{e.value}\n{e.stack_trace}" for e in app.exception]
        return app

    return open_page


def words(app):
    kinds = (app.title, app.header, app.caption, app.markdown, app.info, app.warning, app.error)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def changed(results, simulated=False, **about):
    return results.model_copy(
        update={"simulated": simulated, "about": results.about.model_copy(update=about)}
    )


def test_without_a_closed_survey_the_page_shows_a_message_and_the_published_ratings(shown):
    app = shown()
    assert "No survey is closed" in words(app)
    assert "deep-jammer-large" in list(app.dataframe[0].value["system"])


def test_a_closed_survey_shows_its_counts_its_conclusions_and_its_tables(shown, analysed):
    app = shown(analysed)
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers == {
        "Invited": "20",
        "Started": "18",
        "Finished": "16",
        "Withdrew": "1",
        "Excluded by rules": str(analysed.left_out),
    }
    for sentence in analysed.studies[0].conclusions:
        assert sentence.split(" (")[0][:30] in words(app).replace("\\", "")
    headline, methods = app.dataframe[0].value, app.dataframe[1].value
    assert list(headline["system"]) == ["human", "good", "bad", "anchor"]
    assert "as papers report it (too narrow)" in methods
    assert "nobody excluded" in methods
    assert "Simulated" not in words(app)


@pytest.mark.parametrize(
    ("view", "column"),
    [
        ("Ranks", "p (Holm)"),
        ("Against human music", "p (differs by 0.5 points or more)"),
        ("Reliability", "measure"),
        ("Screening", "listeners who"),
    ],
)
def test_every_view_has_its_table(shown, analysed, view, column):
    assert column in shown(analysed, view=view).dataframe[0].value


@pytest.mark.parametrize("state", ["draft", "open"])
def test_results_of_a_survey_that_is_not_closed_stay_hidden(shown, analysed, state):
    assert "No survey is closed" in words(shown(changed(analysed, state=state)))


def test_a_file_marked_as_closed_shows_nothing_of_a_survey_that_is_open(
    shown, analysed, tmp_path, monkeypatch
):
    room = survey_room.room(tmp_path / "survey", practice=0)
    monkeypatch.setenv("BENCH_SURVEY_URL", room.url)
    app = shown(changed(analysed, name=room.name))
    assert "No survey is closed" in words(app)
    admin.close(room.store, room.name)
    assert "A trial" in words(shown())


def test_simulated_results_are_marked_at_the_top(shown, analysed):
    app = shown(changed(analysed, simulated=True))
    assert app.warning[0].value.startswith("**Simulated listeners.**")
    assert app.selectbox[0].options[0].endswith("(simulated)")


def test_an_invalid_file_is_named_and_the_others_are_shown(shown, analysed, tmp_path):
    (tmp_path / "runs" / "surveys").mkdir(parents=True)
    (tmp_path / "runs" / "surveys" / "broken.json").write_text('{"about": 3}')
    app = shown(analysed)
    assert "broken" in words(app)
    assert "A trial" in words(app)


def test_charts_hold_the_figures_of_the_table_and_are_valid(analysed):
    study = analysed.studies[0]
    for make in (survey_charts.ratings, survey_charts.believable, survey_charts.ranks):
        chart = make(study)
        assert isinstance(chart, altair.LayerChart)
        spec = chart.to_dict()  # checked against the schema
        rows = [row for rows in spec["datasets"].values() for row in rows]
        assert {row["system"] for row in rows} <= set(EFFECTS)
    drawn = {row["system"]: row for row in rows_of(survey_charts.ratings(study))}
    for result in study.systems:
        assert drawn[result.system]["value"] == result.rating.value
        assert drawn[result.system]["low"] == result.rating.low
        assert drawn[result.system]["everyone"] == result.everyone.value


def rows_of(chart):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_the_pair_table_names_a_system_only_if_it_is_significantly_higher(analysed):
    def verdict(difference, p):
        span = Span(value=difference)
        pair = Contrast(
            first="a", second="b", difference=span, by_clips=span, naive=span, p=p, p_holm=p
        )
        return survey_view.verdict(pair)

    assert list(survey_view.pairs(analysed.studies[0])["rated higher"]) == ["good"]
    assert verdict(-1.0, 0.01) == "b"
    assert verdict(1.0, 0.05) == "undecided"
    assert verdict(1.0, None) == "undecided"


def test_the_naive_interval_is_narrower_than_that_of_the_model(analysed):
    for result in analysed.studies[0].systems:
        naive, rating = result.naive, result.rating
        assert naive.high - naive.low < rating.high - rating.low


def test_results_can_be_written_as_json_and_as_a_table(analysed):
    assert json.loads(analysed.model_dump_json())["about"]["name"] == "trial"
    assert isinstance(survey_view.ratings(analysed.studies[0]), pd.DataFrame)
