import pytest
import survey_room
from lazy import Library, apps

from bench.survey import admin, creation, listening
from bench.survey.login import HASH, password_hash
from dashboards.serve import APP

surveys = Library("dashboards.views.surveys")


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    return survey_room.room(tmp_path_factory.mktemp("draft"), people=3, practice=0, opened=False)


@pytest.fixture
def room(draft, tmp_path, monkeypatch):
    room = survey_room.copy(draft, tmp_path / "survey")
    monkeypatch.setenv("BENCH_SURVEY_URL", room.url)
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "survey"))
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return room


@pytest.fixture
def signed_in(room, monkeypatch):
    monkeypatch.setenv(HASH, password_hash(survey_room.PASSWORD))
    app = apps.AppTest.from_file(str(APP), default_timeout=60)
    app.run()
    app.switch_page("survey_login.py")
    app.run()
    app.text_input[0].set_value(survey_room.PASSWORD)
    press(app, "Sign in")
    assert "Sign out" in [button.label for button in app.button]
    return app


def press(app, label):
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception, [f"{e.value}\n{e.stack_trace}" for e in app.exception]


def words(app):
    kinds = (app.success, app.warning, app.error, app.caption, app.markdown, app.title)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def field(app, label):
    return next(field for field in [*app.text_input, *app.text_area] if field.label == label)


def tick(app, label):
    next(box for box in app.checkbox if box.label == label).check()


def test_without_a_password_there_is_neither_a_login_nor_an_admin_page(room, monkeypatch):
    monkeypatch.delenv(HASH, raising=False)
    app = apps.AppTest.from_file(str(APP), default_timeout=60)
    app.run()
    for page in ("survey_login.py", "survey_admin.py"):
        with pytest.raises(ValueError, match="Could not find"):
            app.switch_page(page)


def test_the_page_shows_nothing_to_a_session_that_is_not_signed_in(room, monkeypatch):
    monkeypatch.setenv(HASH, password_hash(survey_room.PASSWORD))
    app = apps.AppTest.from_file(str(APP.parent / "survey_admin.py"), default_timeout=60)
    app.run()
    assert not app.title
    assert not app.button


def test_a_survey_goes_from_draft_to_published_and_each_step_must_be_confirmed(signed_in, room):
    for verb, state in (("Open", "open"), ("Close", "closed"), ("Publish", "published")):
        button = next(b for b in signed_in.button if b.label == f"{verb} {room.name}")
        assert button.disabled
        tick(signed_in, f"Yes, {verb.lower()} it")
        signed_in.run()
        press(signed_in, f"{verb} {room.name}")
        assert admin.status(room.store, room.name).summary.state == state
    assert "cannot change any more" in words(signed_in)
    assert [line.by for line in admin.audit(room.store)][:3] == ["admin page"] * 3


def test_codes_are_shown_once_and_work(signed_in, room):
    admin.open_survey(room.store, room.name)
    signed_in.run()
    signed_in.number_input[0].set_value(2)
    press(signed_in, "Make codes")
    table = next(frame.value for frame in signed_in.dataframe if "code" in frame.value)
    assert len(table) == 2
    assert table["link"][0].endswith(f"/listen?c={table['code'][0]}")
    assert listening.enter(room.store, table["code"][1])
    signed_in.run()
    assert not [frame for frame in signed_in.dataframe if "code" in frame.value]


def test_an_exclusion_needs_a_reason_and_is_stored(signed_in, room):
    rater = admin.status(room.store, room.name).listeners[0].rater
    signed_in.selectbox[1].set_value(rater)
    press(signed_in, "Exclude")
    assert "Say why" in words(signed_in)
    signed_in.selectbox[1].set_value(rater)
    field(signed_in, "because").set_value("asked to be left out")
    press(signed_in, "Exclude")
    listeners = admin.status(room.store, room.name).listeners
    reasons = {listener.rater: listener.excluded for listener in listeners}
    assert reasons[rater] == "asked to be left out"


def test_a_listener_is_deleted_by_code_after_confirmation(signed_in, room):
    label = "Delete all rows of the listener with the code"
    field(signed_in, label).set_value(room.codes[0])
    press(signed_in, "Delete")
    assert admin.status(room.store, room.name).summary.flow.invited == 3
    field(signed_in, label).set_value(room.codes[0])
    tick(signed_in, "Yes, delete; this cannot be undone")
    press(signed_in, "Delete")
    assert admin.status(room.store, room.name).summary.flow.invited == 2


def test_results_can_be_downloaded_only_after_the_survey_is_closed(signed_in, room):
    assert not signed_in.get("download_button")
    admin.open_survey(room.store, room.name)
    admin.close(room.store, room.name)
    signed_in.run()
    labels = [button.proto.label for button in signed_in.get("download_button")]
    assert "Download the ratings (CSV)" in labels


def test_a_backup_is_written_and_its_file_named(signed_in, room):
    press(signed_in, "Back everything up")
    assert list((room.store.folder / "backups").glob("*.zip"))
    assert "only its owner can read it" in words(signed_in)


def test_a_wrong_configuration_is_refused_with_the_names_of_missing_settings(signed_in):
    signed_in.selectbox[0].set_value("")
    signed_in.run()
    field(signed_in, "or as text").set_value('name = "x"\nsystems = []\n')
    press(signed_in, "Render the clips and create a draft")
    assert "title" in words(signed_in)
    assert "consent" in words(signed_in)


def test_a_configuration_becomes_a_draft(signed_in, room, monkeypatch):
    import numpy as np

    from bench.survey.clips import ClipSource
    from bench.survey.contestants import Contestant, render_clips

    rng = np.random.default_rng(3)
    pieces = [[ClipSource(f"{n}", survey_room.piece(rng, 40)) for n in range(3)] for _ in range(2)]

    def clips_of_run(config, progress):
        systems = [Contestant("markov-chain", pieces[0], job="job-1")]
        train = [survey_room.piece(rng, 40) for _ in range(3)]
        return render_clips(config, systems, pieces[1], train, "chorales", progress)

    monkeypatch.setattr(creation, "clips_of_run", clips_of_run)
    signed_in.selectbox[0].set_value("")
    signed_in.run()
    field(signed_in, "or as text").set_value(
        'name = "second"\ntitle = "Two"\nsystems = ["markov-chain"]\nclips = 2\nper_system = 1\n'
        'seconds = 3.0\npractice = 0\n[consent]\ncontact = "me"\n'
    )
    press(signed_in, "Render the clips and create a draft")
    assert "The draft **second** is created" in words(signed_in)
    assert [summary.state for summary in admin.surveys(room.store)] == ["draft", "draft"]


def test_signing_out_takes_the_page_away(signed_in):
    press(signed_in, "Sign out")
    assert [field.label for field in signed_in.text_input] == ["Password"]


# -- samples of open surveys -----------------------------------------------------------------------


def test_jobs_of_an_open_survey_are_hidden_and_only_while_it_is_open(room):
    assert surveys.embargoed() == set()
    admin.open_survey(room.store, room.name)
    assert set(room.jobs) <= surveys.embargoed()
    admin.close(room.store, room.name)
    assert surveys.embargoed() == set()


def test_asking_for_a_survey_creates_no_database(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_SURVEY_URL", f"sqlite:///{tmp_path / 'none' / 'survey.db'}")
    assert surveys.embargoed() == set()
    assert surveys.store() is None
    assert not (tmp_path / "none").exists()
