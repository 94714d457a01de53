import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import survey_room
from lazy import Library, apps

from bench.survey import admin, listening
from bench.survey.terms import FULL_COVERAGE
from dashboards.serve import APP

player = Library("dashboards.listening.player")

PAGE = APP.parent / "listen.py"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One survey with a code for each test, since rendering its clips takes seconds."""
    return survey_room.room(tmp_path_factory.mktemp("survey"), people=30)


@pytest.fixture
def listener(prepared, monkeypatch):
    """A listener with a code of their own, and a clock that the test can move on."""
    code = prepared.codes.pop()
    clock = Clock(prepared.store.now)
    store = replace(prepared.store, now=clock)
    monkeypatch.setattr("dashboards.views.surveys.store", lambda: store)
    return Listener(store, code, clock)


class Clock:
    def __init__(self, now):
        self.now, self.ahead = now, timedelta(0)

    def __call__(self):
        return self.now() + self.ahead

    def wait(self, seconds):
        self.ahead += timedelta(seconds=seconds)


class Listener:
    """Takes part in the survey through the page."""

    def __init__(self, store, code, clock):
        self.store, self.code, self.clock = store, code, clock
        self.id = listening.enter(store, code)
        self.page = self.opened()

    def opened(self):
        app = apps.AppTest.from_file(str(PAGE), default_timeout=30)
        app.query_params["c"] = self.code
        return without_errors(app.run())

    @property
    def standing(self):
        return listening.standing(self.store, self.id)

    def press(self, label, page=None):
        page = page or self.page
        next(button for button in page.button if button.label == label).click()
        return without_errors(page.run())

    def to_the_trials(self):
        self.page.checkbox[0].check()
        self.press("Begin")
        self.page.session_state["volume"] = {"report": {"plays": 1, "coverage": 0}}
        self.page.run()
        self.press("I hear it well")
        for radio in self.page.radio:
            radio.set_value(radio.options[0])
        self.press("Continue")

    def hear(self, page=None):
        page = page or self.page
        key = f"clip-{self.standing.trial.token.encode().hex()}"
        page.session_state[key] = {"report": {"plays": 1, "coverage": 0}}
        without_errors(page.run())
        self.clock.wait(5)
        page.session_state[key] = {"report": {"plays": 1, "coverage": 0.99}}
        return without_errors(page.run())

    def rate(self, value=7):
        self.hear()
        self.page.radio[0].set_value(value)
        self.press("Keep this score")
        self.page.radio[0].set_value("Yes")
        self.press("Next")


def without_errors(app):
    assert not app.exception, [f"{e.value}\n{e.stack_trace}" for e in app.exception]
    return app


def words(app):
    kinds = (app.title, app.subheader, app.caption, app.markdown, app.info, app.warning, app.error)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def labels(app):
    return [button.label for button in app.button]


def test_without_a_code_the_page_asks_for_one_and_accepts_a_typed_one(listener):
    app = without_errors(apps.AppTest.from_file(str(PAGE), default_timeout=30).run())
    app.text_input[0].set_value(f" {listener.code.lower()} ")
    listener.press("Continue", app)
    assert "Before you begin" in words(app)


@pytest.mark.parametrize("code", ["", "nonsense", "0000-0000-0000", "x" * 5000, "<b>'; DROP TABLE"])
def test_a_wrong_code_is_explained_and_can_be_typed_again(listener, code):
    app = apps.AppTest.from_file(str(PAGE), default_timeout=30)
    app.query_params["c"] = code
    without_errors(app.run())
    assert ("not known" in words(app)) == bool(code)
    assert [field.label for field in app.text_input] == ["Your invitation code"]


def test_the_survey_does_not_begin_without_the_consent_box(listener):
    listener.press("Begin")
    assert "tick the box" in words(listener.page)
    assert listener.standing.stage == "consent"


def test_every_background_question_must_be_answered(listener):
    listener.page.checkbox[0].check()
    listener.press("Begin")
    assert next(b for b in listener.page.button if b.label == "I hear it well").disabled
    listening.volume_set(listener.store, listener.id)
    listener.page.run()
    listener.press("Continue")
    assert "answer each question" in words(listener.page)
    assert listener.standing.stage == "background"


def test_the_scale_opens_only_after_the_clip_was_heard_and_has_no_default(listener):
    listener.to_the_trials()
    scale = listener.page.radio[0]
    assert scale.disabled
    assert scale.value is None
    assert "Listen to the end" in words(listener.page)
    listener.hear()
    scale = listener.page.radio[0]
    assert not scale.disabled
    assert scale.value is None
    assert len(scale.options) == 10
    assert scale.options[0] == "1 – completely random noise"
    assert scale.options[-1] == "10 – composed by a novice composer"


def test_a_report_that_comes_too_early_does_not_open_the_scale(listener):
    listener.to_the_trials()
    key = f"clip-{listener.standing.trial.token.encode().hex()}"
    listener.page.session_state[key] = {"report": {"plays": 1, "coverage": 1.0}}
    without_errors(listener.page.run())
    assert listener.page.radio[0].disabled
    assert not listener.standing.trial.heard


def test_tokens_with_underscores_work(listener):
    listener.to_the_trials()
    with listener.store.writing() as connection:
        connection.exec_driver_sql(
            "update trial set token = 'a__b--c___' || id where token = ?",
            (listener.standing.trial.token,),
        )
    without_errors(listener.page.run())
    listener.hear()
    assert not listener.page.radio[0].disabled


def test_the_second_question_comes_after_the_score(listener):
    listener.to_the_trials()
    listener.hear()
    assert "Could a human have composed this?" not in [r.label for r in listener.page.radio]
    listener.press("Keep this score")
    assert "Choose a score first" in words(listener.page)
    listener.page.radio[0].set_value(3)
    listener.press("Keep this score")
    assert [r.label for r in listener.page.radio] == ["Could a human have composed this?"]
    assert listener.page.radio[0].value is None
    listener.press("Next")
    assert "Choose yes or no" in words(listener.page)


def test_a_complete_survey_ends_with_a_completion_code_that_another_session_shows_too(listener):
    listener.to_the_trials()
    while listener.standing.stage in ("practice", "trials"):
        listener.rate()
    code = listener.standing.completion_code
    assert re.fullmatch(r"\w{8}", code)
    assert [c.value for c in listener.page.code] == [code]
    assert [c.value for c in listener.opened().code] == [code]


def test_another_device_continues_where_the_first_one_is(listener):
    listener.to_the_trials()
    listener.rate()
    listener.hear()
    other = listener.opened()
    assert other.get("progress")[0].proto.text == "Clip 1 of 4"
    assert not other.radio[0].disabled
    other.radio[0].set_value(2)
    listener.press("Keep this score", other)
    listener.page.radio[0].set_value(9)
    listener.press("Keep this score")  # in the first tab, which still showed the scale
    assert [r.label for r in listener.page.radio] == ["Could a human have composed this?"]
    with listener.store.reading() as connection:
        scores = connection.exec_driver_sql(
            "select score from rating join trial on trial.id = trial_id join participant on"
            f" participant.id = participant_id where listener = '{listener.id}' and kind = 'main'"
        ).all()
    assert scores == [(2,)]


def test_markup_in_a_comment_is_stored_as_text(listener):
    listener.to_the_trials()
    listener.hear()
    listener.page.radio[0].set_value(5)
    listener.press("Keep this score")
    listener.page.radio[0].set_value("No")
    listener.page.text_area[0].set_value("<script>alert(1)</script>'; DROP TABLE rating;--")
    listener.press("Next")
    with listener.store.reading() as connection:
        comments = connection.exec_driver_sql("select comment from belief").all()
    assert ("<script>alert(1)</script>'; DROP TABLE rating;--",) in comments


def test_withdrawing_must_be_confirmed(listener):
    listener.to_the_trials()
    listener.rate()
    listener.press("Withdraw from the survey")
    assert "cannot be undone" in words(listener.page)
    assert listener.standing.stage == "trials"


def test_a_listener_who_has_withdrawn_sees_a_message(listener):
    listener.to_the_trials()
    listening.withdraw(listener.store, listener.id)
    assert "All your answers are deleted" in words(listener.page.run())
    assert "withdrawn with this code" in words(listener.opened())


def test_a_closed_survey_shows_a_message_to_listeners_old_and_new(tmp_path, monkeypatch):
    room = survey_room.room(tmp_path, people=2, practice=0)
    clock = Clock(room.store.now)
    store = replace(room.store, now=clock)
    monkeypatch.setattr("dashboards.views.surveys.store", lambda: store)
    someone = Listener(store, room.codes[0], clock)
    someone.to_the_trials()
    someone.hear()
    admin.close(store, room.name)
    someone.page.radio[0].set_value(5)
    someone.press("Keep this score")
    assert "closed" in words(someone.page)
    late = apps.AppTest.from_file(str(PAGE), default_timeout=30)
    late.query_params["c"] = room.codes[1]
    assert "over" in words(without_errors(late.run()))


def test_a_survey_that_is_not_open_yet_shows_a_message(tmp_path, monkeypatch):
    room = survey_room.room(tmp_path, people=1, opened=False)
    monkeypatch.setattr("dashboards.views.surveys.store", lambda: room.store)
    app = apps.AppTest.from_file(str(PAGE), default_timeout=30)
    app.query_params["c"] = room.codes[0]
    assert "not begun yet" in words(without_errors(app.run()))


def test_a_message_about_a_broken_database_tells_nothing_about_it(listener, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def fail(*_):
        raise OperationalError("select secret", {}, Exception("/secret/path"))

    monkeypatch.setattr(listening, "standing", fail)
    text = words(listener.opened())
    assert "Your answers are saved" in text
    assert "secret" not in text


def test_no_error_names_a_file_of_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_SURVEY_URL", f"sqlite:///{tmp_path / 'survey.db'}")
    (tmp_path / "survey.db").write_bytes(b"no database" * 1000)
    app = apps.AppTest.from_file(str(PAGE), default_timeout=30)
    app.query_params["c"] = "0000-0000-0000"
    text = words(without_errors(app.run()))
    assert "cannot be reached" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    "state",
    [
        *(None, 3, "x", {}, {"report": None}, {"report": [1]}, {"report": {"plays": "1"}}),
        {"report": {"plays": float("nan"), "coverage": float("inf")}},
        {"report": {"plays": True, "coverage": True}},
    ],
)
def test_an_invalid_report_is_read_as_nothing_heard(state):
    assert player.report_of(state) == player.PlayerReport(0, 0.0)


def test_a_report_stays_within_bounds():
    assert player.report_of({"report": {"plays": 1e9, "coverage": 7}}) == player.PlayerReport(
        1000, 1.0
    )
    assert player.report_of({"report": {"plays": -4, "coverage": -1}}) == player.PlayerReport(
        0, 0.0
    )


def test_the_player_receives_a_label_a_length_and_the_sound_only():
    content = player.packed(b"SOUND", "Clip 3", 20.0)
    assert content[4:-5] == b'{"label": "Clip 3", "seconds": 20.0}'
    assert int.from_bytes(content[:4], "big") == len(content) - 4 - 5


def test_the_player_reports_a_clip_as_heard_at_the_coverage_that_the_server_requires():
    code = (APP.parent.parent / "listening" / "player.js").read_text()
    assert re.search(r"^const ENOUGH = ([\d.]+);", code, re.MULTILINE)[1] == str(FULL_COVERAGE)


def test_the_survey_itself_does_not_need_streamlit():
    import subprocess

    code = (
        "import sys, bench.survey.listening, bench.survey.admin, bench.survey.login;"
        "sys.exit('streamlit' in sys.modules)"
    )
    root = Path(__file__).parent.parent.parent
    assert not subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode
